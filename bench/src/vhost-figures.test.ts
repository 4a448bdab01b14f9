import { expect, test } from 'vitest';
import { peerProblem } from './dpdk-peer.js';
import { describeMachine } from './machine.js';
import { readOptions } from './options.js';
import { formatVhost, measureVhost, selectVhost, VHOST_PLANS, type VhostFigure } from './vhost-figures.js';

const quiet = { out: () => {}, err: () => {} };
const selected = (...argv: string[]): string[] => selectVhost(readOptions(argv, quiet)).map(({ name }) => name);

test('quick mode has what was asked for by name alone, and without DPDK there is nothing', () => {
  expect(selected()).toEqual(VHOST_PLANS.map(({ name }) => name));
  expect(selected('--quick')).toEqual([]);
  expect(selected('--quick', '--filter', 'peer/vhost-user/.*/1500')).toEqual([
    'peer/vhost-user/split/1500',
    'peer/vhost-user/packed/1500',
  ]);
  expect(selected('--no-peer')).toEqual([]);
});

test('a figure says whose rate is whose, what a front-end costs, and what was wrong', () => {
  const figure: VhostFigure = {
    name: 'peer/vhost-user/split/64',
    mpps: 40,
    dpdkMpps: 50,
    ratio: 0.8,
    samples: [39, 40, 41],
    dpdkSamples: [50],
    bytesPerGuest: 4_200_000,
    drift: 3,
    otherCores: 0.02,
    problem: null,
  };
  expect(formatVhost(figure)).toBe(
    '  peer/vhost-user/split/64             40.0 Mpps, DPDK  50.0: ratio 0.80    5 %    4.2 MB per front-end\n',
  );
  expect(formatVhost({ ...figure, otherCores: 0.7, problem: '10 frames were sent and 9 came' })).toMatch(
    / ! others used 0.7 cores\n {4}FAILED: 10 frames were sent and 9 came\n$/,
  );
  expect(formatVhost({ ...figure, drift: 40 })).toMatch(/front-end ! our two runs differ by 40 %\n$/);
});

const machine = describeMachine();
const problem = peerProblem(machine);

test.for(VHOST_PLANS.filter(({ layout, bytes }) => layout === 'packed' && bytes === 64))(
  '$name: frames of a stock driver come, all of them and as they were sent',
  async (plan, { skip }) => {
    if (problem !== undefined) return skip(`skipped, because ${problem}`);
    const options = { ...readOptions(['--quick'], quiet), peerTiming: { sampleMs: 100, samples: 3 } };
    const figure = await measureVhost(machine.dpdk!, plan, options);
    expect(figure).toMatchObject({ name: plan.name, problem: null });
    const { mpps, dpdkMpps, ratio } = figure as VhostFigure;
    expect(mpps / dpdkMpps).toBe(ratio);
    expect(mpps).toBeGreaterThan(0);
  },
);

test('a testpmd that is not there is a reason, not a figure', async () => {
  const options = readOptions(['--quick'], quiet);
  expect(await measureVhost('/none/testpmd', VHOST_PLANS[0]!, options)).toMatch(/ended early: .*ENOENT/);
});
