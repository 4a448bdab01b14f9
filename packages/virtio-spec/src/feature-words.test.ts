import { expect, test } from 'vitest';
import { featuresFromBigInt, featuresToBigInt, featureWords, hasFeature, setFeature } from './feature-words.js';
import { VirtioError } from './virtio-error.js';

test('bit n is bit n & 31 of word n >>> 5, across every word boundary', () => {
  expect([...featureWords([0, 31, 32, 63, 64, 95, 96, 127])]).toEqual([
    0x8000_0001, 0x8000_0001, 0x8000_0001, 0x8000_0001,
  ]);
  expect([...featureWords([5, 33])]).toEqual([0x20, 0x2, 0, 0]);
  expect([...featureWords([])]).toEqual([0, 0, 0, 0]);
});

test('a set bit is seen, its neighbours and bits beyond the words are not', () => {
  const words = featureWords([63]);
  expect([62, 63, 64].map((bit) => hasFeature(words, bit))).toEqual([false, true, false]);
  expect(hasFeature(words, 191)).toBe(false);
  expect(hasFeature(Uint32Array.of(0xffff_ffff), 32)).toBe(false);
  setFeature(words, 64);
  setFeature(words, 63);
  expect([...words]).toEqual([0, 0x8000_0000, 1, 0]);
});

test('a bit that has no place in the words is the caller’s mistake', () => {
  expect(() => featureWords([128])).toThrow('feature bit is 128, want 0 to 127 (virtio 1.4 §2.2)');
  expect(() => setFeature(new Uint32Array(2), 64)).toThrow('want 0 to 63');
  expect(() => featureWords([-1])).toThrow(VirtioError);
  expect(() => featureWords([1.5])).toThrow(VirtioError);
});

test('the bigint form has bit n at 2^n, both ways', () => {
  // EVENT_IDX (29) and VERSION_1 (32).
  expect([...featuresFromBigInt(0x1_2000_0000n)]).toEqual([0x2000_0000, 1, 0, 0]);
  expect(featuresToBigInt(Uint32Array.of(0x2000_0000, 1))).toBe(0x1_2000_0000n);
  expect(featuresToBigInt(featureWords([127, 0]))).toBe(0x8000_0000_0000_0000_0000_0000_0000_0001n);
  expect([...featuresFromBigInt(1n << 127n)]).toEqual([0, 0, 0, 0x8000_0000]);
  expect(() => featuresFromBigInt(1n << 128n)).toThrow(VirtioError);
  expect(() => featuresFromBigInt(-1n)).toThrow(VirtioError);
});
