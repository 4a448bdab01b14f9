import { expect, test } from 'vitest';
import { caseResult, failedCase } from './case-result.js';
import { latency, ring, ringCost } from './cases.js';
import { formatSummary } from './limits.js';
import { describeMachine } from './machine.js';
import type { CaseRun } from './measure.js';
import { net } from './net-cases.js';
import { plotHtml, plotSvg } from './plot.js';
import { type BenchJson, benchJson, jsonText } from './report-json.js';
import { bar, formatNotes, formatTable, type Paint } from './report-table.js';
import type { Results } from './run-cases.js';

const plain: Paint = (_, text) => text;
const NO_FAULTS = { lost: 0, misplaced: 0, damaged: 0, first: undefined };

/** A run of three rounds of 1000 frames each. */
function runOf(ns: readonly [number, number, number], more: Partial<CaseRun> = {}): CaseRun {
  return {
    startMs: 60,
    driver: {
      rounds: ns.map((each) => ({ frames: 1000, ns: each * 1000 })),
      latency: undefined,
      frames: 4000,
      notifications: 8,
      missed: 0,
    },
    device: { faults: NO_FAULTS, frames: 4000, summed: 4000, notifications: 4, missed: 0 },
    otherCores: 0,
    ...more,
  };
}

const split = caseResult(ring('split', 'xthread', '64', 32), [runOf([40, 50, 60])]);
const packed = caseResult(ring('packed', 'xthread', '64', 32), [runOf([20, 25, 26], { otherCores: 0.8 })]);
const cost = caseResult(ringCost('split', 32), [runOf([24, 25, 26])]);
const trip = caseResult(latency('split', 'spin'), [
  runOf([0, 0, 0], {
    driver: {
      rounds: [{ frames: 1000, ns: 900_000 }],
      latency: { rounds: [{ p50: 700, p99: 900, p999: 2000 }], all: { p50: 701, p99: 901, p999: 2001 } },
      frames: 3000,
      notifications: 0,
      missed: 0,
    },
    device: { faults: NO_FAULTS, frames: 3000, summed: 3000, notifications: 0, missed: 0 },
  }),
]);
const ratio = {
  name: 'dpdk/split/64',
  ratio: 0.8,
  oursMpps: 20,
  dpdkMpps: 25,
  dpdkSamples: [24, 25, 26],
  otherCores: 0,
};
const iommuRatio = {
  name: 'iommu/split',
  ratio: 0.9,
  oursMpps: 18,
  plainMpps: 20,
  plainSamples: [20, 20],
  otherCores: 0,
};
const results: Results = {
  cases: [cost, split, packed, trip],
  ratios: [ratio],
  iommuRatios: [iommuRatio],
  peerProblems: [],
};

test('a result is the median of the rounds, with what follows from it', () => {
  expect(split).toMatchObject({
    name: 'ring/split/xthread/64/b32',
    mpps: 20,
    gbps: 10.24,
    nsPerFrame: 50,
    spread: 40,
    rounds: [40, 50, 60],
    bytesPerFrame: 64,
    notificationsPerFrame: { available: 0.002, used: 0.001 },
    startMs: 60,
    problem: null,
  });
  expect(split.copies).toContain('copies 64 B per frame once; compares the number and length of every frame');
  expect(trip).toMatchObject({ nsPerFrame: 700, p50: 701, p99: 901, p999: 2001 });
});

test('rounds of all runs of a case count, and a fault of any of them', () => {
  const faults = { lost: 3, misplaced: 0, damaged: 0, first: 'frame 8 came where frame 5 was due' };
  const bad = runOf([70, 70, 70], {
    device: { faults, frames: 4000, summed: 4000, notifications: 0, missed: 0 },
    startMs: 90,
  });
  const both = caseResult(ring('split', 'xthread', '64', 32), [runOf([40, 50, 60]), bad]);
  expect(both).toMatchObject({ nsPerFrame: 65, startMs: 90 });
  expect(both.problem).toBe('3 lost, 0 out of place, 0 damaged: frame 8 came where frame 5 was due');
});

test('frames that never came, and notifications that never came, are problems', () => {
  const { device, driver } = runOf([1, 1, 1]);
  const plan = ring('split', 'xthread', '64', 32, 'event_idx');
  const problem = (run: CaseRun): string | null => caseResult(plan, [run]).problem;
  expect(problem(runOf([1, 1, 1], { device: { ...device, frames: 3999 } }))).toBe(
    '4000 frames were sent and 3999 came',
  );
  expect(problem(runOf([1, 1, 1], { device: { ...device, missed: 1 } }))).toContain('device was not notified');
  expect(problem(runOf([1, 1, 1], { driver: { ...driver, missed: 1 } }))).toContain('driver was not notified');
});

