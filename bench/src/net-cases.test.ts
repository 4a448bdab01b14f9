import { describe, expect, test } from 'vitest';
import type { CasePlan, Layout } from './case-plan.js';
import { caseResult } from './case-result.js';
import { runCase } from './measure.js';
import { net } from './net-cases.js';
import type { Sabotage } from './worker-job.js';

const TINY = { warmSeconds: 0, seconds: 1e-6, repeats: 2 };

const run = async (plan: CasePlan, sabotage?: Sabotage): Promise<ReturnType<typeof caseResult>> =>
  caseResult(plan, [await runCase(plan, TINY, sabotage)]);
const pmd = (layout: Layout, threads: CasePlan['threads'], task: 'tx' | 'loop' | 'wake'): CasePlan =>
  net(layout, threads, '64', { driver: 'pmd', task });
const kernel = (layout: Layout, threads: CasePlan['threads'], task: 'loop' | 'ping'): CasePlan =>
  net(layout, threads, '64', { driver: 'kernel', task });

test('a driver that is interrupted has frames for each interrupt, one that polls has no interrupts', async () => {
  const interrupted = await run(kernel('packed', 'xthread', 'loop'));
  expect(interrupted.problem).toBeNull();
  expect(interrupted.framesPerInterrupt).toBeGreaterThan(0);
  expect(interrupted.notificationsPerFrame.used).toBeGreaterThan(0);
  const polled = await run(pmd('packed', 'xthread', 'loop'));
  expect(polled.problem).toBeNull();
  expect(polled.framesPerInterrupt).toBeUndefined();
  expect(polled.notificationsPerFrame.used).toBe(0);
});

test('a round trip with interrupts has percentiles in order, and an interrupt per frame at most', async () => {
  const { problem, p50, p99, p999, framesPerInterrupt } = await run(kernel('split', 'xthread', 'ping'));
  expect(problem).toBeNull();
  expect(p50).toBeGreaterThan(0);
  expect(p99).toBeGreaterThanOrEqual(p50!);
  expect(p999).toBeGreaterThanOrEqual(p99!);
  expect(framesPerInterrupt).toBeGreaterThan(0);
});

test('a device that sleeps is woken by each frame, and stays asleep when nothing is sent', async () => {
  const result = await run(pmd('split', 'xthread', 'wake'));
  expect(result.problem).toBeNull();
  expect(result.p50).toBeGreaterThan(0);
  expect(result.notificationsPerFrame.available).toBeGreaterThanOrEqual(1);
  expect(result.idleWakeUps).toBe(0);
  expect(result.idleCores).toBeGreaterThanOrEqual(0);
});

test('what is copied and compared is said', async () => {
  expect((await run(pmd('split', 'inthread', 'tx'))).copies).toContain('copies 64 B per frame once');
  expect((await run(kernel('split', 'inthread', 'loop'))).copies).toContain('four times');
});

describe('a case fails', () => {
  const plans = [
    pmd('split', 'xthread', 'tx'),
    pmd('packed', 'inthread', 'tx'),
    pmd('packed', 'xthread', 'loop'),
    kernel('split', 'xthread', 'loop'),
    net('packed', 'inthread', 'imix', { driver: 'kernel', task: 'loop' }),
  ].map((plan) => [plan.name, plan] as const);
  test.each(plans)('%s: for one flipped bit', async (_, plan) => {
    expect((await run(plan, 'damaged')).problem).toMatch(
      /^0 lost, 0 out of place, [1-9]\d* damaged: frame \d+ has \d+ bytes of sum /,
    );
  });
  test.each(plans)('%s: for a frame left out', async (_, plan) => {
    expect((await run(plan, 'lost')).problem).toContain('1 lost, 0 out of place, 0 damaged: frame 2001 came where');
  });
  test.each(plans)('%s: for a frame sent twice', async (_, plan) => {
    const { problem } = await run(plan, 'repeated');
    expect(problem).toContain('0 lost, 1 out of place, 0 damaged: frame 1999 came where frame 2000 was due');
  });
});
