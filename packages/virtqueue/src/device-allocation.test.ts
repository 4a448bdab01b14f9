import { describe, expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import type { DeviceQueue } from './device-queue.js';
import { openDeviceQueue } from './open-queue.js';
import { isRefusal } from './queue-layout.js';
import { AT, DeviceBench } from './testing/device-bench.js';
import { AVAIL_0, AVAIL_1, PackedBytes, SplitBytes, WRITE } from './testing/ring-bytes.js';

const SIZE = 256;
const ROUNDS = 20;
const LAPS_PER_ROUND = 400;

/** Heap that a loop took, in bytes: the sum of what each round added, so that a collection in between hides little. */
function heapTaken(loop: () => void): number {
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) {
    loop();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  return taken;
}

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  test('two million buffers are taken, put and published without an allocation per buffer', () => {
    const bench = new DeviceBench(layout, { size: SIZE });
    const { config, guest } = bench;
    const queue = openDeviceQueue(config);
    if (isRefusal(queue)) throw new Error(queue.message);
    const burst = new ChainBurst(32);
    const offerAll =
      layout === 'split' ? splitLaps(new SplitBytes(guest, SIZE, AT)) : packedLaps(new PackedBytes(guest, SIZE, AT));
    const laps = (): void => {
      for (let lap = 0; lap < LAPS_PER_ROUND; lap++) {
        offerAll();
        useAll(queue, burst);
      }
    };
    laps();
    const buffers = ROUNDS * LAPS_PER_ROUND * SIZE;
    const bytes = heapTaken(laps);
    expect(queue.counters.used).toBe(buffers + LAPS_PER_ROUND * SIZE);
    // The smallest object has 12 bytes; a lap of 256 buffers may cost a little, a buffer nothing.
    expect(bytes / buffers).toBeLessThan(2);
  });
});

/** Make every buffer of a ring available whose descriptors stay as they are. */
function splitLaps(bytes: SplitBytes): () => void {
  bytes.zero();
  for (let n = 0; n < SIZE; n++) {
    bytes.desc(n, AT.buffers + 64 * n, 64, n & 1 ? WRITE : 0);
    bytes.availEntry(n, n);
  }
  let idx = 0;
  return () => {
    idx = (idx + SIZE) & 0xffff;
    bytes.availIdx(idx);
  };
}

function packedLaps(bytes: PackedBytes): () => void {
  bytes.zero();
  let wrap = 0;
  for (let n = 0; n < SIZE; n++) bytes.slot(n, AT.buffers + 64 * n, 64, n, AVAIL_0);
  return () => {
    wrap ^= 1;
    const marks = wrap === 1 ? AVAIL_1 : AVAIL_0;
    // Address and id are as the lap before left them, the length is the used one.
    for (let n = 0; n < SIZE; n++) bytes.relaunch(n, 64, marks | (n & 1 ? WRITE : 0));
  };
}

function useAll(queue: DeviceQueue, burst: ChainBurst): void {
  for (let left = SIZE; left > 0; left -= burst.count) {
    burst.clear();
    if (queue.takeBurst(burst, 32) !== 32) throw new Error('a buffer was not taken');
    for (let i = 0; i < burst.count; i++) if (burst.firstWritable[i]! < burst.end(i)) burst.written[i] = 60;
    queue.putUsedBurst(burst, 0, burst.count);
    queue.publishUsed();
  }
}
