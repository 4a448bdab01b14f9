import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8 } from './utf8.js';

test('any text becomes the bytes that an encoder makes of it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(utf8(text, 0xffff)).toEqual([...new TextEncoder().encode(text)]);
    }),
  );
  expect(utf8('\ud800x', 9)).toEqual([0xef, 0xbf, 0xbd, 0x78]);
});

test('a text that is too long ends with a whole character', () => {
  expect(utf8('aä€😀', 10)).toHaveLength(10);
  expect(utf8('aä€😀', 9)).toHaveLength(6);
  expect(utf8('aä€', 5)).toHaveLength(3);
  expect(utf8('aä', 0)).toEqual([]);
});
