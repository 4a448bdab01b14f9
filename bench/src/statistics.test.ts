import { expect, test } from 'vitest';
import { digits, median, percentile, spreadPercent } from './statistics.js';

test('the median is the middle value, or the mean of the two middle ones, of unsorted numbers', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 6])).toBe(5.5);
  expect(median([10, 9, 100])).toBe(10);
  expect(median([])).toBeNaN();
});

test('the spread is the range in percent of the median', () => {
  expect(spreadPercent([40, 50, 60])).toBe(40);
  expect(spreadPercent([40])).toBe(0);
});

test('a percentile is a sample that that share of all samples does not exceed', () => {
  const hundred = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile(hundred, 0.999)).toBe(100);
  expect(percentile(Float64Array.of(7), 0.5)).toBe(7);
});

test('figures have three digits', () => {
  expect([0, 0.456, 1.234, 56.78, 567.8, Number.NaN].map(digits)).toEqual(['0', '0.46', '1.23', '56.8', '568', '–']);
});
