import { expect, test } from 'vitest';
import { crc32, crcTable } from './crc32.js';

const DIGITS = new TextEncoder().encode('123456789');

test('the CRC-32 of "123456789" is its well-known check value, that of nothing is 0', () => {
  expect(crc32(DIGITS)).toBe(0xcbf4_3926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});

test('CRC32c by a table of its polynomial (RFC 9260 appendix A) has its check value, too', () => {
  const table = crcTable(0x82f6_3b78);
  const crc = DIGITS.reduce((sum, byte) => (sum >>> 8) ^ table[(sum ^ byte) & 0xff]!, -1);
  expect(~crc >>> 0).toBe(0xe306_9283);
});

test('of any length it is what bit by bit comes to', () => {
  const bits = (bytes: Uint8Array): number => {
    let crc = -1;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb8_8320);
    }
    return ~crc >>> 0;
  };
  const bytes = Uint8Array.from({ length: 300 }, (_, at) => Math.imul(at + 7, 0x9e37_79b1) >>> 13);
  for (let from = 0; from < 9; from++)
    for (let length = 0; length < 40; length++)
      expect(crc32(bytes.subarray(from, from + length))).toBe(bits(bytes.subarray(from, from + length)));
  expect(crc32(bytes)).toBe(bits(bytes));
});
