import { LearningSwitch, NullBackend } from '@ringwire/net-backend';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { frameOf } from '../net/testing/frames.js';
import { EmbedBench, MAC } from './testing/embed-bench.js';

const READY = 15;
const OTHER = Uint8Array.of(0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc);

describe('everything happens within the access that it came of', () => {
  test('a frame is sent before the notification returns, and one for the driver lies in its buffer when `receive` does', () => {
    const bench = new EmbedBench([VIRTIO_NET_F.MAC]).start();
    expect(bench.status()).toBe(READY);
    bench.send(frameOf(60, 1));
    expect(bench.sent).toEqual([frameOf(60, 1)]);
    expect(bench.collect(1)).toEqual([0]);
    bench.post();
    expect(bench.nic.receive(frameOf(61, 2))).toBe('accepted');
    expect(bench.collect(0)).toEqual([73]);
    expect(bench.received(0, 61)).toEqual(frameOf(61, 2));
    expect(bench.mac()).toEqual(MAC);
  });

  test('virtio 1.4 §4.1.4.5: the pin is asserted until the ISR status was read', () => {
    const bench = new EmbedBench([], { vectors: 0 }).start();
    bench.send(frameOf(60));
    expect(bench.irq).toEqual([true]);
    expect([bench.isr(), bench.isr()]).toEqual([1, 0]);
    expect(bench.irq).toEqual([true, false]);
  });

  test('with MSI-X each queue has its own message', () => {
    const bench = new EmbedBench().start({ messages: true });
    bench.post();
    bench.nic.receive(frameOf(60));
    bench.send(frameOf(60));
    expect(bench.messages).toEqual([
      [0xfee0_1000, 0x41],
      [0xfee0_1000, 0x42],
    ]);
    expect(bench.irq).toEqual([]);
  });
});

