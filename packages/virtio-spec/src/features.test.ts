import { expect, test } from 'vitest';
import { VIRTIO_ID } from './device-ids.js';
import { FEATURE_RANGES, featureName, featureUse, VIRTIO_F, VIRTIO_F_LEGACY } from './features.js';
import { VIRTIO_NET_F } from './net-features.js';

test('virtio 1.4 §6, §6.3: the device-independent bits', () => {
  expect(VIRTIO_F).toEqual({
    INDIRECT_DESC: 28,
    EVENT_IDX: 29,
    VERSION_1: 32,
    ACCESS_PLATFORM: 33,
    RING_PACKED: 34,
    IN_ORDER: 35,
    ORDER_PLATFORM: 36,
    SR_IOV: 37,
    NOTIFICATION_DATA: 38,
    NOTIF_CONFIG_DATA: 39,
    RING_RESET: 40,
    ADMIN_VQ: 41,
    SUSPEND: 43,
  });
  expect(VIRTIO_F_LEGACY).toEqual({ NOTIFY_ON_EMPTY: 24, ANY_LAYOUT: 27, UNUSED: 30 });
});

test('virtio 1.4 §2.2: the ranges cover bits 0 to 127 without gap or overlap', () => {
  let next = 0;
  for (const { first, last } of FEATURE_RANGES) {
    expect(first).toBe(next);
    next = last + 1;
  }
  expect(next).toBe(128);
});

test('virtio 1.4 §2.2: whose a bit is, at the edge of each range', () => {
  const bits = [0, 23, 24, 40, 41, 42, 43, 44, 49, 50, 127, 128];
  expect(bits.map((bit) => `${bit} ${featureUse(bit)}`)).toEqual([
    '0 device-type',
    '23 device-type',
    '24 reserved',
    '40 reserved',
    '41 reserved',
    '42 device-type',
    '43 reserved',
    '44 future',
    '49 future',
    '50 device-type',
    '127 device-type',
    '128 future',
  ]);
});

test('virtio 1.4 §2.2: each defined bit lies in a range of its kind', () => {
  for (const bit of Object.values(VIRTIO_F)) expect([bit, featureUse(bit)]).toEqual([bit, 'reserved']);
  for (const bit of Object.values(VIRTIO_NET_F)) expect([bit, featureUse(bit)]).toEqual([bit, 'device-type']);
});

test('a feature is named by its device type, a bit without a name by its number', () => {
  expect(featureName(15, VIRTIO_ID.NET)).toBe('VIRTIO_NET_F_MRG_RXBUF');
  expect(featureName(15, VIRTIO_ID.BLOCK)).toBe('feature bit 15');
  expect(featureName(34, VIRTIO_ID.NET)).toBe('VIRTIO_F_RING_PACKED');
  expect(featureName(27, VIRTIO_ID.BLOCK)).toBe('VIRTIO_F_ANY_LAYOUT');
  expect(featureName(6, VIRTIO_ID.NET)).toBe('VIRTIO_NET_F_GSO');
  expect(featureName(41, VIRTIO_ID.NET)).toBe('VIRTIO_F_ADMIN_VQ');
  expect(featureName(42, VIRTIO_ID.NET)).toBe('VIRTIO_NET_F_GUEST_RSC6');
  expect(featureName(44, VIRTIO_ID.NET)).toBe('feature bit 44');
});
