import { expect, test } from 'vitest';
import { formatCompare, measureCompare, selectCompare } from './compare-figures.js';
import type { Options } from './options.js';
import { formatParity, measureParity, selectParity } from './parity-figures.js';

const QUICK = true;
const named = (filter: RegExp | undefined, quick: boolean): string[] =>
  [...selectCompare({ filter, quick } as Options), ...selectParity({ filter, quick } as Options)].map(
    ({ name }) => name,
  );

test('architectures are compared when they are asked for, and in a full run', () => {
  expect(named(undefined, true)).toEqual([]);
  expect(named(undefined, false)).toHaveLength(8);
  expect(named(/compare/, true)).toHaveLength(8);
  expect(named(/parity/, true)).toHaveLength(4);
  expect(named(/compare\/packed\/64/, true)).toEqual(['compare/packed/64']);
  expect(named(/ring/, false)).toEqual([]);
});

test('a figure has a line for each architecture in both tables, and no frame is lost', () => {
  const figure = measureCompare(selectCompare({ filter: /split\/64/, quick: true } as Options)[0]!, QUICK);
  expect(figure.architectures.map(({ lost }) => lost)).toEqual([0, 0, 0, 0, 0, 0]);
  const lines = formatCompare(figure).split('\n');
  expect(lines[0]).toBe('  compare/split/64');
  const first = lines.map((line) => line.trim().split(' ')[0]);
  expect([first[8], first[17], lines.length]).toEqual(['vdpa', 'vdpa', 19]);
});

test('vDPA is set against full offload and a vendor’s function, in rounds of both', () => {
  const figure = measureParity(selectParity({ filter: /packed\/64/, quick: true } as Options)[0]!, QUICK);
  expect(figure.ratios.map(({ beside }) => beside)).toEqual(['virtio-offload', 'sriov-vendor']);
  for (const { ratio, least, most, holds } of figure.ratios) {
    expect(least).toBeLessThanOrEqual(ratio);
    expect(most).toBeGreaterThanOrEqual(ratio);
    expect(holds).toBe(ratio >= 0.98);
  }
  const ratios = [
    { beside: 'virtio-offload' as const, ratio: 0.99, least: 0.9, most: 1.1, holds: true },
    { beside: 'sriov-vendor' as const, ratio: 0.5, least: 0.4, most: 0.6, holds: false },
  ];
  expect(formatParity({ name: 'compare/parity/split/64', framesPerSecond: 3.21e6, rounds: 15, ratios })).toBe(
    '  compare/parity/split/64        vDPA 3.21 million frames per second of processor time\n' +
      '    0.990 of virtio-offload (0.900 to 1.100 in 15 rounds)\n' +
      '    0.500 of sriov-vendor (0.400 to 0.600 in 15 rounds), below 0.98\n',
  );
});
