import { takeEvent } from '@ringwire/linux';
import { DELIVERED } from '@ringwire/net-backend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { joined, long, longs, words } from './testing/raw-peer.js';
import { held, PACKED, QUEUE_SIZE, RAM, SessionStage, SPLIT, usedOf } from './testing/session-stage.js';

let stage: SessionStage;
let before: ReturnType<typeof held>;

beforeEach(() => {
  before = held();
  stage = new SessionStage();
});

afterEach(() => {
  stage.end();
  expect(held().fds).toBe(before.fds);
});

const FRAME_AT = RAM.gpa + 0x9000;
const frame = (value: number): Uint8Array => Uint8Array.from({ length: 60 }, (_, at) => (at < 12 ? 2 : value));
/** 12 bytes of virtio_net_hdr that ask for nothing, and the frame. */
const sent = (value: number): Uint8Array => joined(new Uint8Array(12), frame(value));

test('a front-end is told what the device, its rings and the protocol can do', () => {
  const features = long(stage.ask(1)!);
  // MAC 5, MRG_RXBUF 15, the protocol's LOG_ALL 26 and 30, INDIRECT_DESC 28, EVENT_IDX 29, VERSION_1 32,
  // ACCESS_PLATFORM 33, RING_PACKED 34, IN_ORDER 35.
  expect(features).toBe([5, 15, 26, 28, 29, 30, 32, 33, 34, 35].reduce((all, bit) => all | (1n << BigInt(bit)), 0n));
  // MQ 0, LOG_SHMFD 1, RARP 2, REPLY_ACK 3, NET_MTU 4, BACKEND_REQ 5, CONFIG 9, INFLIGHT_SHMFD 12, RESET_DEVICE 13,
  // INBAND_NOTIFICATIONS 14, CONFIGURE_MEM_SLOTS 15, STATUS 16.
  expect(long(stage.ask(15)!)).toBe(0x1_f23fn);
  expect(long(stage.ask(17)!)).toBe(1n);
  stage.say(16, longs(0x1_e23dn));
  expect(long(stage.ask(36)!)).toBe(32n);
  // Bytes 0 to 5 of the configuration are the address.
  const config = stage.ask(24, joined(words(0, 6, 0), new Uint8Array(6)))!;
  expect(config).toEqual(joined(words(0, 6, 0), Uint8Array.of(2, 0, 0, 0, 0, 1)));
});

test('an answer has the version, the reply flag and its request', () => {
  stage.say(1, new Uint8Array(0));
  expect(stage.peer.answer()).toMatchObject({ id: 1, flags: 5 });
});

test('a request that asks for it is acknowledged, once that was negotiated', () => {
  stage.say(3, new Uint8Array(0), [], 9);
  expect(stage.peer.answer()).toBeUndefined();
  stage.say(16, longs(8));
  stage.say(3, new Uint8Array(0), [], 9);
  expect(stage.peer.answer()).toMatchObject({ id: 3, flags: 5, payload: longs(0) });
  stage.say(16, longs(1n << 40n), [], 9);
  expect(stage.peer.answer()).toMatchObject({ id: 16, payload: longs(1) });
  expect(stage.session.refusal).toBe('protocol features 0x10000000000 were not offered');
  expect(stage.session.problem).toBeUndefined();
});

test('the status is kept, and 0 resets the rings', () => {
  stage.setUp(SPLIT);
  stage.say(16, longs(0x1_0008));
  stage.start();
  stage.say(39, longs(0xf));
  expect(long(stage.ask(40)!)).toBe(0xfn);
  stage.say(39, longs(0));
  expect(long(stage.ask(40)!)).toBe(0n);
  expect(stage.session.port.vrings.map(({ queue, started }) => [queue, started])).toEqual([
    [undefined, false],
    [undefined, false],
  ]);
});

test('FEATURES_OK is not there while the features that were set last were refused', () => {
  stage.say(16, longs(0x1_0008));
  stage.say(2, longs(1n << 60n), [], 9);
  expect(stage.peer.answer()).toMatchObject({ id: 2, payload: longs(1) });
  stage.say(39, longs(0xb));
  expect(long(stage.ask(40)!)).toBe(3n);
  stage.say(2, longs(SPLIT), [], 9);
  expect(stage.peer.answer()).toMatchObject({ id: 2, payload: longs(0) });
  stage.say(39, longs(0xb));
  expect(long(stage.ask(40)!)).toBe(0xbn);
});

