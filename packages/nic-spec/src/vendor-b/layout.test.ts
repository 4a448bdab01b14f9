import { expect, test } from 'vitest';
import {
  ADMIN_BUFFER,
  ADMIN_OP,
  ADMIN_STATUS,
  COMPLETION,
  SAVED_RING,
  SAVED_STATE,
  VB_DOORBELL,
  VB_FAULT,
  VB_MAGIC,
  VB_REG,
  VENDOR_B_BAR,
  VENDOR_B_COUNT,
  VENDOR_B_ID,
  WORK_ENTRY,
  WORK_STATUS,
} from '../vendor-b.js';

const distinct = (values: Readonly<Record<string, number>>): boolean =>
  new Set(Object.values(values)).size === Object.keys(values).length;

test('vendor B datasheet §2, §3: registers and doorbells are words of their own, inside their pages', () => {
  for (const table of [VB_REG, VB_DOORBELL]) {
    expect(distinct(table)).toBe(true);
    for (const at of Object.values(table)) expect([at % 4, at < VENDOR_B_BAR.DOORBELL_PAGE]).toEqual([0, true]);
  }
  const { MSIX_TABLE, MSIX_PBA, DOORBELLS, DOORBELL_PAGE, SIZE } = VENDOR_B_BAR;
  expect(MSIX_TABLE + 16 * VENDOR_B_COUNT.VECTORS).toBeLessThanOrEqual(MSIX_PBA);
  expect(DOORBELLS + VENDOR_B_COUNT.PAGES * DOORBELL_PAGE).toBe(SIZE);
  expect(String.fromCharCode(...new Uint8Array(Uint32Array.of(VB_MAGIC).buffer))).toBe('VNDB');
});

test('vendor B datasheet §4 to §7: entries, buffers and saved states are as long as their fields', () => {
  expect(WORK_ENTRY.segment + WORK_ENTRY.SEGMENTS * WORK_ENTRY.SEGMENT_BYTES).toBe(WORK_ENTRY.SIZE);
  expect(COMPLETION.tail + 4).toBe(COMPLETION.SIZE);
  expect(ADMIN_BUFFER.response + ADMIN_BUFFER.BYTES).toBe(ADMIN_BUFFER.SIZE);
  const rings = VENDOR_B_COUNT.COMPLETION_RINGS + VENDOR_B_COUNT.SUBMISSION_RINGS;
  expect(SAVED_STATE.rings + rings * SAVED_RING.SIZE).toBe(SAVED_STATE.SIZE);
  for (const table of [ADMIN_OP, ADMIN_STATUS, WORK_STATUS, VB_FAULT]) expect(distinct(table)).toBe(true);
});

test('vendor B’s PCI ids are neither virtio’s nor Intel’s', () => {
  expect([0x1af4, 0x8086, 0x1b36]).not.toContain(VENDOR_B_ID.VENDOR);
  expect(VENDOR_B_ID.PF).not.toBe(VENDOR_B_ID.VF);
});
