import { describe, expect, test } from 'vitest';
import type { CasePlan } from './case-plan.js';
import { caseResult } from './case-result.js';
import { allCases, latency, ring, ringCost } from './cases.js';
import { runCase } from './measure.js';
import type { Sabotage } from './worker-job.js';

const TINY = { warmSeconds: 0, seconds: 1e-6, repeats: 2 };
/** Frames of a first round and two measured ones, and of a summed one where the others only copy. */
const TINY_FRAMES = 6000;
const WITH_SUMMED_ROUND = 8000;

const run = async (plan: CasePlan, sabotage?: Sabotage): Promise<ReturnType<typeof caseResult>> =>
  caseResult(plan, [await runCase(plan, TINY, sabotage)]);

test.each(
  allCases()
    .filter(({ batch, frames, variant }) => batch === 32 || frames !== '64' || variant !== undefined)
    .map((plan) => [plan.name, plan] as const),
)('%s: every frame arrives as it was sent', async (_, plan) => {
  const result = await run(plan);
  expect(result.problem).toBeNull();
  expect(result.frames).toBe(plan.check === 'copy' ? WITH_SUMMED_ROUND : TINY_FRAMES);
  expect(result.summed).toBe(plan.kind === 'ringcost' ? 0 : plan.check === 'copy' ? 2000 : TINY_FRAMES);
  expect(result.nsPerFrame).toBeGreaterThan(0);
  expect(result.rounds).toHaveLength(TINY.repeats);
});

test.each([1, 8, 256])('bursts of %d, in which a round does not divide, arrive whole', async (batch) => {
  for (const layout of ['split', 'packed'] as const)
    expect(await run(ring(layout, 'xthread', '64', batch))).toMatchObject({ problem: null, frames: WITH_SUMMED_ROUND });
});

test('in poll mode nobody is notified, with EVENT_IDX somebody is', async () => {
  const polled = await run(ring('packed', 'xthread', '64', 32));
  expect(polled.notificationsPerFrame).toEqual({ available: 0, used: 0 });
  const slept = await run(ring('packed', 'xthread', '64', 32, 'event_idx'));
  expect(slept.notificationsPerFrame.available + slept.notificationsPerFrame.used).toBeGreaterThan(0);
});

test.each(['spin', 'wait'] as const)('a round trip (%s) has percentiles in order', async (wait) => {
  const { p50, p99, p999, nsPerFrame, problem } = await run(latency('split', wait));
  expect(problem).toBeNull();
  expect(p50).toBeGreaterThan(0);
  expect(p99).toBeGreaterThanOrEqual(p50!);
  expect(p999).toBeGreaterThanOrEqual(p99!);
  expect(nsPerFrame).toBeGreaterThan(0);
});

test('the cost of the ring alone is measured without frames', async () => {
  expect(await run(ringCost('packed', 8))).toMatchObject({ problem: null, summed: 0, gbps: 0 });
});

describe('a case fails', () => {
  const plans = [
    ring('split', 'xthread', '64', 32),
    ring('packed', 'xthread', '64', 32),
    ring('split', 'xthread', 'pcap', 32),
    ring('split', 'inthread', 'imix', 32),
    ring('packed', 'xthread', '64', 32, 'indirect'),
    ring('split', 'xthread', '1500', 32),
  ];
  test.each(plans.map((plan) => [plan.name, plan] as const))('%s: for one flipped bit', async (_, plan) => {
    const { problem } = await run(plan, 'damaged');
    expect(problem).toMatch(/^0 lost, 0 out of place, [1-9]\d* damaged: frame \d+ has (\d+ bytes of sum|byte 41) /);
  });
  test.each(plans.map((plan) => [plan.name, plan] as const))('%s: for a frame left out', async (_, plan) => {
    expect((await run(plan, 'lost')).problem).toContain('1 lost, 0 out of place, 0 damaged: frame 2001 came where');
  });
  test.each(plans.map((plan) => [plan.name, plan] as const))('%s: for a frame sent twice', async (_, plan) => {
    const { problem } = await run(plan, 'repeated');
    expect(problem).toContain('0 lost, 1 out of place, 0 damaged: frame 1999 came where frame 2000 was due');
  });
});
