import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { BufferList, highWord, lowWord } from './buffer-list.js';

test('an address is cut into the two words of a descriptor, up to 2^53-1', () => {
  expect([lowWord(0), highWord(0)]).toEqual([0, 0]);
  expect([lowWord(0xffff_ffff), highWord(0xffff_ffff)]).toEqual([0xffff_ffff, 0]);
  expect([lowWord(0x1_0000_0000), highWord(0x1_0000_0000)]).toEqual([0, 1]);
  expect([lowWord(0x8000_0000_1234), highWord(0x8000_0000_1234)]).toEqual([0x1234, 0x8000]);
  expect([lowWord(2 ** 53 - 1), highWord(2 ** 53 - 1)]).toEqual([0xffff_ffff, 0x1f_ffff]);
});

test('elements are kept in order, the device-readable ones counted', () => {
  const list = new BufferList(3).addReadable(0x1000, 1).addReadable(0x1_0000_0002, 0xffff_ffff).addWritable(0x3000, 3);
  expect([list.count, list.readable]).toEqual([3, 2]);
  expect([...list.words]).toEqual([0x1000, 0, 1, 0, 2, 1, 0xffff_ffff, 1, 0x3000, 0, 3, 2]);
  expect([0, 1, 2].map((i) => [list.lo(i), list.hi(i), list.bytes(i)])).toEqual([
    [0x1000, 0, 1],
    [2, 1, 0xffff_ffff],
    [0x3000, 0, 3],
  ]);
});

test('a cleared list is empty and keeps its array', () => {
  const list = new BufferList(2).addReadable(0x1000, 1).addWritable(0x2000, 2);
  const array = list.words;
  list.clear().addWritable(0x4000, 4);
  expect([list.count, list.readable, list.bytes(0)]).toEqual([1, 0, 4]);
  expect(list.words).toBe(array);
});

test('drv.split.framing.1, drv.packed.scatter-gather.3: a device-readable element behind a writable one is refused', () => {
  const list = new BufferList(3).addReadable(0x1000, 1).addWritable(0x2000, 2);
  expect(() => list.addReadable(0x3000, 3)).toThrow(VirtioError);
  expect(() => list.addReadable(0x3000, 3)).toThrow(
    'readable is 2, want device-readable elements first (virtio 1.4 §2.7.4.2)',
  );
  expect([list.count, list.readable]).toEqual([2, 1]);
});

test.each([
  [-1, 1, 'address is -1, want an integer below 2^53'],
  [2 ** 53, 1, 'address is 9007199254740992, want an integer below 2^53'],
  [0.5, 1, 'address is 0.5'],
  [Number.NaN, 1, 'address is NaN'],
  [0x1000, 0, 'length is 0, want 1 to 2^32-1 bytes'],
  [0x1000, 2 ** 32, 'length is 4294967296'],
  [0x1000, 1.5, 'length is 1.5'],
])('an element at %d of %d bytes is refused', (address, length, message) => {
  const list = new BufferList(1);
  expect(() => list.addReadable(address, length)).toThrow(message);
  expect(() => list.addWritable(address, length)).toThrow(message);
  expect([list.count, list.readable]).toEqual([0, 0]);
});

test('one element more than the capacity is refused', () => {
  const list = new BufferList(1).addReadable(0x1000, 1);
  expect(() => list.addReadable(0x2000, 1)).toThrow('count is 2, want at most 1 elements');
  expect(list.count).toBe(1);
});
