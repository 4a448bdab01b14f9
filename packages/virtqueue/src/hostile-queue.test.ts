import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AddressSpace } from '@ringwire/guest-memory';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import { openDeviceQueue } from './open-queue.js';
import { CHAIN_FAULT } from './queue-fault.js';
import { isRefusal, type QueueConfig } from './queue-layout.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { MeddlingSpace } from './testing/meddling-space.js';
import { hex, NEXT, WRITE } from './testing/ring-bytes.js';

// What a hostile driver can do to a queue of either layout while it runs, and where it can put one.

const SIZE = 8;

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  /** A bench whose guest can act while the device looks an address up. */
  function meddled(options: BenchOptions = {}): { bench: DeviceBench; space: MeddlingSpace } {
    let made: MeddlingSpace | undefined;
    const wrapSpace = (inner: AddressSpace): AddressSpace => {
      made = new MeddlingSpace(inner);
      return made;
    };
    const bench = new DeviceBench(layout, { ...options, wrapSpace });
    return { bench, space: made! };
  }

  /** Rewrite address and length of a published descriptor, nothing else. */
  function rewrite(bench: DeviceBench, index: number, addr: number, len: number): void {
    const at = AT.desc + 16 * index;
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(0, addr, true);
    new DataView(bytes.buffer).setUint32(8, len, true);
    bench.guest.write(at, bytes);
  }

  test('SP-31, PK-11: a descriptor rewritten between check and use is used as it was checked', () => {
    const { bench, space } = meddled();
    bench.guest.write(AT.buffers, hex`01 02 03 04`);
    for (const flags of [0, WRITE]) {
      const id = bench.ring.offer([{ addr: AT.buffers, len: 4, flags }]);
      space.meddle = () => rewrite(bench, 0, AT.end, 0xffff_ffff);
      const since = bench.guest.snapshot();
      const turn = bench.turn();
      space.meddle = undefined;
      expect(turn).toMatchObject({ taken: 1, faults: [], sent: flags === 0 ? [hex`01 02 03 04`] : [] });
      expect(bench.ring.collect()).toEqual([{ id, len: flags === 0 ? 0 : 4 }]);
      const rewritten = { gpa: AT.desc, length: 12 };
      bench.expectUntouched(since, [
        ...bench.ring.deviceBytes(),
        rewritten,
        { gpa: AT.buffers, length: flags === 0 ? 0 : 4 },
      ]);
      bench.reset();
    }
    bench.expectProbe();
  });

  test('SP-31, PK-11: a chain rewritten while it is followed is old or new per descriptor, never half of each', () => {
    const { bench, space } = meddled();
    bench.guest.write(AT.buffers, hex`01 02 03 04`);
    bench.guest.write(AT.buffers + 0x100, hex`0a 0b`);
    const chain = [
      { addr: AT.buffers, len: 2 },
      { addr: AT.buffers + 2, len: 2 },
    ];
    const good = bench.ring.offer(chain);
    space.meddle = () => rewrite(bench, 1, AT.buffers + 0x100, 1);
    expect(bench.turn().sent).toEqual([hex`01 02 0a`]);
    expect(bench.ring.collect()).toEqual([{ id: good, len: 0 }]);
    // The new one out of reach: the chain is given up.
    space.meddle = undefined;
    bench.reset();
    const bad = bench.ring.offer(chain);
    space.meddle = () => rewrite(bench, 1, AT.end - 1, 2);
    expect(bench.turn()).toMatchObject({ sent: [], faults: [CHAIN_FAULT.ADDRESS] });
    expect(bench.ring.collect()).toEqual([{ id: bad, len: 0 }]);
    space.meddle = undefined;
    bench.expectProbe();
  });

  test('SP-31, PK-11: an indirect table is copied whole before its first entry is looked at', () => {
    const { bench, space } = meddled();
    bench.guest.write(AT.buffers, hex`01 02 03 04`);
    const entries = [0, 1, 2, 3].map((at) => ({ addr: AT.buffers + at, len: 1 }));
    const id = bench.ring.offer([bench.ring.table(AT.tables, entries)]);
    space.meddle = () => {
      // The table's own address is the first to be looked up, and the table is not copied yet.
      if (space.asked.length > 1) bench.guest.write(AT.tables, new Uint8Array(64).fill(0xff));
    };
    expect(bench.turn().sent).toEqual([hex`01 02 03 04`]);
    expect(space.asked.map(([address]) => address)).toEqual([AT.tables, ...entries.map(({ addr }) => addr)]);
    expect(bench.ring.collect()).toEqual([{ id, len: 0 }]);
  });

  test('SP-31: the id and the length of the completion are those of the chain as it was taken', () => {
    const bench = new DeviceBench(layout);
    const id = bench.ring.offer([{ addr: AT.buffers, len: 16, flags: WRITE }]);
    bench.queue.takeBurst(bench.burst, 1);
    bench.guest.write(AT.desc, new Uint8Array(14).fill(0xee));
    bench.queue.putUsed(bench.burst.token[0]!, 16);
    bench.queue.publishUsed();
    expect(bench.ring.collect()).toEqual([{ id, len: 16 }]);
  });

  test('SP-32: while the guest keeps adding buffers, one call takes Queue Size chains at most', () => {
    const { bench, space } = meddled({ burst: 64 });
    const offer = (): number => bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    offer();
    let room = SIZE - 1;
    space.meddle = () => {
      if (room-- > 0) offer();
    };
    let taken = 0;
    for (let calls = 0; calls < SIZE && taken < SIZE; calls++) taken += bench.queue.takeBurst(bench.burst, 64);
    expect(taken).toBe(SIZE);
    expect(bench.queue.takeBurst(bench.burst, 64)).toBe(0);
    bench.queue.putUsedBurst(bench.burst, 0, SIZE);
    bench.queue.publishUsed();
    expect(bench.ring.collect()).toHaveLength(SIZE);
    space.meddle = undefined;
    bench.expectProbe();
  });

  test('SP-32: a guest that adds more than the ring holds stops its own queue', () => {
    const { bench, space } = meddled({ burst: 64 });
    const offer = (): number => bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    offer();
    space.meddle = offer;
    for (let calls = 0; calls < 2 * SIZE; calls++) bench.queue.takeBurst(bench.burst, 64);
    expect(bench.burst.count).toBeLessThanOrEqual(SIZE);
    expect(bench.queue.ringFault).not.toBe(0);
    space.meddle = undefined;
    bench.reset();
    bench.expectProbe();
  });

  /** The queue is not opened, nothing is written, and where it belongs it opens. */
  function expectRefused(change: Partial<QueueConfig>, field: string): void {
    const bench = new DeviceBench(layout);
    const since = bench.guest.snapshot();
    expect(openDeviceQueue({ ...bench.config, ...change })).toMatchObject({ field });
    bench.expectUntouched(since, []);
    expect(isRefusal(openDeviceQueue(bench.config))).toBe(false);
    bench.expectProbe();
  }

  test('SP-36: parts that overlap are refused', () => {
    const last = AT.desc + 16 * SIZE;
    expectRefused({ driver: AT.desc }, 'driver');
    expectRefused({ driver: last - 4 }, 'driver');
    expectRefused({ device: AT.desc }, 'device');
    expectRefused({ device: last - 4 }, 'device');
    expectRefused({ device: AT.driver }, 'device');
    expectRefused({ driver: AT.device }, 'device');
    if (layout === 'split') expectRefused({ device: AT.driver + 20 }, 'device');
    if (layout === 'split') expectRefused({ driver: AT.device + 68 }, 'device');
  });

  test('SP-36: parts that lie next to one another run', () => {
    const bench = new DeviceBench(layout, {
      place: { desc: AT.desc, driver: AT.desc + 16 * SIZE, device: AT.desc + 16 * SIZE + 24 },
    });
    bench.expectProbe();
  });

  test('SP-37, PK-16: a part that passes the end of RAM, or lies beyond it, is refused', () => {
    for (const edge of [AT.end, AT.hole]) {
      // One step of its alignment further than the last place where the part fits.
      expectRefused({ desc: edge - 112 }, 'desc');
      if (layout === 'split') expectRefused({ driver: edge - 20 }, 'driver');
      if (layout === 'split') expectRefused({ device: edge - 68 }, 'device');
      for (const field of ['desc', 'driver', 'device'] as const) expectRefused({ [field]: edge }, field);
    }
    for (const field of ['desc', 'driver', 'device'] as const) {
      expectRefused({ [field]: 0 }, field);
      expectRefused({ [field]: 2 ** 53 - 16 }, field);
      expectRefused({ [field]: 2 ** 53 }, field);
      expectRefused({ [field]: -16 }, field);
      expectRefused({ [field]: Number.NaN }, field);
    }
  });

  test('SP-38: a misaligned part is refused', () => {
    for (const off of [1, 2, 4, 8, 15]) expectRefused({ desc: AT.desc + off }, 'desc');
    for (const off of [1, ...(layout === 'split' ? [3] : [2, 3])]) expectRefused({ driver: AT.driver + off }, 'driver');
    for (const off of [1, 2, 3]) expectRefused({ device: AT.device + off }, 'device');
  });

  test('SP-39: a million kicks on an empty queue complete and notify nothing', () => {
    for (const features of [[], [VIRTIO_F.EVENT_IDX]]) {
      const bench = new DeviceBench(layout, { features });
      bench.expectProbe();
      const since = bench.guest.snapshot();
      const queue = openDeviceQueue(bench.config, bench.queue.save());
      if (isRefusal(queue)) throw new Error(queue.message);
      const burst = new ChainBurst(32);
      let answers = 0;
      for (let kick = 0; kick < 500_000; kick++) answers += queue.takeBurst(burst, 32) + (queue.publishUsed() ? 1 : 0);
      expect(answers).toBe(0);
      bench.expectUntouched(since, []);
      bench.open(queue.save());
      bench.expectProbe();
    }
  });

  test('10 000 times a huge table, an unreachable buffer and a wrong order leave no memory behind', () => {
    const bench = new DeviceBench(layout);
    const queue = openDeviceQueue(bench.config);
    if (isRefusal(queue)) throw new Error(queue.message);
    const burst = new ChainBurst(4);
    const attacks = [
      [{ addr: AT.tables, len: 0xffff_fff0, flags: 4 }],
      [{ addr: AT.end, len: 0xffff_ffff, flags: WRITE }],
      [
        { addr: AT.buffers, len: 8, flags: WRITE },
        { addr: AT.buffers, len: 8, flags: 0 },
      ],
    ];
    const round = (): void => {
      for (const attack of attacks) bench.ring.offer(attack);
      burst.clear();
      if (queue.takeBurst(burst, 4) !== 3) throw new Error('an attack was not taken');
      queue.putUsedBurst(burst, 0, 3);
      queue.publishUsed();
      bench.ring.collect();
    };
    const { growth, rounds } = leastGrowth(round);
    expect(growth).toBeLessThan(512 * 1024);
    expect(queue.counters.chainFaults[CHAIN_FAULT.INDIRECT_LENGTH]).toBe(rounds);
    expect(queue.counters.chainFaults[CHAIN_FAULT.READABLE_AFTER_WRITABLE]).toBe(rounds);
  });
});

