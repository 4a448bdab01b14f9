import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { RangeList } from './range-list.js';

test('a list grows past its capacity and keeps what was pushed, in order', () => {
  const list = new RangeList(1);
  for (let at = 0; at < 5; at++) list.push(0xffff_fff0 + at, at + 1);
  expect(list.count).toBe(5);
  expect([...list.offset.subarray(0, 5)]).toEqual([0xffff_fff0, 0xffff_fff1, 0xffff_fff2, 0xffff_fff3, 0xffff_fff4]);
  expect([...list.length.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5]);
});

test('adjacent ranges stay apart', () => {
  const list = new RangeList();
  list.push(0, 16);
  list.push(16, 16);
  expect(list.count).toBe(2);
});

test('bytes adds lengths up without wrapping at 32 bits, from any range on', () => {
  const list = new RangeList();
  list.push(0, 0xffff_ffff);
  list.push(0, 0xffff_ffff);
  list.push(0, 2);
  expect(list.bytes()).toBe(0x2_0000_0000);
  expect(list.bytes(1)).toBe(0x1_0000_0001);
  expect(list.bytes(2, 1)).toBe(2);
  expect(list.bytes(3)).toBe(0);
});

test('truncate takes back the ranges pushed last, clear all of them, and neither gives the arrays up', () => {
  const list = new RangeList(2);
  list.push(1, 1);
  list.push(2, 2);
  list.push(3, 3);
  const arrays = list.offset;
  list.truncate(1);
  expect(list.bytes()).toBe(1);
  list.clear();
  expect(list.count).toBe(0);
  expect(list.offset).toBe(arrays);
});

test('stale ranges past the end are refused', () => {
  const list = new RangeList();
  list.push(1, 1);
  list.push(2, 2);
  list.truncate(1);
  expect(() => list.bytes(0, 2)).toThrow(VirtioError);
  expect(() => list.bytes(2)).toThrow('first + count is 1');
  expect(() => list.truncate(2)).toThrow('count is 2, want an integer from 0 to 1 (RangeList)');
  expect(() => new RangeList(0)).toThrow('capacity is 0');
});

test('reserve makes room that can be written directly, and keeps what is there', () => {
  const list = new RangeList(1);
  list.push(7, 8);
  list.reserve(5);
  expect(list.offset.length).toBeGreaterThanOrEqual(6);
  expect([list.count, list.offset[0], list.length[0]]).toEqual([1, 7, 8]);
});