test('a bar is as long as its share, in eighths', () => {
  expect(bar(24, 24)).toBe('█'.repeat(24));
  expect(bar(12.5, 24)).toBe(`${'█'.repeat(12)}▌`);
  expect(bar(0.001, 24)).toBe('▏');
  expect(bar(0, 24)).toBe('');
  expect(bar(0, 0)).toBe('');
});

test('the table is aligned, marks what was disturbed, and has DPDK below the case that it stands beside', () => {
  const table = formatTable(results, new Map([['ring/split/xthread/64/b32', 40]]), plain);
  const lines = table.split('\n');
  const row = lines.findIndex((line) => line.includes('ring/split/xthread/64/b32 '));
  expect(lines[row]).toMatch(
    /^ {2}ring\/split\/xthread\/64\/b32 +20\.0 █+\S* +50\.0 +40 % +10\.2 +1\.52 +3\.00 +\+25 %$/,
  );
  expect(lines[row + 1]).toMatch(/^ {2}dpdk\/split\/64 +25\.0 █+\S* +40\.0 +8 % +we are at 0\.80 of it$/);
  expect(lines[row + 2]).toMatch(/^! ring\/packed\/xthread\/64\/b32 /);
  const columns = lines.filter((line) => /ring\/|dpdk\//.test(line) && line.includes('█'));
  expect(new Set(columns.map((line) => line.indexOf('█'))).size).toBe(1);
  expect(table).toMatch(/latency\/split\/spin +701 +901 +2001/);
});

test('a failed case says why, in the table and in the summary', () => {
  const failed = failedCase(ring('split', 'xthread', '64', 32), 'no end after 12 s');
  const some: Results = { cases: [failed], ratios: [], iommuRatios: [], peerProblems: [] };
  expect(formatTable(some, new Map(), plain)).toContain('FAILED: no end after 12 s');
  expect(formatSummary(some)).toContain('FAILED: ring/split/xthread/64/b32');
});

test('the notes say what each case copies and checks, and how the lines are counted', () => {
  const notes = formatNotes(results, false).replace(/\n {2}/g, ' ');
  expect(notes).toContain('ringcost/split/b32: touches no payload');
  expect(notes).toContain('ring/split/xthread/64/b32, ring/packed/xthread/64/b32: copies 64 B');
  expect(notes).toContain('dpdk: dpdk-testpmd');
  expect(notes).toContain('bytes 0–3');
  expect(notes).toContain('a replay of one lap of the ring');
  for (const line of notes.split('\n')) expect(line).not.toMatch(/ {2}/);
});

test('the summary has the ratio, and says that nothing was lost', () => {
  const summary = formatSummary(results).replaceAll('\n', ' ');
  expect(summary).toContain('split, 64 B: 20.0 Mpps, DPDK 25.0 in the same seconds: ratio 0.80.');
  expect(summary).toContain(
    'split, 64 B through a VT-d unit: 18.0 Mpps, 20.0 without in the same seconds: ratio 0.90.',
  );
  const disturbed = formatSummary({ ...results, ratios: [{ ...ratio, otherCores: 0.9 }] }).replaceAll('\n', ' ');
  expect(disturbed).toContain('ratio 0.80, not to be relied on: other programs used 0.9 cores meanwhile');
  expect(summary).toContain('15000 frames, none lost, out of place or damaged');
});

test('network devices have tables of their own, DPDK beside, and sentences for what is no rate', () => {
  const sent = caseResult(net('split', 'xthread', '64', { driver: 'pmd', task: 'tx' }), [runOf([40, 50, 60])]);
  const { driver } = runOf([40, 50, 60]);
  const idle = { wakeUps: 3, cores: 0.002 };
  const latency = { rounds: [{ p50: 7000, p99: 9000, p999: 9100 }], all: { p50: 7000, p99: 9000, p999: 9100 } };
  const woken = caseResult(net('split', 'xthread', '64', { driver: 'pmd', task: 'wake' }), [
    runOf([1, 1, 1], { driver: { ...driver, latency, net: { faults: NO_FAULTS, summed: 0, interrupts: 0, idle } } }),
  ]);
  const pinged = caseResult(net('packed', 'xthread', '64', { driver: 'kernel', task: 'ping' }), [
    runOf([1, 1, 1], {
      driver: { ...driver, latency, net: { faults: NO_FAULTS, summed: 0, interrupts: 500, idle: undefined } },
    }),
  ]);
  expect(woken).toMatchObject({ idleWakeUps: 3, idleCores: 0.002 });
  expect(pinged.framesPerInterrupt).toBe(8);
  const some: Results = {
    cases: [sent, woken, pinged],
    ratios: [{ ...ratio, name: 'dpdk/net/split/64' }],
    iommuRatios: [],
    peerProblems: [],
  };
  const table = formatTable(some, new Map(), plain);
  expect(table).toMatch(/net\/pmd\/split\/64\/worker\/tx .*\n {2}dpdk\/net\/split\/64 .* we are at 0\.80 of it/);
  expect(table).toMatch(/net\/pmd\/split\/64\/worker\/wake +7000 +9000 +9100/);
  const summary = formatSummary(some).replaceAll('\n', ' ');
  expect(summary).toContain('split, 64 B, poll-mode driver to network device: 20.0 Mpps, DPDK 25.0');
  expect(summary).toContain('ping: 8.00 frames per interrupt, round trip 7.00 µs, p99 9.00 µs.');
  expect(summary).toContain('woke up 3.00 times in a second, and the process used 0.20 % of a core.');
});

test('the faults of frames that came back to the driver count', () => {
  const { driver, device } = runOf([1, 1, 1]);
  const faults = { lost: 1, misplaced: 0, damaged: 0, first: 'frame 2 came where frame 1 was due' };
  const plan = net('split', 'xthread', '64', { driver: 'pmd', task: 'loop' });
  const found = { faults, summed: 500, interrupts: 0, idle: undefined };
  const result = caseResult(plan, [
    runOf([1, 1, 1], { driver: { ...driver, net: found }, device: { ...device, summed: 0 } }),
  ]);
  expect(result.problem).toBe('1 lost, 0 out of place, 0 damaged: frame 2 came where frame 1 was due');
  expect(result.summed).toBe(500);
});

test('the JSON is of schema 1 and has the promised keys', () => {
  const json = JSON.parse(jsonText(benchJson(describeMachine(), results))) as BenchJson;
  expect(Object.keys(json)).toEqual([
    'schema',
    'machine',
    'cases',
    'ratios',
    'offloads',
    'vhost',
    'compare',
    'parity',
    'failover',
    'migrate',
    'shadow',
    'embed',
    'claims',
  ]);
  expect(json.schema).toBe(1);
  for (const key of ['cpu', 'cores', 'node', 'v8', 'os', 'memoryGiB', 'load', 'dpdk'])
    expect(json.machine).toHaveProperty(key);
  for (const item of json.cases) {
    expect(typeof item.name).toBe('string');
    for (const key of ['mpps', 'gbps', 'nsPerFrame', 'spread', 'startMs', 'cacheLinesPerFrame'] as const)
      expect(Number.isFinite(item[key]), `${item.name} ${key}`).toBe(true);
    expect(item.copies).not.toBe('');
  }
  expect(json.ratios[0]).toMatchObject({ name: 'dpdk/split/64', ratio: 0.8 });
  expect(json.ratios[1]).toEqual(iommuRatio);
});

test('the plot has a bar per case and DPDK beside, and the page has every figure', () => {
  const json = benchJson(describeMachine(), results);
  const svg = plotSvg(json);
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  for (const text of ['split', 'packed', 'DPDK split', '64 B', 'Mpps', '20.0', '25.0'])
    expect(svg).toContain(`>${text}<`);
  const html = plotHtml(json, svg);
  expect(html).toContain('<svg ');
  for (const { name } of results.cases) expect(html).toContain(`<th>${name}</th>`);
});

test('without DPDK the plot has no bars for it, and a failed case none', () => {
  const failed = failedCase(ring('split', 'xthread', '64', 32), '<died>');
  const json = benchJson(describeMachine(), { cases: [failed, packed], ratios: [], iommuRatios: [], peerProblems: [] });
  expect(plotSvg(json)).not.toContain('DPDK');
  expect(plotSvg(json)).not.toContain('>0<\\/text');
  expect(plotHtml(json, '')).toContain('&lt;died&gt;');
});
