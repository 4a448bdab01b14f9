import { describe, expect, test } from 'vitest';
import { EndOfProgram, type Options, readOptions } from './options.js';

function read(...argv: string[]): Options {
  return readOptions(argv, { out: () => undefined, err: () => undefined });
}

/** What a command line that ends the program says, and its exit code. */
function end(...argv: string[]): { code: number; out: string; err: string } {
  let out = '';
  let err = '';
  try {
    readOptions(argv, { out: (text) => (out += text), err: (text) => (err += text) });
  } catch (error) {
    if (error instanceof EndOfProgram) return { code: error.exitCode, out, err };
    throw error;
  }
  throw new Error('the arguments were taken');
}

test('without arguments everything is measured, DPDK included, and kept in bench/results', () => {
  const options = read();
  expect(options).toMatchObject({ filter: undefined, list: false, peer: true, json: undefined, sabotage: undefined });
  expect(options.out).toMatch(/bench[/\\]results[/\\]$/);
  expect(options.timing.repeats).toBeGreaterThan(2);
});

test('--quick shortens, --seconds and --repeat have the last word', () => {
  expect(read('--quick').timing.seconds).toBeLessThan(read().timing.seconds);
  expect(read('--quick').budgetSeconds).toBeLessThan(60);
  expect(read('--quick', '--seconds', '2', '--repeat', '9').timing).toMatchObject({ seconds: 2, repeats: 9 });
});

test('--filter is a text or a regular expression', () => {
  expect(read('--filter', 'xthread/64').filter).toEqual(/xthread\/64/);
  expect(read('--filter', '^ring/.*/b32$').filter).toEqual(/^ring\/.*\/b32$/);
});

test('--iommu is off, on, or left open', () => {
  expect(read().iommu).toBe(undefined);
  expect(read('--iommu', 'on').iommu).toBe('on');
});

test('--no-peer, --list, --json, --svg, --out and --sabotage are passed on', () => {
  const argv = ['--no-peer', '--list', '--json', '-', '--svg', 'a.svg', '--out', 'there', '--sabotage', 'lost'];
  expect(read(...argv)).toMatchObject({
    peer: false,
    list: true,
    json: '-',
    svg: 'a.svg',
    out: 'there',
    sabotage: 'lost',
  });
});

describe('a wrong argument ends the program with 2 and says what is wanted:', () => {
  test.each([
    ['an unknown option', ['--fast'], '--fast'],
    ['no file name', ['--json'], '--json'],
    ['seconds of 0', ['--seconds', '0'], 'Want seconds above 0'],
    ['half a repeat', ['--repeat', '1.5'], 'Want 1 to 1000'],
    ['a regular expression that is none', ['--filter', '('], 'regular expression'],
    ['an unknown sabotage', ['--sabotage', 'eaten'], 'damaged, lost, repeated'],
    ['an IOMMU that is neither', ['--iommu', 'maybe'], 'off, on'],
    ['a stray word', ['ring'], 'too many arguments'],
  ])('%s', (_, argv, words) => {
    const { code, err } = end(...argv);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });
});

test('--help names every option on stdout and ends with 0', () => {
  const { code, out } = end('--help');
  expect(code).toBe(0);
  for (const option of [
    'quick',
    'filter',
    'list',
    'iommu',
    'no-peer',
    'seconds',
    'repeat',
    'json',
    'svg',
    'out',
    'sabotage',
  ])
    expect(out).toContain(`--${option}`);
});
