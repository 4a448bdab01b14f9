import { HostMemory, PRIVATE_AREA } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { freePrivateArrays, newPrivateOwner, ownPrivateArrays, privateArrays, withdraw } from './private-arrays.js';

test('arrays lie behind everything that host offsets lead to, all zeros and apart from one another', () => {
  const memory = HostMemory.create(0x1_0000);
  const arrays = privateArrays(memory);
  const made = [arrays.u8(3), arrays.u16(5), arrays.u32(7), arrays.i32(9)];
  let end = memory.size;
  for (const array of made) {
    expect(arrays.holds(array)).toBe(true);
    expect(array.byteOffset).toBeGreaterThanOrEqual(end);
    expect([...array].every((number) => number === 0)).toBe(true);
    array.fill(0xff);
    end = array.byteOffset + array.byteLength;
  }
  expect(memory.u8.every((byte) => byte === 0)).toBe(true);
});

test('an array that is withdrawn keeps its numbers, and its room is another one’s, all zeros', () => {
  const memory = HostMemory.create(0x1_0000);
  const arrays = privateArrays(memory);
  const array = arrays.u32(100).fill(7);
  const copy = withdraw(memory, array);
  expect([arrays.holds(copy), copy]).toEqual([false, new Uint32Array(100).fill(7)]);
  const next = arrays.u32(100);
  expect([next.byteOffset, next[0]]).toEqual([array.byteOffset, 0]);
  expect(withdraw(memory, copy)).toBe(copy);
});

test('where there is no more room arrays are JavaScript’s own, and come back when there is', () => {
  const memory = HostMemory.create(0x1_0000);
  const arrays = privateArrays(memory);
  const half = arrays.u8(PRIVATE_AREA.BYTES / 2);
  expect(arrays.holds(half)).toBe(true);
  expect(arrays.holds(arrays.u8(PRIVATE_AREA.BYTES / 2))).toBe(false);
  withdraw(memory, half);
  expect(arrays.holds(arrays.u8(PRIVATE_AREA.BYTES / 2))).toBe(true);
});

test('another thread’s view of the memory is as large, and gives away other room', () => {
  const memory = HostMemory.create(0x1_0000);
  const there = HostMemory.adopt(memory.wasm!);
  expect(there.size).toBe(memory.size);
  const [here, other] = [privateArrays(memory).u32(4), privateArrays(there).u32(4)];
  expect(here.byteOffset).not.toBe(other.byteOffset);
});

test('what a thread had that was ended is for others, as often as threads come and go; what living ones have is theirs', () => {
  const memory = HostMemory.create(0x1_0000);
  const kept = privateArrays(memory).u32(100).fill(7);
  const places = new Set<number>();
  for (let round = 0; round < 300; round++) {
    const there = HostMemory.adopt(memory.wasm!);
    const owner = newPrivateOwner(there);
    ownPrivateArrays(there, owner);
    const large = privateArrays(there).u8(3 * PRIVATE_AREA.CHUNK_BYTES);
    const small = privateArrays(there).u32(10);
    expect([privateArrays(there).holds(large), privateArrays(there).holds(small)]).toEqual([true, true]);
    places.add(large.byteOffset);
    freePrivateArrays(memory, owner);
  }
  expect([places.size, kept.every((word) => word === 7)]).toEqual([1, true]);
});

test('wrapped memory has none', () => {
  const memory = HostMemory.wrap(new SharedArrayBuffer(0x1000));
  const array = privateArrays(memory).u32(4);
  expect([array.length, privateArrays(memory).holds(array), newPrivateOwner(memory)]).toEqual([4, false, 0]);
});
