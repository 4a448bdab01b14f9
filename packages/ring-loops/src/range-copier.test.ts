import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { privateArrays } from './private-arrays.js';
import { RangeCopier } from './range-copier.js';

const PLACES = 0x8000;
const PITCH = 256;

function rangesOf(memory: HostMemory, isPrivate: boolean, lengths: readonly number[]): RangeList {
  const ranges = isPrivate ? new RangeList(32, privateArrays(memory)) : new RangeList(32);
  for (const [i, length] of lengths.entries()) {
    const at = i * 512 + 1;
    for (let byte = 0; byte < length; byte++) memory.u8[at + byte] = byte + i;
    ranges.push(at, length);
  }
  return ranges;
}

test.each([
  ['in WebAssembly', true, (): HostMemory => HostMemory.create(0x1_0000)],
  ['of a list elsewhere', false, (): HostMemory => HostMemory.create(0x1_0000)],
  ['in wrapped memory', true, (): HostMemory => HostMemory.wrap(new SharedArrayBuffer(0x1_0000))],
] as const)(
  'ranges go into one place after the other, round and round, and not a byte more: %s',
  (_, isPrivate, make) => {
    const memory = make();
    memory.u8.fill(0xee);
    const lengths = [12, 13, 40, 268, 100, 77, 12];
    const ranges = rangesOf(memory, isPrivate, lengths);
    const copier = new RangeCopier(memory, PLACES, PITCH, 3);
    expect(copier.copy(ranges, 0, 7, 12)).toBe(7);
    // The places have the last three: ranges 6, 4 and 5.
    for (const [place, range] of [6, 4, 5].entries()) {
      const bytes = lengths[range]! - 12;
      const got = memory.u8.slice(PLACES + place * PITCH, PLACES + place * PITCH + bytes);
      expect([...got]).toEqual(Array.from({ length: bytes }, (_value, byte) => (byte + 12 + range) & 0xff));
    }
    expect(memory.u8[PLACES + 3 * PITCH]).toBe(0xee);
    expect(copier.copy(ranges, 1, 1, 0)).toBe(1);
    expect(memory.u8[PLACES + PITCH]).toBe(1);
  },
);

test('a range that is longer than a place, or shorter than what is left out, ends the copying', () => {
  const memory = HostMemory.create(0x1_0000);
  const ranges = rangesOf(memory, true, [20, 269, 20, 11]);
  const copier = new RangeCopier(memory, PLACES, PITCH, 4);
  expect([copier.copy(ranges, 0, 4, 12), copier.copy(ranges, 2, 2, 12)]).toEqual([1, 1]);
});

test('places outside the memory are refused', () => {
  const memory = HostMemory.create(0x1_0000);
  expect(() => new RangeCopier(memory, 0xff00, PITCH, 2)).toThrow('start is 65280, want 2 places of 256 bytes');
  expect(() => new RangeCopier(memory, 0, PITCH, 0)).toThrow('count is 0, want 1 or more');
});
