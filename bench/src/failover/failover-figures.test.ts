import { expect, test } from 'vitest';
import { formatFailover, type GapFigure, pausesOf, selectFailover } from './failover-figures.js';
import { runPlain, runProtected } from './failover-run.js';

test('threads are ended when it is asked for, and in a full run', () => {
  const named = (filter: RegExp | undefined, quick: boolean) =>
    selectFailover({ filter, quick }).map(({ name }) => name);
  expect(named(undefined, true)).toEqual([]);
  expect(named(undefined, false)).toEqual([
    'failover/split',
    'failover/packed',
    'failover/cost/split',
    'failover/cost/packed',
  ]);
  expect(named(/failover\/cost/, true)).toHaveLength(2);
});

test.each(['split', 'packed'] as const)(
  'a thread is ended with frames on their way both ways, one is replaced as planned: each frame comes once, %s',
  async (layout) => {
    const { gaps, frames, toPeer, toGuest } = await runProtected(layout, 'interrupt', { type: 'gaps', kills: 5 });
    expect([gaps!.gaps.length, gaps!.planned.length, gaps!.quiet.length]).toEqual([5, 1, 5]);
    expect(gaps!.leastInFlight).toBeGreaterThan(0);
    // A gap is at least as long as a frame takes.
    expect(Math.min(...gaps!.gaps, ...gaps!.planned)).toBeGreaterThan(0);
    // Both directions, 512 frames behind each takeover and in each window.
    expect(frames).toBeGreaterThan(2 * 512 * 11);
    const none = { lost: 0, misplaced: 0, damaged: 0, first: undefined };
    expect([toPeer, toGuest]).toEqual([none, none]);
  },
  120_000,
);

test('a rate is that of frames which came, one after the other', async () => {
  const timing = { warmSeconds: 0.02, seconds: 0.02, repeats: 2 };
  for (const run of [runPlain, runProtected]) {
    const { rounds, toPeer, frames } = await run('packed', 'poll', { type: 'rate', timing });
    expect(rounds).toHaveLength(2);
    expect([toPeer.lost, toPeer.misplaced, toPeer.damaged]).toEqual([0, 0, 0]);
    expect(frames).toBeGreaterThan(rounds![0]!.frames + rounds![1]!.frames);
  }
}, 120_000);

test('pauses are said in ms, and what went wrong is', () => {
  expect(pausesOf([4, 1, 3, 2])).toEqual({ count: 4, p50: 2, p99: 4, max: 4 });
  expect(pausesOf([]).p99).toBeNaN();
  const pauses = pausesOf([3.25]);
  const figure: GapFigure = {
    name: 'failover/split',
    kind: 'gap',
    gap: pauses,
    planned: pauses,
    quiet: pauses,
    leastInFlight: 33,
    frames: 1000,
    lost: 1,
    doubled: 2,
    damaged: 0,
    otherCores: 0.5,
    problem: '1 lost, 2 out of place, 0 damaged',
  };
  const lines = formatFailover([figure]).split('\n');
  expect(lines[1]!.trim().split(/\s+/)).toEqual(['failover/split', '1', '3.25', '3.25', '3.25', '1', '2', '≥', '33']);
  expect(lines[4]).toContain('others used 0.5 cores');
  expect(lines[5]).toContain('FAILED: 1 lost, 2 out of place');
});