test('NET_SET_MTU: the mtu is the front-end’s until the connection ends, and none that the device cannot have', () => {
  const other = new SessionStage({ mtu: 9000, features: [3, 5] });
  const mtuOf = (): Uint8Array => other.ask(24, joined(words(10, 2, 0), new Uint8Array(2)))!.subarray(12);
  other.say(16, longs((1n << 3n) | (1n << 4n) | (1n << 9n)));
  for (const [mtu, answer] of [
    [1500, 0],
    [9001, 1],
    [67, 1],
    [2 ** 32 + 1500, 1],
    [2000, 0],
  ] as const) {
    other.say(20, longs(mtu), [], 9);
    expect(other.peer.answer()).toMatchObject({ id: 20, payload: longs(answer) });
  }
  expect(other.session.refusal).toBe('the device has no mtu of 4294968796');
  expect(mtuOf()).toEqual(Uint8Array.of(0xd0, 7));
  other.end();
  expect(new DataView(other.device.config.buffer).getUint16(10, true)).toBe(9000);
});

test('SEND_RARP: the network hears where the guest is now', () => {
  stage.say(16, longs(1n << 2n));
  stage.say(19, Uint8Array.of(2, 0, 0, 0, 0, 0xaa, 0, 0));
  const mac = [2, 0, 0, 0, 0, 0xaa];
  const rarp = [0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3, ...mac, 0, 0, 0, 0, ...mac, 0, 0, 0, 0];
  expect(stage.backend.bytes).toEqual([Uint8Array.of(...Array(6).fill(0xff), ...mac, ...rarp, ...Array(18).fill(0))]);
  // No station's address: nothing is sent, and nobody is cut off.
  stage.say(19, Uint8Array.of(1, 0, 0, 0, 0, 0xaa, 0, 0));
  expect(stage.backend.bytes).toHaveLength(1);
  expect(stage.session.problem).toBeUndefined();
});

