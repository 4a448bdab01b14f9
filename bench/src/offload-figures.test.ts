import { expect, test } from 'vitest';
import { formatOffloads, measureOffloads, OFFLOAD_NAMES } from './offload-figures.js';

const TINY = { warmSeconds: 0, seconds: 0.000001, repeats: 2 };

test('every figure is measured, and what was measured comes to what it has to', () => {
  const figures = measureOffloads(undefined, TINY);
  expect(figures.map(({ name }) => name)).toEqual(OFFLOAD_NAMES);
  for (const { rate, nsEach } of figures) expect(Math.min(rate, nsEach)).toBeGreaterThan(0);
});

test('a pattern selects by name', () => {
  expect(measureOffloads(/toeplitz/, TINY).map(({ name, unit }) => [name, unit])).toEqual([
    ['offload/toeplitz/tcpv4', 'M hashes/s'],
    ['offload/toeplitz/tcpv6', 'M hashes/s'],
  ]);
  expect(measureOffloads(/nothing/, TINY)).toEqual([]);
});

test('bytes per ns are GB/s, and the line says all of it', () => {
  const line = formatOffloads([{ name: 'offload/x', rate: 32, unit: 'GB/s', nsEach: 46.9, spread: 7.4 }]);
  expect(line.trim().split(/\s+/)).toEqual(['offload/x', '32.0', 'GB/s', '46.9', 'ns', '7', '%']);
});
