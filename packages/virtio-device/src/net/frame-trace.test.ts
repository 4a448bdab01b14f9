import { RangeList } from '@ringwire/guest-memory';
import { DELIVERED, Frame } from '@ringwire/net-backend';
import { UsedBurst } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import type { FrameTrace } from './frame-trace.js';
import { MAC, NetBench } from './testing/net-bench.js';

const SIZE = 64;
const FRAME_BYTES = 60;
const ROUNDS = 20;
const LAPS_PER_ROUND = 500;
const HEADER_BYTES = 12;

/** Heap that a loop took, in bytes: the sum of what each round added, so that a collection in between hides little. */
function heapTaken(loop: () => void): number {
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) {
    for (let lap = 0; lap < LAPS_PER_ROUND; lap++) loop();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  return taken / (ROUNDS * LAPS_PER_ROUND * SIZE);
}

/** A trace that keeps the least there is to keep of each frame. */
class Keeper implements FrameTrace {
  frames = 0;
  last: object = {};

  transmitted(pair: number, frame: Frame): void {
    this.frames++;
    this.last = { pair, length: frame.length, at: this.frames };
  }

  received(pair: number, frame: Frame): void {
    this.transmitted(pair, frame);
  }
}

/** A ring full of frames in each direction, again and again. */
function traffic(layout: 'split' | 'packed', trace?: FrameTrace): { lap: () => void; sent: () => number } {
  const bench = new NetBench(layout, [], { size: SIZE, ...(trace === undefined ? {} : { trace }) });
  const [rx, tx] = bench.queues;
  const used = new UsedBurst(SIZE);
  const buffers = bench.take(2048 * SIZE, 64);
  const frame = new Frame(bench.guest.memory);
  frame.ranges = new RangeList(1);
  frame.ranges.push(bench.guest.space.resolve(buffers + HEADER_BYTES, FRAME_BYTES, 1), FRAME_BYTES);
  frame.end = 1;
  frame.length = FRAME_BYTES;
  bench.guest.write(buffers, new Uint8Array(HEADER_BYTES));
  bench.guest.write(buffers + HEADER_BYTES, MAC);
  let sent = 0;
  bench.backend.receive = () => {
    sent++;
    return DELIVERED.ACCEPTED;
  };
  bench.backend.pump = () => {
    for (let i = 0; i < SIZE; i++) bench.device.sink.receive(frame);
    return SIZE;
  };
  const lap = (): void => {
    for (let i = 0; i < SIZE; i++) {
      tx!.addReadable(buffers, HEADER_BYTES + FRAME_BYTES);
      rx!.addWritable(buffers + 2048 * (i & 7) + 2048, 1536);
    }
    tx!.publish();
    rx!.publish();
    bench.device.step(SIZE);
    for (const queue of bench.queues) {
      used.clear();
      queue.takeUsed(used, SIZE);
    }
  };
  return { lap, sent: () => sent };
}

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  test('a frame through a device that nobody traces costs no object, in either direction', () => {
    const { lap, sent } = traffic(layout);
    for (let i = 0; i < LAPS_PER_ROUND; i++) lap();
    // The smallest object has 12 bytes; a lap of 64 frames may cost a little, a frame nothing.
    expect(heapTaken(lap)).toBeLessThan(6);
    expect(sent()).toBe((ROUNDS + 1) * LAPS_PER_ROUND * SIZE);
  });

  test('a trace that keeps an object for each frame is seen by the same measure', () => {
    const keeper = new Keeper();
    const { lap } = traffic(layout, keeper);
    for (let i = 0; i < LAPS_PER_ROUND; i++) lap();
    expect(heapTaken(lap)).toBeGreaterThan(12);
    expect(keeper.frames).toBe(2 * (ROUNDS + 1) * LAPS_PER_ROUND * SIZE);
  });
});
