import { expect, test } from 'vitest';
import {
  isVirtqSize,
  VIRTQ_AVAIL,
  VIRTQ_AVAIL_F,
  VIRTQ_DESC,
  VIRTQ_SIZE_MAX,
  VIRTQ_USED,
  VIRTQ_USED_ELEM,
  VIRTQ_USED_F,
  virtqAvailBytes,
  virtqAvailEventAt,
  virtqDescBytes,
  virtqUsedBytes,
  virtqUsedEventAt,
} from './split-ring.js';
import { walkLayout, withWidths } from './testing/walk-layout.js';

test('virtio 1.4 §2.7.5, §2.7.6, §2.7.8: the structs have neither gap nor overlap and end at their size', () => {
  const desc = withWidths(VIRTQ_DESC, { addr: 8, len: 4, flags: 2, next: 2 });
  expect(walkLayout(desc, VIRTQ_DESC.SIZE)).toEqual([]);
  // Up to the ring itself; its elements and the event word are the part sizes below.
  expect(walkLayout(withWidths(VIRTQ_AVAIL, { flags: 2, idx: 2 }), VIRTQ_AVAIL.ring)).toEqual([]);
  expect(walkLayout(withWidths(VIRTQ_USED, { flags: 2, idx: 2 }), VIRTQ_USED.ring)).toEqual([]);
  expect(walkLayout(withWidths(VIRTQ_USED_ELEM, { id: 4, len: 4 }), VIRTQ_USED.ELEM_SIZE)).toEqual([]);
  expect(VIRTQ_USED_ELEM.SIZE).toBe(8);
});

test('a descriptor by hand: { addr 0x3000, len 64, flags WRITE, next 7 }', () => {
  const bytes = Uint8Array.of(0x00, 0x30, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0x02, 0, 0x07, 0);
  const view = new DataView(bytes.buffer);
  expect(view.getBigUint64(VIRTQ_DESC.addr, true)).toBe(0x3000n);
  expect(view.getUint32(VIRTQ_DESC.len, true)).toBe(64);
  expect(view.getUint16(VIRTQ_DESC.flags, true)).toBe(2);
  expect(view.getUint16(VIRTQ_DESC.next, true)).toBe(7);
});

test('virtio 1.4 §2.7: part sizes are 16·size, 6 + 2·size and 6 + 8·size, aligned to 16, 2 and 4', () => {
  expect([1, 4, 256, 32768].map((size) => [virtqDescBytes(size), virtqAvailBytes(size), virtqUsedBytes(size)])).toEqual(
    [
      [16, 8, 14],
      [64, 14, 38],
      [4096, 518, 2054],
      [524288, 65542, 262150],
    ],
  );
  expect([VIRTQ_DESC.ALIGN, VIRTQ_AVAIL.ALIGN, VIRTQ_USED.ALIGN]).toEqual([16, 2, 4]);
});

test('virtio 1.4 §2.7.6, §2.7.8: the event words are the last two bytes of their ring', () => {
  expect([virtqUsedEventAt(4), virtqAvailEventAt(4)]).toEqual([12, 36]);
  expect([virtqUsedEventAt(256), virtqAvailEventAt(256)]).toEqual([516, 2052]);
});

test('virtio 1.4 §2.7.6, §2.7.8: the suppression flags are bit 0 of either ring', () => {
  expect(VIRTQ_AVAIL_F).toEqual({ NO_INTERRUPT: 1 });
  expect(VIRTQ_USED_F).toEqual({ NO_NOTIFY: 1 });
});

test('virtio 1.4 §2.7: a split Queue Size is a power of two, at most 32768', () => {
  expect(VIRTQ_SIZE_MAX).toBe(32768);
  expect([1, 2, 256, 32768].every(isVirtqSize)).toBe(true);
  expect([0, 3, 300, 32769, 65536, -2, 1.5, Number.NaN].some(isVirtqSize)).toBe(false);
});
