import { expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import { AT, DeviceBench } from './testing/device-bench.js';
import type { Layout } from './testing/hand-ring.js';
import type { RingPlace } from './testing/ring-bytes.js';

// Full rings over several laps, for sizes at the edges. The largest ring has parts of 512, 64 and 256 KiB.

const RAM = 0x100_0000;
const LARGE: RingPlace = { desc: RAM, driver: RAM + 0x8_0000, device: RAM + 0xa_0000 };

function benchOf(layout: Layout, size: number): DeviceBench {
  const large = size > 256;
  return new DeviceBench(layout, {
    size,
    burst: size,
    place: large ? LARGE : AT,
    moreRam: large ? [{ gpa: RAM, size: 0x10_0000 }] : [],
  });
}

const SIZES: readonly [Layout, number][] = [
  ['split', 1],
  ['split', 2],
  ['split', 256],
  ['split', 32768],
  ['packed', 1],
  ['packed', 2],
  ['packed', 7],
  ['packed', 256],
  ['packed', 300],
  ['packed', 32768],
];

test.each(SIZES)('a %s ring of %i is filled and emptied, over and over', (layout, size) => {
  const bench = benchOf(layout, size);
  const { guest, ring } = bench;
  guest.write(AT.buffers, Uint8Array.of(0x5a));
  // Index 65535 → 0 comes after 65536 buffers: within three laps of the largest ring, within the small ones' many.
  const laps = size > 256 ? 3 : 9;
  for (let lap = 0; lap < laps; lap++) {
    const ids = Array.from({ length: size }, () => ring.offer([{ addr: AT.buffers, len: 1 }]));
    const turn = bench.turn();
    expect([turn.taken, turn.sent.length, turn.faults.length]).toEqual([size, size, 0]);
    expect(ring.collect().map(({ id }) => id)).toEqual(ids);
    expect(bench.queue.hasAvailable()).toBe(false);
  }
  expect([bench.queue.inFlight, bench.queue.ringFault]).toEqual([0, 0]);
});

test.each(SIZES)('in a %s ring of %i, one chain may have all of the descriptors', (layout, size) => {
  const bench = benchOf(layout, size);
  const elements = Array.from({ length: size }, (_, n) => ({ addr: AT.buffers + (n % 4096), len: 1 }));
  for (let lap = 0; lap < 3; lap++) {
    const id = bench.ring.offer(elements);
    const turn = bench.turn();
    expect([turn.taken, turn.sent[0]?.length]).toEqual([1, size]);
    expect(bench.ring.collect()).toEqual([{ id, len: 0 }]);
  }
  bench.expectProbe();
});

test('available and used index wrap 65535 → 0 many times in a small ring', () => {
  const bench = benchOf('split', 4);
  const { ring, queue } = bench;
  const burst = new ChainBurst(4);
  for (let n = 0; n < 140_000; n += 3) {
    const ids = [0, 1, 2].map(() => ring.offer([{ addr: AT.buffers, len: 1 }]));
    burst.clear();
    if (queue.takeBurst(burst, 4) !== 3) throw new Error(`buffer ${n} was not taken`);
    queue.putUsedBurst(burst, 0, 3);
    queue.publishUsed();
    const used = ring.collect();
    if (used.length !== 3 || used.some(({ id }, at) => id !== ids[at]))
      throw new Error(`buffer ${n}: ${JSON.stringify(used)}`);
  }
  expect([queue.inFlight, queue.ringFault]).toEqual([0, 0]);
});
