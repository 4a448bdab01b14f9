import { expect, test } from 'vitest';
import { barReadBytes, barWriteBytes, configReadBytes, configWriteBytes } from './byte-access.js';
import { COMMAND, started } from './testing/test-function.js';

const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

test('PC-09: 8 bytes are two accesses of 4, low one first; bytes of a register stay together', () => {
  const { pci, accesses, registers } = started();
  barWriteBytes(pci, 0, 0x108, bytes('1122334455667788'));
  const read = new Uint8Array(8);
  barReadBytes(pci, 0, 0x108, read);
  expect([read, registers.slice(8, 16)]).toEqual([bytes('1122334455667788'), bytes('1122334455667788')]);
  expect(accesses).toEqual(['w4@8=44332211', 'w4@c=88776655', 'r4@8', 'r4@c']);
  accesses.length = 0;
  barWriteBytes(pci, 0, 0x103, bytes('aabbccddeeff'));
  expect(accesses).toEqual(['w1@3=aa', 'w4@4=eeddccbb', 'w1@8=ff']);
});

test('PC-10: an MSI-X entry written as pairs of words', () => {
  const { pci } = started();
  barWriteBytes(pci, 2, 0x10, bytes('0010e0fe00000000'));
  barWriteBytes(pci, 2, 0x18, bytes('2240000001000000'));
  expect([0x10, 0x14, 0x18, 0x1c].map((at) => pci.barRead(2, at, 4))).toEqual([0xfee0_1000, 0, 0x4022, 1]);
});

test('PC-23: bytes past the end of configuration space or a BAR, and offsets that are none', () => {
  const { pci, accesses } = started();
  const read = (at: number, length: number): Uint8Array => {
    const into = new Uint8Array(length);
    configReadBytes(pci, at, into);
    return into;
  };
  expect(read(0xffe, 5)).toEqual(bytes('0000ffffff'));
  expect(read(0, 9)).toEqual(bytes('f41a41100700100001'));
  expect(read(-1, 3)).toEqual(bytes('fff41a'));
  for (const at of [Number.NaN, Number.POSITIVE_INFINITY, 0.5, 2 ** 53]) {
    expect(read(at, 3)).toEqual(bytes('ffffff'));
    configWriteBytes(pci, at, bytes('000000'));
    barWriteBytes(pci, 0, at, bytes('000000'));
  }
  const end = new Uint8Array(6);
  barReadBytes(pci, 0, 0x3ffe, end);
  expect(end).toEqual(bytes('0000ffffffff'));
  expect(accesses).toEqual([]);
  expect(pci.configRead(COMMAND, 2)).toBe(7);
});

test('all of configuration space at once: sizing of both halves of a BAR, Command and all', () => {
  const { pci } = started();
  const space = new Uint8Array(pci.config.size);
  configReadBytes(pci, 0, space);
  expect(space).toEqual(pci.config.bytes);
  configWriteBytes(pci, 0, space);
  expect(pci.config.bytes).toEqual(space);
  configWriteBytes(pci, 0x10, bytes('ffffffffffffffff'));
  configReadBytes(pci, 0x10, space.subarray(0, 8));
  expect(space.subarray(0, 8)).toEqual(bytes('0cc0ffffffffffff'));
});
