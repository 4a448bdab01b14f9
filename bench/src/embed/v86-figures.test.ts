import { expect, test } from 'vitest';
import { readOptions } from '../options.js';
import { formatV86, measureV86, selectV86, type V86Figure, v86Problem } from './v86-figures.js';

const quiet = { out: () => {}, err: () => {} };
const options = (...argv: string[]): ReturnType<typeof readOptions> => readOptions(argv, quiet);
const selected = (...argv: string[]): string[] => selectV86(options(...argv)).map(({ name }) => name);

test('quick mode has what was asked for by name alone', () => {
  expect(selected()).toEqual([
    'embed/v86/tx/64',
    'embed/v86/tx/1500',
    'embed/v86/rx/64',
    'embed/v86/rx/1500',
    'embed/v86/tcp',
  ]);
  expect(selected('--quick')).toEqual([]);
  expect(selected('--quick', '--filter', 'v86/tx/64')).toEqual(['embed/v86/tx/64']);
});

test('a figure says whose rate is whose, what was lost, what it lacks, and what was wrong', () => {
  const figure: V86Figure = {
    name: 'embed/v86/tx/64',
    rate: 0.2,
    ownRate: 0.08,
    ratio: 2.5,
    samples: [0.19, 0.2, 0.21],
    ownSamples: [0.08, 0.08, 0.08],
    lost: 0,
    ownLost: 12,
    frames: 120_000,
    share: 0.034,
    otherCores: 0.02,
    problem: null,
  };
  const line =
    "  embed/v86/tx/64        200 kpps  10 %, v86's own  80.0   0 %: ratio 2.50, lost 0 and 12 of 120000; " +
    'our code 3.4 % of the time\n';
  expect(formatV86(figure)).toBe(line);
  expect(formatV86({ ...figure, ratio: 1.4, share: 0.3, problem: '7 frames did not come' })).toMatch(
    /below what is wanted: a ratio of 1.5, less than 20 % of the time for our code\n {4}FAILED: 7 frames did not come\n$/,
  );
  expect(formatV86({ ...figure, samples: [], problem: 'the machines ended with 1: no guest' })).toBe(
    '  embed/v86/tx/64     none\n    FAILED: the machines ended with 1: no guest\n',
  );
  // Frames that come are the guest's work: no ratio is wanted of them.
  expect(formatV86({ ...figure, name: 'embed/v86/rx/64', ratio: 1 })).not.toContain('below');
});

const problem = v86Problem();

test.for(selectV86({ filter: /tx\/64|rx\/1500|tcp/, quick: true }))(
  '$name: everything that our card was given comes, once and in order, and both cards have a rate',
  async (plan, { skip }) => {
    if (problem !== undefined) return skip(`skipped, because ${problem}`);
    const figure = await measureV86(plan, { quick: true, timing: { ...options().timing, repeats: 1 } });
    expect(figure).toMatchObject({ name: plan.name, problem: null, lost: 0 });
    for (const rate of [figure.rate, figure.ownRate]) expect(rate).toBeGreaterThan(0);
    // So short a time may have no sample in it that is ours.
    expect(figure.share).toBeGreaterThanOrEqual(0);
    expect(figure.share).toBeLessThan(1);
  },
);

test('machines that end early are a problem with their last words, and no figure', async ({ skip }) => {
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  const [plan] = selectV86({ filter: /rx\/64/, quick: true });
  // No frame is so long.
  const figure = await measureV86(
    { ...plan!, bytes: -1 },
    { quick: true, timing: { ...options().timing, repeats: 1 } },
  );
  expect(figure.problem).toMatch(/^the machines ended with 1: RangeError: /);
  expect(formatV86(figure)).toContain('none\n    FAILED: the machines ended with 1');
});
