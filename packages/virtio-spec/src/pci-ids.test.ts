import { expect, test } from 'vitest';
import { VIRTIO_ID } from './device-ids.js';
import { VIRTIO_PCI_ID, VIRTIO_PCI_NON_TRANSITIONAL, VIRTIO_PCI_TRANSITIONAL_ID } from './pci-ids.js';

test('virtio 1.4 §4.1.2.1: a network device is 1af4:1041, or 1af4:1000 when transitional', () => {
  expect(VIRTIO_PCI_ID.VENDOR).toBe(0x1af4);
  expect(VIRTIO_PCI_ID.DEVICE_ID_BASE + VIRTIO_ID.NET).toBe(0x1041);
  expect(VIRTIO_PCI_TRANSITIONAL_ID.NET).toBe(0x1000);
});

test('virtio 1.4 §4.1.2.1: every device type has a PCI Device ID in 0x1041 to 0x107f', () => {
  expect(VIRTIO_PCI_ID.DEVICE_ID_LAST).toBe(0x107f);
  for (const id of Object.values(VIRTIO_ID)) {
    expect(VIRTIO_PCI_ID.DEVICE_ID_BASE + id).toBeLessThanOrEqual(VIRTIO_PCI_ID.DEVICE_ID_LAST);
  }
});

test('virtio 1.4 §4.1.2.1: the transitional ids lie in 0x1000 to 0x103f and belong to device types', () => {
  expect(Object.values(VIRTIO_PCI_TRANSITIONAL_ID)).toEqual([0x1000, 0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1009]);
  for (const name of Object.keys(VIRTIO_PCI_TRANSITIONAL_ID)) expect(Object.keys(VIRTIO_ID)).toContain(name);
  expect(VIRTIO_PCI_NON_TRANSITIONAL).toEqual({ REVISION_ID_MIN: 1, SUBSYSTEM_DEVICE_ID_MIN: 64 });
});
