import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { referenceToeplitz } from './testing/reference.js';
import { Toeplitz } from './toeplitz.js';

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });

test('virtio 1.4 §5.1.9.4.3: the hash of any input by any key is what going bit by bit gives', () => {
  const keys = fc.integer({ min: 40, max: 60 }).chain(bytes);
  fc.assert(
    fc.property(keys, bytes(36), fc.constantFrom(8, 12, 32, 36), (key, input, length) => {
      const hash = new Toeplitz(key).part(input, 0, length, 0) >>> 0;
      expect(hash).toBe(referenceToeplitz(key, input.subarray(0, length)));
    }),
    { numRuns: 60 },
  );
});

test('parts of an input add up, wherever they lie', () => {
  const key = Uint8Array.from({ length: 40 }, (_, index) => (index * 37) & 0xff);
  const toeplitz = new Toeplitz(key);
  fc.assert(
    fc.property(bytes(36), fc.nat(9), (input, words) => {
      const cut = 4 * words;
      const whole = toeplitz.part(input, 0, 36, 0);
      const tail = Uint8Array.from([9, 9, ...input.subarray(cut)]);
      expect(toeplitz.part(input, 0, cut, 0) ^ toeplitz.part(tail, 2, 36 - cut, cut)).toBe(whole);
    }),
  );
});

test('a key of fewer than 40 bytes or more than 255 is refused', () => {
  expect(() => new Toeplitz(new Uint8Array(39))).toThrow(VirtioError);
  expect(() => new Toeplitz(new Uint8Array(256))).toThrow(VirtioError);
  expect(new Toeplitz(new Uint8Array(255)).part(new Uint8Array(36).fill(0xff), 0, 36, 0)).toBe(0);
});
