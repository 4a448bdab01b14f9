import { expect, test } from 'vitest';
import { formatCompare, measureCompare, selectCompare } from './compare-figures.js';
import type { Options } from './options.js';

const named = (filter: RegExp | undefined, quick: boolean): string[] =>
  selectCompare({ filter, quick } as Options).map(({ name }) => name);

test('architectures are compared when they are asked for, and in a full run', () => {
  expect(named(undefined, true)).toEqual([]);
  expect(named(undefined, false)).toHaveLength(4);
  expect(named(/compare/, true)).toHaveLength(4);
  expect(named(/compare\/packed\/64/, true)).toEqual(['compare/packed/64']);
  expect(named(/ring/, false)).toEqual([]);
});

test('a figure has a line for each architecture, and no frame is lost', () => {
  const figure = measureCompare(selectCompare({ filter: /split\/64/, quick: true } as Options)[0]!);
  expect(figure.architectures.map(({ lost }) => lost)).toEqual([0, 0, 0, 0, 0, 0]);
  const lines = formatCompare(figure).split('\n');
  expect([lines[0], lines[7]!.trim().split(' ')[0], lines.length]).toEqual(['  compare/split/64', 'vdpa', 9]);
});
