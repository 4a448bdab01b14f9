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
