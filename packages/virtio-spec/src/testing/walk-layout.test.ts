import { expect, test } from 'vitest';
import { walkLayout } from './walk-layout.js';

test('a gap, an overlap and a wrong end are each reported', () => {
  expect(walkLayout({ a: { at: 0, bytes: 4 }, b: { at: 4, bytes: 2 } }, 6)).toEqual([]);
  expect(walkLayout({ a: { at: 0, bytes: 4 }, b: { at: 8, bytes: 2 } }, 10)).toEqual(['gap 4..8 before b']);
  expect(walkLayout({ a: { at: 0, bytes: 4 }, b: { at: 2, bytes: 2 } }, 4)).toEqual([
    'b at 2 overlaps, the field before ends at 4',
  ]);
  expect(walkLayout({ a: { at: 0, bytes: 4 } }, 8)).toEqual(['ends at 4, want 8']);
});
