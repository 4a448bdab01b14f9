import { expect, test } from 'vitest';
import { newControl, notify, sleepUntilNotified, WORD } from './control-words.js';

test('no two words share a cache line, nor a pair of them', () => {
  const words = Object.values(WORD);
  const control = newControl();
  for (const word of words) {
    expect((word * 4) % 128).toBe(0);
    expect(word).toBeLessThan(control.length);
  }
  expect(new Set(words).size).toBe(words.length);
});

test('a notification between looking and sleeping is not lost', () => {
  const control = newControl();
  const seen = Atomics.load(control, WORD.AVAIL_NOTIFIED);
  notify(control, WORD.AVAIL_NOTIFIED);
  expect(sleepUntilNotified(control, WORD.AVAIL_NOTIFIED, seen, () => true)).toBe(true);
});

test('sleeping without a notification is in vain only when there was work', () => {
  const control = newControl();
  expect(sleepUntilNotified(control, WORD.USED_NOTIFIED, 0, () => false)).toBe(true);
  expect(sleepUntilNotified(control, WORD.USED_NOTIFIED, 0, () => true)).toBe(false);
});
