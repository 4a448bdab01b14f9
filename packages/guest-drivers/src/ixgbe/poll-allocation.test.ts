import { expect, test } from 'vitest';
import { isBreakdown } from '../breakdown.js';
import { FrameBurst, FramePool } from '../frame-pool.js';
import { ScriptedVf } from './testing/scripted-vf.js';
import { FRAME } from './testing/vf-stage.js';
import { openIxgbeVfPoll } from './vf-poll-driver.js';

const ROUNDS = 20;
const LAPS_PER_ROUND = 500;
const BURST = 32;
const RING = 64;

test('bursts cost no allocation per frame', () => {
  const vf = new ScriptedVf();
  const pool = new FramePool(vf.dma, { buffers: 256 });
  const driver = openIxgbeVfPoll({ access: vf, dma: vf.dma, pool, queueSize: RING, patience: { tries: 20 } });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const { i32 } = vf.memory;
  const rx = vf.ring('rx').host >> 2;
  const tx = vf.ring('tx').host >> 2;
  const frames = new FrameBurst(BURST);
  for (let i = 0; i < BURST; i++) frames.push(pool.fill(FRAME), 60);
  let at = 0;
  // From here on the scripted registers keep nothing: a list of writes is an allocation for each of them.
  vf.barWrite = () => {};
  const laps = (): void => {
    for (let n = 0; n < LAPS_PER_ROUND; n++) {
      if (driver.txBurst(0, frames) !== BURST) throw new Error('a frame was not taken');
      frames.clear();
      for (let i = 0; i < BURST; i++) {
        const index = (at + i) & (RING - 1);
        i32[tx + index * 4 + 3] = 1;
        i32[rx + index * 4 + 2] = 3;
        i32[rx + index * 4 + 3] = 60;
      }
      at = (at + BURST) & (RING - 1);
      if (driver.rxBurst(0, frames, BURST) !== BURST) throw new Error('a frame did not come up');
    }
  };
  laps();
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) {
    laps();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  expect(driver.counters.rxFrames).toBe((ROUNDS + 1) * LAPS_PER_ROUND * BURST);
  // The smallest object has 12 bytes; a lap of 32 frames both ways may cost a little, a frame nothing.
  expect(taken / (ROUNDS * LAPS_PER_ROUND * BURST * 2)).toBeLessThan(6);
});