test('10 000 ring faults, each with a reset, leave no memory behind', () => {
  for (const layout of ['split', 'packed'] as const) {
    const bench = new DeviceBench(layout);
    const burst = new ChainBurst(4);
    const round = (): void => {
      bench.ring.reset();
      const queue = openDeviceQueue(bench.config);
      if (isRefusal(queue)) throw new Error(queue.message);
      if (bench.ring.layout === 'split') bench.ring.publish(SIZE);
      else for (let slot = 0; slot < SIZE; slot++) bench.ring.bytes.slot(slot, AT.buffers, 1, 0, NEXT | 0x80);
      burst.clear();
      queue.takeBurst(burst, 4);
      if (queue.ringFault === 0) throw new Error('the ring was trusted');
      queue.stop();
    };
    expect(leastGrowth(round).growth).toBeLessThan(512 * 1024);
  }
});

/** What is left behind each time grows the heap each time; what V8 compiles meanwhile does so once. */
function leastGrowth(round: () => void): { growth: number; rounds: number } {
  let rounds = 0;
  const run = (count: number): void => {
    for (let n = 0; n < count; n++) round();
    rounds += count;
  };
  run(200);
  let growth = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = heapAfterCollection();
    run(10_000);
    growth = Math.min(growth, heapAfterCollection() - before);
  }
  return { growth, rounds };
}

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  return process.memoryUsage().heapUsed;
}
