import { expect, test } from 'vitest';
import { COMMON_CFG, COMMON_CFG_SIZE, VIRTIO_MSI_NO_VECTOR } from './pci-common-cfg.js';
import { walkLayout } from './testing/walk-layout.js';

test('virtio 1.4 §4.1.4.3: the fields have neither gap nor overlap and end at 0x40', () => {
  expect(walkLayout(COMMON_CFG, 0x40)).toEqual([]);
  expect(COMMON_CFG_SIZE).toBe(0x40);
});

test('virtio 1.4 §4.1.3.1: every field is aligned to its width, 64-bit ones to 4 bytes at least', () => {
  for (const [name, { at, bytes }] of Object.entries(COMMON_CFG)) {
    expect([name, at % Math.min(bytes, 4)]).toEqual([name, 0]);
  }
});

test('virtio 1.4 §4.1.4.3: the struct’s widths, written by hand in its order', () => {
  const widths = Object.values(COMMON_CFG).map(({ bytes }) => bytes);
  expect(widths).toEqual([4, 4, 4, 4, 2, 2, 1, 1, 2, 2, 2, 2, 2, 8, 8, 8, 2, 2, 2, 2]);
});

test('virtio 1.4 §4.1.4.3: what the driver only reads', () => {
  const readOnly = Object.entries(COMMON_CFG).flatMap(([name, { access }]) => (access === 'ro' ? [name] : []));
  expect(readOnly).toEqual([
    'device_feature',
    'num_queues',
    'config_generation',
    'queue_notify_off',
    'queue_notif_config_data',
    'admin_queue_index',
    'admin_queue_num',
  ]);
});

test('virtio 1.4 §4.1.5.1.2: no vector is 0xffff', () => {
  expect(VIRTIO_MSI_NO_VECTOR).toBe(0xffff);
});
