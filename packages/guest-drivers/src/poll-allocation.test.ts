import { ChainBurst, type DeviceQueue } from '@ringwire/virtqueue';
import { expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { FrameBurst, FramePool } from './frame-pool.js';
import { openPollDriver, type PollNetDriver } from './poll-driver.js';
import { frameOf, NetStage } from './testing/net-stage.js';

const ROUNDS = 20;
/** Before: until all of it is compiled, calls of WebAssembly cost objects for numbers. */
const WARM_ROUNDS = 20;
const LAPS_PER_ROUND = 1000;
const BURST = 32;

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

/** The device uses a burst of buffers. @param written bytes into each, behind which nothing is looked at */
function useBurst(ring: DeviceQueue, chains: ChainBurst, written: number): void {
  chains.clear();
  if (ring.takeBurst(chains, BURST) !== BURST) throw new Error('a buffer is missing');
  chains.written.fill(written, 0, BURST);
  ring.putUsedBurst(chains, 0, BURST);
  ring.publishUsed();
}

/** One lap: a burst out, a burst in, and what came in goes out with the next one. */
function lap(driver: PollNetDriver, tx: DeviceQueue, rx: DeviceQueue, chains: ChainBurst, frames: FrameBurst): void {
  if (driver.txBurst(0, frames) !== BURST) throw new Error('a frame was not taken');
  frames.clear();
  useBurst(tx, chains, 0);
  useBurst(rx, chains, 12 + 60);
  if (driver.rxBurst(0, frames, BURST) !== BURST) throw new Error('a frame did not come up');
}

test.each([false, true])('bursts cost no allocation per frame, packed %s', (isPacked) => {
  const stage = new NetStage({ isPacked, queueSizes: [256, 256] });
  const { transport, dma } = stage.setup;
  const pool = new FramePool(dma, { buffers: 1024 });
  const driver = openPollDriver({ transport, dma, pool });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const chains = new ChainBurst(BURST);
  const frames = new FrameBurst(BURST);
  for (let i = 0; i < BURST; i++) frames.push(pool.fill(frameOf(60)), 60);
  const laps = (): void => {
    for (let n = 0; n < LAPS_PER_ROUND; n++) lap(driver, stage.device.ring(1), stage.device.ring(0), chains, frames);
  };
  // The scripted registers allocate at each access: a polling device wants no notification.
  for (const index of [0, 1]) stage.device.ring(index).disableNotifications();
  for (let round = 0; round < WARM_ROUNDS; round++) laps();
  const bytes = heapTaken(laps);
  expect(driver.counters.rxFrames).toBe((ROUNDS + WARM_ROUNDS) * LAPS_PER_ROUND * BURST);
  // The smallest object has 12 bytes; a lap of 32 frames both ways may cost a little, a frame nothing.
  expect(bytes / (ROUNDS * LAPS_PER_ROUND * BURST)).toBeLessThan(4);
});