describe.each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)('over a %s ring', (layout, features) => {
  test('frames leave from the front-end’s memory and arrive in it, with kick and call', () => {
    stage.setUp(features);
    const [rx, tx] = [stage.openDriver(0, features), stage.openDriver(1, features)];
    stage.start();
    expect(stage.session.problem).toBeUndefined();
    stage.guest.write(FRAME_AT, sent(7));
    tx.addReadable(FRAME_AT, 72);
    rx.addWritable(FRAME_AT + 0x1000, 1526);
    tx.publish();
    rx.publish();
    stage.turn();
    expect(stage.backend.bytes).toEqual([frame(7)]);
    expect(usedOf(tx)).toHaveLength(1);
    expect([takeEvent(stage.calls[0]!), takeEvent(stage.calls[1]!)]).toEqual([false, true]);
    expect(stage.bring(frame(9))).toBe(DELIVERED.ACCEPTED);
    stage.turn();
    expect(usedOf(rx)).toEqual([{ id: expect.any(Number), written: 72 }]);
    expect(stage.guest.read(FRAME_AT + 0x1000 + 12, 60)).toEqual(frame(9));
    expect(takeEvent(stage.calls[0]!)).toBe(true);
  });

  test('a ring goes on where it stopped, through GET_VRING_BASE and another connection’s SET_VRING_BASE', () => {
    stage.setUp(features);
    const tx = stage.openDriver(1, features);
    stage.start();
    const bases: number[] = [];
    stage.guest.write(FRAME_AT, sent(1));
    for (let round = 0; round < 5; round++) {
      for (let count = 0; count < 5; count++) tx.addReadable(FRAME_AT, 72);
      tx.publish();
      stage.turn();
      expect(usedOf(tx)).toHaveLength(5);
      const [index, base] = new Uint32Array(stage.ask(11, words(1, 0))!.buffer);
      expect(index).toBe(1);
      bases.push(base!);
      stage.say(10, words(1, layout === 'packed' ? base! & 0xffff : base!));
      stage.say(12, longs(1), [stage.kicks[1]!]);
      expect(stage.session.problem).toBeUndefined();
    }
    expect(stage.backend.bytes).toHaveLength(25);
    // Packed: 16 descriptors to a lap, and the wrap counter in bit 15 starts at 1; used in the upper half is the same.
    const packed = [0x8005, 0x800a, 0x800f, 0x0004, 0x0009].map((half) => half * 0x1_0001);
    expect(bases).toEqual(layout === 'packed' ? packed : [5, 10, 15, 20, 25]);
  });

  test('after a reset by SET_STATUS a ring is still to be asked where it was: QEMU 7.2 asks only then, and goes on from there', () => {
    stage.setUp(features);
    stage.say(16, longs(0x1_0008));
    const tx = stage.openDriver(1, features);
    stage.start();
    stage.guest.write(FRAME_AT, sent(1));
    const send = (): void => {
      for (let count = 0; count < 5; count++) tx.addReadable(FRAME_AT, 72);
      tx.publish();
      stage.turn();
      expect(usedOf(tx)).toHaveLength(5);
    };
    send();
    stage.say(39, longs(0));
    const base = layout === 'packed' ? 0x8005_8005 : 5;
    expect(stage.ask(11, words(1, 0))).toEqual(words(1, base));
    stage.setUp(features, [layout === 'packed' ? 0x8000 : 0, base & 0xffff]);
    stage.start();
    send();
    expect(stage.backend.bytes).toHaveLength(10);
  });

  test('a ring that is stopped in the middle of a burst has what it was given, and was told of it', () => {
    stage.setUp(features);
    const rx = stage.openDriver(0, features);
    stage.start();
    for (let count = 0; count < 3; count++) rx.addWritable(FRAME_AT + 0x1000 * count, 1526);
    rx.publish();
    expect(stage.bring(frame(9), false)).toBe(DELIVERED.ACCEPTED);
    const base = new Uint32Array(stage.ask(11, words(0, 0))!.buffer)[1]!;
    expect(base & 0x7fff).toBe(1);
    expect(usedOf(rx)).toHaveLength(1);
    expect(stage.port.queue(0)).toBeUndefined();
    expect(takeEvent(stage.calls[0]!)).toBe(true);
  });

  test('a ring that is disabled is left alone, and goes on when it is enabled again', () => {
    stage.setUp(features);
    const tx = stage.openDriver(1, features);
    stage.start();
    stage.guest.write(FRAME_AT, sent(1));
    for (const [enabled, frames] of [
      [1, 1],
      [0, 1],
      [1, 3],
    ] as const) {
      stage.say(18, words(1, enabled));
      tx.addReadable(FRAME_AT, 72);
      tx.publish();
      stage.turn();
      expect(stage.backend.bytes).toHaveLength(frames);
    }
    expect(usedOf(tx)).toHaveLength(3);
  });

  test('VU-11: memory that is replaced or removed in the middle of traffic is not reached any more', () => {
    stage.setUp(features);
    stage.say(16, longs((1n << 15n) | 8n));
    const tx = stage.openDriver(1, features);
    stage.start();
    stage.guest.write(FRAME_AT, sent(1));
    tx.addReadable(FRAME_AT, 72);
    tx.publish();
    stage.turn();
    stage.say(5, stage.memTable(), [stage.file], 9);
    expect(stage.peer.answer()?.payload).toEqual(longs(0));
    expect(held().maps).toBe(before.maps + 2);
    tx.addReadable(FRAME_AT, 72);
    tx.publish();
    stage.turn();
    expect(stage.backend.bytes).toHaveLength(2);
    const region = joined(longs(0), longs(RAM.gpa, RAM.size, RAM.userspace, RAM.offset));
    stage.say(38, region, [], 9);
    // The rings lay there: they can't go on, and the front-end is told.
    expect(stage.peer.answer()?.payload).toEqual(longs(1));
    expect(held().maps).toBe(before.maps + 1);
    expect(stage.memory.inUse).toBe(0);
    tx.addReadable(FRAME_AT, 72);
    tx.publish();
    stage.turn();
    expect(stage.backend.bytes).toHaveLength(2);
    stage.say(37, region, [stage.file]);
    stage.say(12, longs(1), [stage.kicks[1]!]);
    stage.turn();
    expect(stage.session.problem).toBeUndefined();
    expect(stage.backend.bytes).toHaveLength(3);
  });
});

test('a region that is there is added again and changes nothing: QEMU 7.2 does so once for every pair of rings', () => {
  stage.setUp(SPLIT);
  stage.say(16, longs(0x1_8008));
  const queues = (): unknown[] => stage.session.port.vrings.map(({ queue }) => queue);
  stage.start();
  const running = queues();
  const region = (size: number, offset: number): Uint8Array =>
    joined(longs(0), longs(RAM.gpa, size, RAM.userspace, offset));
  stage.say(37, region(RAM.size, RAM.offset), [stage.file], 9);
  expect(stage.peer.answer()?.payload).toEqual(longs(0));
  expect(queues().map((queue, at) => queue === running[at])).toEqual([true, true]);
  expect(held().maps).toBe(before.maps + 2);
  for (const [size, offset] of [
    [RAM.size, 0],
    [RAM.size - 4096, RAM.offset],
  ] as const) {
    stage.say(37, region(size, offset), [stage.file], 9);
    expect(stage.peer.answer()?.payload).toEqual(longs(1));
  }
});