describe('accesses come as an emulator makes them', () => {
  test.each([[[2]], [[1, 1]], [[4]], [[1, 1, 1, 1]], [[2, 2]], [[1, 3]]])(
    'a notification in pieces of %j bytes is one',
    (pieces) => {
      const bench = new EmbedBench().start();
      const { counters } = bench.nic.function.device;
      bench.send(frameOf(60, 1), false);
      bench.kick(1, pieces);
      expect([counters.kicks, bench.sent.length]).toEqual([1, 1]);
    },
  );

  test('a register that is written byte by byte comes together, and one access across two reaches both', () => {
    const bench = new EmbedBench();
    bench.nic.configWrite(0x10, 4, 0xfe00_0000);
    for (const [at, byte] of [6, 0].entries()) bench.nic.configWrite(0x04 + at, 1, byte);
    for (const status of [1, 3]) bench.common('deviceStatus', 1, status);
    for (let byte = 0; byte < 4; byte++) {
      const { bar, offset } = bench.structure(1);
      bench.nic.barWrite(bar, offset + 0x08 + byte, 1, byte === 0 ? 1 : 0);
    }
    bench.common('driverFeature', 4, 1);
    bench.common('deviceStatus', 1, 11);
    expect(bench.status()).toBe(11);
    const { bar, offset } = bench.structure(1);
    // device_status and config_generation in one.
    expect(bench.nic.barRead(bar, offset + 0x14, 2)).toBe(11);
    // queue_select and queue_size in one.
    bench.nic.barWrite(bar, offset + 0x16, 4, 0x0008_0001);
    expect([bench.readCommon('queueSelect', 2), bench.readCommon('queueSize', 2)]).toEqual([1, 8]);
  });

  test('nothing is decoded at an offset that is none, of a BAR that is none, or before memory is on', () => {
    const bench = new EmbedBench();
    expect(bench.nic.barRead(0, 0, 4)).toBe(0xffff_ffff);
    bench.start();
    for (const [bar, offset, size] of [
      [1, 0, 4],
      [0, -1, 4],
      [0, 0x7fff_fffe, 4],
      [6, 0, 1],
    ] as const) {
      expect(bench.nic.barRead(bar, offset, size)).toBe(size === 1 ? 0xff : 0xffff_ffff);
      bench.nic.barWrite(bar, offset, size, 0);
    }
    expect([bench.nic.configRead(0x1000, 4), bench.nic.configRead(0, 8)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  });
});

describe('registers in I/O space', () => {
  test.each([false, true])('the same device, in 128 bytes; MSI-X (%s) is in memory beside it', (messages) => {
    const bench = new EmbedBench([], { registers: 'io' });
    bench.nic.configWrite(0x10, 4, 0xffff_ffff);
    expect(bench.nic.configRead(0x10, 4)).toBe(0xffff_ff81);
    bench.start({ io: true, messages });
    expect(bench.status()).toBe(READY);
    expect(bench.nic.barAddress(0)).toBe(0xc000);
    bench.send(frameOf(60, 1));
    expect(bench.sent).toEqual([frameOf(60, 1)]);
    expect(messages ? bench.messages : bench.irq).toEqual(messages ? [[0xfee0_1000, 0x42]] : [true]);
  });

  test('more queues than I/O space has room for are a mistake, and leave the port free', () => {
    const plugged: boolean[] = [];
    const port = Object.assign(new NullBackend(), { attach: (device?: object) => plugged.push(device !== undefined) });
    expect(() => new EmbedBench([], { registers: 'io', pairs: 40, port })).toThrow(/^bytes of registers is 512/);
    expect(plugged.at(-1)).toBe(false);
  });
});

test('the host hears where BARs are decoded, and that they are no more', () => {
  const bench = new EmbedBench().start();
  bench.nic.configWrite(0x10, 4, 0xfd00_0000);
  bench.nic.configWrite(0x04, 2, 0);
  expect(bench.moved).toEqual([
    [0, 0xfe00_0000],
    [0, 0xfd00_0000],
    [0, -1],
  ]);
});

describe('guest memory is the emulator’s', () => {
  test('it grows between any two accesses, and frames go on', () => {
    const bench = new EmbedBench().start();
    for (let seed = 1; seed < 40; seed++) {
      if (seed % 3 === 0) bench.grow();
      bench.post();
      bench.send(frameOf(60, seed));
      if (seed % 5 === 0) bench.grow();
      expect(bench.nic.receive(frameOf(64, seed))).toBe('accepted');
      expect([bench.collect(0), bench.collect(1)]).toEqual([[76], [0]]);
      expect(bench.received((seed - 1) % 16, 64)).toEqual(frameOf(64, seed));
    }
    expect(bench.sent).toEqual(Array.from({ length: 39 }, (_, i) => frameOf(60, i + 1)));
  });

  test.each([
    ['split', []],
    ['packed', [VIRTIO_F.RING_PACKED, VIRTIO_F.EVENT_IDX]],
  ])('%s: no byte changes that it was not told of', (_, features) => {
    const bench = new EmbedBench(features).start();
    bench.post(4);
    bench.send(frameOf(60), false);
    const before = bench.ram();
    bench.written.length = 0;
    bench.kick(1);
    bench.nic.receive(frameOf(300, 3));
    const after = bench.ram();
    const told = new Uint8Array(after.length);
    for (const [address, length] of bench.written) told.fill(1, address, address + length);
    const changed = Array.from(after.keys()).filter((at) => after[at] !== before[at]);
    expect(changed.length).toBeGreaterThan(300);
    expect(changed.filter((at) => told[at] !== 1)).toEqual([]);
  });

  test('a ring in a hole is refused, and a buffer there is given back', () => {
    const bench = new EmbedBench().start();
    bench.common('deviceStatus', 1, 0);
    for (const status of [1, 3]) bench.common('deviceStatus', 1, status);
    bench.common('driverFeatureSelect', 4, 1);
    bench.common('driverFeature', 4, 1);
    bench.common('deviceStatus', 1, 11);
    for (const field of ['queueDesc', 'queueDriver', 'queueDevice'] as const) bench.common(field, 4, 0xa000);
    bench.common('queueEnable', 2, 1);
    expect(bench.readCommon('queueEnable', 2)).toBe(0);
  });
});

describe('interrupts that the host defers', () => {
  test('wait for it, as the last level and one message for each vector', () => {
    const bench = new EmbedBench([], { deferInterrupts: true }).start({ messages: true });
    for (let i = 0; i < 3; i++) bench.send(frameOf(60));
    bench.post();
    bench.nic.receive(frameOf(60));
    expect([bench.messages, bench.nic.hasInterrupts]).toEqual([[], true]);
    bench.nic.flushInterrupts();
    expect(bench.messages).toEqual([
      [0xfee0_1000, 0x41],
      [0xfee0_1000, 0x42],
    ]);
    bench.nic.flushInterrupts();
    expect([bench.messages.length, bench.nic.hasInterrupts]).toEqual([2, false]);
  });

  test('a level that was taken back meanwhile is none', () => {
    const bench = new EmbedBench([], { deferInterrupts: true, vectors: 0 }).start();
    bench.send(frameOf(60));
    bench.isr();
    bench.nic.flushInterrupts();
    expect(bench.irq).toEqual([]);
    bench.send(frameOf(60));
    bench.nic.flushInterrupts();
    expect(bench.irq).toEqual([true]);
    bench.isr();
    expect(bench.irq).toEqual([true, false]);
    bench.send(frameOf(60));
    bench.nic.flushInterrupts();
    bench.nic.reset();
    expect(bench.irq).toEqual([true, false, true, false]);
  });
});

test('a host that is woken has work done when it says so', () => {
  const wakes: number[] = [];
  const bench = new EmbedBench();
  bench.nic = bench.plugIn({
    host: { setIrq: () => {}, transmit: (frame) => bench.transmit(frame), wake: () => wakes.push(bench.sent.length) },
  });
  bench.start();
  while (bench.nic.step());
  wakes.length = 0;
  bench.send(frameOf(60, 1));
  bench.send(frameOf(60, 2));
  expect([wakes, bench.sent.length]).toEqual([[0], 0]);
  bench.nic.step();
  expect(bench.sent.length).toBe(2);
  const state = bench.nic.saveState()!;
  wakes.length = 0;
  for (let n = 0; n < 2; n++) bench.nic.restoreState(state);
  expect(wakes.length).toBe(2);
});

test('RX-08: without a buffer a frame is the host’s to keep, which hears when there is one', () => {
  const bench = new EmbedBench().start();
  expect([bench.nic.receive(frameOf(60)), bench.rooms]).toEqual(['full', 0]);
  bench.post();
  bench.kick(0);
  expect(bench.rooms).toBeGreaterThan(0);
  expect(bench.nic.receive(frameOf(60))).toBe('accepted');
  expect(bench.nic.receive(new Uint8Array(13))).toBe('dropped');
});

test('RX-08: a frame that found no buffer is no room, neither for a host that is woken nor for one that is not', () => {
  const bench = new EmbedBench();
  const wakes: number[] = [];
  const { setIrq, transmit, room } = EmbedBench.prototype;
  const [heard, told] = [room.bind(bench), setIrq.bind(bench)];
  bench.nic = bench.plugIn({
    host: { setIrq: told, transmit: transmit.bind(bench), room: heard, wake: () => wakes.push(bench.rooms) },
  });
  bench.start();
  while (bench.nic.step());
  for (let n = 0; n < 3; n++) {
    expect(bench.nic.receive(frameOf(60))).toBe('full');
    while (bench.nic.step());
  }
  expect(bench.rooms).toBe(0);
  bench.post();
  bench.kick(0);
  while (bench.nic.step());
  expect([bench.rooms, bench.nic.receive(frameOf(60))]).toEqual([1, 'accepted']);
});

test('RX-08: a host that offers its frame again as soon as it hears of room is not kept busy by that', () => {
  const bench = new EmbedBench();
  const offered: string[] = [];
  bench.nic = bench.plugIn({
    host: { setIrq: () => {}, room: () => offered.push(bench.nic.receive(frameOf(61, 2))) },
  });
  bench.start();
  expect(bench.nic.receive(frameOf(61, 2))).toBe('full');
  bench.isr();
  expect(offered).toEqual([]);
  bench.post();
  bench.kick(0);
  expect([offered, bench.collect(0)]).toEqual([['accepted'], [73]]);
});

test('virtio 1.4 §5.1.9.3.1: buffers that hold no header are back, and the driver told, when `receive` says full', () => {
  const bench = new EmbedBench([], { vectors: 0 }).start();
  bench.post(1, 4);
  expect([bench.nic.receive(frameOf(60)), bench.irq, bench.collect(0)]).toEqual(['full', [true], [0]]);
});

test('two emulators on one switch: a frame goes from one memory into the other', () => {
  const { ports } = new LearningSwitch(2);
  const [a, b] = ports.map((port) => new EmbedBench([], { port }).start()) as [EmbedBench, EmbedBench];
  b.post();
  b.grow();
  a.send(frameOf(200, 7));
  expect(b.collect(0)).toEqual([212]);
  expect(b.received(0, 200)).toEqual(frameOf(200, 7));
  expect(() => a.nic.receive(frameOf(60))).toThrow(/^port is given/);
});

describe('a state', () => {
  const stated = (features: readonly number[] = [VIRTIO_NET_F.MAC]): [EmbedBench, Uint8Array] => {
    const bench = new EmbedBench(features, { deferInterrupts: true }).start({ messages: true });
    bench.post(2);
    bench.nic.receive(frameOf(60, 1));
    bench.send(frameOf(60, 2), false);
    return [bench, bench.nic.saveState()!];
  };

  test('tells the host of interrupts that wait before it is taken', () => {
    const [bench] = stated();
    expect(bench.messages).toEqual([[0xfee0_1000, 0x41]]);
  });

  test('a new device goes on where the other one was, its BARs are where they were, and nothing was lost', () => {
    const [bench, state] = stated();
    bench.nic = bench.plugIn({});
    bench.moved.length = 0;
    expect(bench.nic.restoreState(state)).toBeUndefined();
    expect(bench.moved).toEqual([[0, 0xfe00_0000]]);
    expect([bench.status(), bench.sent]).toEqual([READY, [frameOf(60, 2)]]);
    expect(bench.nic.receive(frameOf(61, 3))).toBe('accepted');
    expect(bench.collect(0)).toEqual([72, 73]);
    expect(bench.messages.slice(1)).toEqual([
      [0xfee0_1000, 0x42],
      [0xfee0_1000, 0x41],
    ]);
  });

  test('with the pin asserted asserts it again, for a host that forgot', () => {
    const bench = new EmbedBench([], { vectors: 0 }).start();
    bench.send(frameOf(60));
    const state = bench.nic.saveState()!;
    expect(bench.nic.restoreState(state)).toBeUndefined();
    expect(bench.irq.at(-1)).toBe(true);
  });

  test('keeps its address, takes a given one, or a new one that is a station’s', () => {
    const [bench, state] = stated();
    bench.nic = bench.plugIn({ mac: OTHER });
    bench.nic.restoreState(state);
    expect(bench.mac()).toEqual(OTHER);
    bench.nic.restoreState(state, MAC);
    expect(bench.mac()).toEqual(MAC);
    bench.nic.restoreState(state, 'new');
    const random = bench.mac();
    expect(random).not.toEqual(MAC);
    expect(random[0]! & 3).toBe(2);
    expect(() => bench.nic.restoreState(state, new Uint8Array(6))).toThrow(/^mac is 00:00:00:00:00:00/);
    expect(bench.mac()).toEqual(random);
  });

  test('cannot be taken from within the host’s own functions', () => {
    const bench = new EmbedBench().start();
    let inside: Uint8Array | undefined = new Uint8Array(1);
    bench.nic = bench.plugIn({
      host: {
        setIrq: () => {},
        transmit: () => {
          inside = bench.nic.saveState();
        },
      },
    });
    bench.start();
    bench.send(frameOf(60));
    expect(inside).toBeUndefined();
  });

  test('of a device with registers in I/O space is refused by one with registers in memory', () => {
    const [bench, state] = stated();
    bench.nic = bench.plugIn({ registers: 'io' });
    expect(bench.nic.restoreState(state)).toBe('BAR 0 is of another kind');
  });
});

test('a mistake of the embedder names what is wrong', () => {
  const bench = new EmbedBench();
  expect(() => bench.plugIn({ host: { setIrq: () => {} }, vectors: 2 })).toThrow(/^vectors is 2/);
  expect(() => bench.nic.receive(new Uint8Array(0x1_1000))).toThrow(/^frame.length is 69632/);
});
