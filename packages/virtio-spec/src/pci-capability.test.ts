import { expect, test } from 'vitest';
import {
  ISR_STATUS,
  PCI_CAP_ID_VNDR,
  VIRTIO_PCI_BAR_MAX,
  VIRTIO_PCI_CAP,
  VIRTIO_PCI_CAP64,
  VIRTIO_PCI_CFG_CAP,
  VIRTIO_PCI_CFG_TYPE,
  VIRTIO_PCI_NOTIFY_CAP,
  VIRTIO_PCI_VNDR_DATA,
} from './pci-capability.js';
import { walkLayout, withWidths } from './testing/walk-layout.js';

const CAP_WIDTHS = {
  cap_vndr: 1,
  cap_next: 1,
  cap_len: 1,
  cfg_type: 1,
  bar: 1,
  id: 1,
  padding: 2,
  offset: 4,
  length: 4,
};

test('virtio 1.4 §4.1.4: virtio_pci_cap has neither gap nor overlap and takes 16 bytes', () => {
  expect(walkLayout(withWidths(VIRTIO_PCI_CAP, CAP_WIDTHS), 16)).toEqual([]);
  expect(VIRTIO_PCI_CAP.SIZE).toBe(16);
});

test('virtio 1.4 §4.1.4, §4.1.4.4, §4.1.4.9: what follows virtio_pci_cap starts where it ends', () => {
  const cap = withWidths(VIRTIO_PCI_CAP, CAP_WIDTHS);
  const after = (offsets: Record<string, number> & { SIZE: number }, widths: Record<string, number>): string[] =>
    walkLayout({ ...cap, ...withWidths(offsets, widths) }, offsets.SIZE);
  expect(after(VIRTIO_PCI_CAP64, { offset_hi: 4, length_hi: 4 })).toEqual([]);
  expect(after(VIRTIO_PCI_NOTIFY_CAP, { notify_off_multiplier: 4 })).toEqual([]);
  expect(after(VIRTIO_PCI_CFG_CAP, { pci_cfg_data: 4 })).toEqual([]);
  expect([VIRTIO_PCI_CAP64.SIZE, VIRTIO_PCI_NOTIFY_CAP.SIZE, VIRTIO_PCI_CFG_CAP.SIZE]).toEqual([24, 20, 20]);
});

test('virtio 1.4 §4.1.4.8: vendor_id comes right after cfg_type', () => {
  expect(VIRTIO_PCI_VNDR_DATA).toEqual({ vendor_id: 4, SIZE: 6 });
});

test('a notification capability by hand: BAR 4, offset 0x3000, length 0x1000, multiplier 4', () => {
  const bytes = Uint8Array.of(9, 0x84, 0x14, 2, 4, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0);
  const view = new DataView(bytes.buffer);
  expect(bytes[VIRTIO_PCI_CAP.cap_vndr]).toBe(PCI_CAP_ID_VNDR);
  expect(bytes[VIRTIO_PCI_CAP.cap_len]).toBe(VIRTIO_PCI_NOTIFY_CAP.SIZE);
  expect(bytes[VIRTIO_PCI_CAP.cfg_type]).toBe(VIRTIO_PCI_CFG_TYPE.NOTIFY_CFG);
  expect(bytes[VIRTIO_PCI_CAP.bar]).toBe(4);
  expect(view.getUint32(VIRTIO_PCI_CAP.offset, true)).toBe(0x3000);
  expect(view.getUint32(VIRTIO_PCI_CAP.length, true)).toBe(0x1000);
  expect(view.getUint32(VIRTIO_PCI_NOTIFY_CAP.notify_off_multiplier, true)).toBe(4);
});

test('virtio 1.4 §4.1.4, §4.1.4.5: cfg_type values, BARs and ISR bits', () => {
  expect(VIRTIO_PCI_CFG_TYPE).toEqual({
    COMMON_CFG: 1,
    NOTIFY_CFG: 2,
    ISR_CFG: 3,
    DEVICE_CFG: 4,
    PCI_CFG: 5,
    SHARED_MEMORY_CFG: 8,
    VENDOR_CFG: 9,
  });
  expect(VIRTIO_PCI_BAR_MAX).toBe(5);
  expect(ISR_STATUS).toEqual({ QUEUE_INTERRUPT: 0b01, DEVICE_CONFIGURATION_INTERRUPT: 0b10 });
});
