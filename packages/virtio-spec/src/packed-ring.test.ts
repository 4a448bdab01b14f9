import { expect, test } from 'vitest';
import {
  isPvirtqSize,
  PVIRTQ_DESC,
  PVIRTQ_EVENT_MASK,
  PVIRTQ_EVENT_SUPPRESS,
  PVIRTQ_SIZE_MAX,
  pvirtqDescBytes,
  RING_EVENT_FLAGS,
} from './packed-ring.js';
import { walkLayout, withWidths } from './testing/walk-layout.js';

test('virtio 1.4 §2.8.13, §2.8.14: the structs have neither gap nor overlap and end at their size', () => {
  expect(walkLayout(withWidths(PVIRTQ_DESC, { addr: 8, len: 4, id: 2, flags: 2 }), PVIRTQ_DESC.SIZE)).toEqual([]);
  const event = withWidths(PVIRTQ_EVENT_SUPPRESS, { desc: 2, flags: 2 });
  expect(walkLayout(event, PVIRTQ_EVENT_SUPPRESS.SIZE)).toEqual([]);
});

test('a packed descriptor by hand: { addr 0x12340000, len 1514, id 9, flags AVAIL | WRITE }', () => {
  const bytes = Uint8Array.of(0x00, 0x00, 0x34, 0x12, 0, 0, 0, 0, 0xea, 0x05, 0, 0, 0x09, 0, 0x82, 0);
  const view = new DataView(bytes.buffer);
  expect(view.getBigUint64(PVIRTQ_DESC.addr, true)).toBe(0x1234_0000n);
  expect(view.getUint32(PVIRTQ_DESC.len, true)).toBe(1514);
  expect(view.getUint16(PVIRTQ_DESC.id, true)).toBe(9);
  expect(view.getUint16(PVIRTQ_DESC.flags, true)).toBe(0x82);
});

test('virtio 1.4 §2.8.14: offset 5 with wrap counter 1 and flags DESC are the bytes 05 80 02 00', () => {
  const bytes = Uint8Array.of(0x05, 0x80, 0x02, 0x00);
  const view = new DataView(bytes.buffer);
  const desc = view.getUint16(PVIRTQ_EVENT_SUPPRESS.desc, true);
  const flags = view.getUint16(PVIRTQ_EVENT_SUPPRESS.flags, true);
  expect(desc & PVIRTQ_EVENT_MASK.desc_event_off).toBe(5);
  expect(desc & PVIRTQ_EVENT_MASK.desc_event_wrap).not.toBe(0);
  expect(flags & PVIRTQ_EVENT_MASK.desc_event_flags).toBe(RING_EVENT_FLAGS.DESC);
  // The two masks of `desc` split its 16 bits between them.
  expect(PVIRTQ_EVENT_MASK.desc_event_off ^ PVIRTQ_EVENT_MASK.desc_event_wrap).toBe(0xffff);
  expect(RING_EVENT_FLAGS).toEqual({ ENABLE: 0, DISABLE: 1, DESC: 2 });
});

test('virtio 1.4 §2.8.10.1: parts take 16·size, 4 and 4 bytes, aligned to 16, 4 and 4', () => {
  expect([pvirtqDescBytes(1), pvirtqDescBytes(300), pvirtqDescBytes(32768)]).toEqual([16, 4800, 524288]);
  expect([PVIRTQ_DESC.ALIGN, PVIRTQ_EVENT_SUPPRESS.SIZE, PVIRTQ_EVENT_SUPPRESS.ALIGN]).toEqual([16, 4, 4]);
});

test('virtio 1.4 §2.8, §2.8.10.1: a packed Queue Size need not be a power of two and is at most 32768', () => {
  expect(PVIRTQ_SIZE_MAX).toBe(32768);
  expect([1, 3, 300, 32768].every(isPvirtqSize)).toBe(true);
  expect([0, 32769, -1, 2.5, Number.NaN].some(isPvirtqSize)).toBe(false);
});