test('QEMU 7.2 removes a region once for every pair of rings: what is gone is gone, and what never was is refused', () => {
  stage.setUp(SPLIT);
  stage.say(16, longs(0x1_8008));
  stage.start();
  // Behind the RAM, whose rings go on; the file is the same.
  const region = (gpa: bigint, offset = 0): Uint8Array =>
    joined(longs(0), longs(gpa, 4096, 0x7f00_0000_0000 + Number(gpa), offset));
  const [there, never] = [0x2_0000_0000n, 0x3_0000_0000n];
  const said = (id: number, payload: Uint8Array, fds: number[] = []): Uint8Array => {
    stage.say(id, payload, fds, 9);
    return stage.peer.answer()!.payload;
  };
  for (let round = 0; round < 3; round++) {
    for (let pair = 0; pair < 2; pair++) expect(said(37, region(there), [stage.file])).toEqual(longs(0));
    expect(held().maps).toBe(before.maps + 3);
    const running = stage.session.port.vrings.map(({ queue }) => queue);
    expect(said(38, region(never))).toEqual(longs(1));
    expect(stage.session.refusal).toBe('there is no such region');
    // Its place in the file does not count.
    expect(said(38, region(there, 4096))).toEqual(longs(0));
    expect(held().maps).toBe(before.maps + 2);
    expect(stage.session.port.vrings.every(({ queue }, at) => queue !== undefined && queue !== running[at])).toBe(true);
    const left = stage.session.port.vrings.map(({ queue }) => queue);
    expect(said(38, region(there))).toEqual(longs(0));
    expect(stage.session.port.vrings.map(({ queue }) => queue)).toEqual(left);
  }
  // Without acknowledgements a refusal would end the connection.
  stage.say(16, longs(0x1_8000));
  stage.say(38, region(there));
  expect(stage.session.problem).toBeUndefined();
  stage.say(38, region(never));
  expect(stage.session.problem).toBe('there is no such region');
});

test('without protocol features a kick enables a ring', () => {
  stage.setUp(SPLIT);
  stage.say(2, longs(SPLIT & ~(1n << 30n)));
  stage.say(12, longs(1), [stage.kicks[1]!]);
  expect(stage.session.port.vrings.map(({ queue }) => queue?.size)).toEqual([undefined, QUEUE_SIZE]);
});

test('a ring without a descriptor for kicks or calls is polled', () => {
  stage.setUp(SPLIT);
  const tx = stage.openDriver(1, SPLIT);
  stage.say(13, longs(0x101));
  stage.say(12, longs(0x101));
  expect(stage.session.port.deadline()).toBe(Number.POSITIVE_INFINITY);
  stage.say(18, words(1, 1));
  stage.time = 7;
  expect(stage.session.port.deadline()).toBe(2007);
  stage.guest.write(FRAME_AT, sent(1));
  tx.addReadable(FRAME_AT, 72);
  tx.publish();
  stage.turn();
  expect(stage.backend.bytes).toHaveLength(1);
  expect(takeEvent(stage.calls[1]!)).toBe(false);
});

test('the end of a connection lets go of descriptors and memory, and the device serves the next one', () => {
  stage.setUp(SPLIT);
  stage.start();
  expect(held()).toEqual({ fds: before.fds + 11, maps: before.maps + 2 });
  stage.session.close();
  expect(held()).toEqual({ fds: before.fds + 6, maps: before.maps + 1 });
  expect(stage.peer.isOpen).toBe(false);
  expect(stage.memory.inUse).toBe(0);
  expect(stage.port.enter()).toBe(false);
});

test('a device of split rings offers no packed ones', () => {
  stage.end();
  stage = new SessionStage({}, 'split');
  expect((long(stage.ask(1)!) >> 34n) & 1n).toBe(0n);
  stage.setUp(SPLIT);
  expect(stage.session.problem).toBeUndefined();
});

test('a device of packed rings refuses a front-end that wants split ones', () => {
  stage.end();
  stage = new SessionStage({}, 'packed');
  stage.setUp(PACKED);
  expect(stage.session.problem).toBeUndefined();
  stage.say(2, longs(SPLIT));
  expect(stage.session.problem).toBe('split rings are not served here');
});
