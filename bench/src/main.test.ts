import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BenchJson } from './report-json.js';
import { earlierFigures } from './report-json.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
let out = '';
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), 'bench-test-'));
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

function bench(...argv: string[]): { status: number | null; stdout: string; stderr: string } {
  const tiny = ['--quick', '--seconds', '0.000001', '--repeat', '2', '--no-peer', '--out', out];
  return spawnSync(process.execPath, [MAIN, ...tiny, ...argv], { encoding: 'utf8' });
}

test('--list prints names, and nothing is run', () => {
  const { status, stdout } = bench('--list', '--filter', 'latency');
  expect(status).toBe(0);
  expect(stdout).toBe('latency/split/spin\nlatency/split/wait\nlatency/packed/spin\nlatency/packed/wait\n');
  expect(existsSync(join(out, 'bench.json'))).toBe(false);
});

test('--json - leaves stdout to the JSON; the table goes to stderr, results and plot into files', () => {
  const svg = join(out, 'deep', 'plot.svg');
  const { status, stdout, stderr } = bench('--filter', 'ring/.*/inthread/64/b32$', '--json', '-', '--svg', svg);
  expect(status).toBe(0);
  const json = JSON.parse(stdout) as BenchJson;
  expect(json.cases.map(({ name }) => name)).toEqual(['ring/split/inthread/64/b32', 'ring/packed/inthread/64/b32']);
  expect(stderr).toContain('ring/packed/inthread/64/b32');
  expect(stderr).not.toContain('\u001b');
  expect(JSON.parse(readFileSync(join(out, 'bench.json'), 'utf8'))).toEqual(json);
  expect(readFileSync(join(out, 'bench.html'), 'utf8')).toContain('<svg');
  expect(readFileSync(svg, 'utf8')).toBe(readFileSync(join(out, 'bench.svg'), 'utf8'));
  // Whatever else ran on the machine: a figure is kept for comparison unless others disturbed it.
  const kept = json.cases.filter(({ otherCores }) => (otherCores ?? 0) <= 0.1);
  expect([...earlierFigures(join(out, 'bench.json')).keys()]).toEqual(kept.map(({ name }) => name));
});

test('a damaged frame makes the bench fail with 1, and the table says which', () => {
  const { status, stdout } = bench('--filter', 'ring/split/xthread/64/b32$', '--sabotage', 'damaged');
  expect(status).toBe(1);
  expect(stdout).toMatch(/FAILED: 0 lost, 0 out of place, \d+ damaged: frame \d+ has (byte \d+|64 bytes of sum) /);
});

test('a filter that matches nothing is a wrong argument', () => {
  expect(bench('--filter', 'nothing')).toMatchObject({ status: 2, stdout: '' });
});

test('figures of a file that is no result are left out', () => {
  expect(earlierFigures(join(out, 'none')).size).toBe(0);
  expect(earlierFigures(MAIN).size).toBe(0);
});
