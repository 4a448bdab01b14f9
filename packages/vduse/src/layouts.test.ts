import { expect, test } from 'vitest';
import {
  CONFIG_DATA,
  CONTROL_IOCTL,
  DEV_CONFIG,
  DEVICE_IOCTL,
  IOTLB_ENTRY,
  REQUEST,
  RESPONSE,
  VQ_CONFIG,
  VQ_EVENTFD,
  VQ_INFO,
  VQ_STATE_PACKED,
} from './layouts.js';

test('ioctls have the numbers that a Linux 6.12 was seen to answer', () => {
  expect(CONTROL_IOCTL).toEqual({
    SET_API_VERSION: 0x4008_8101,
    CREATE_DEV: 0x4150_8102,
    DESTROY_DEV: 0x4100_8103,
  });
  expect(DEVICE_IOCTL).toEqual({
    IOTLB_GET_FD: 0xc020_8110,
    DEV_GET_FEATURES: 0x8008_8111,
    DEV_SET_CONFIG: 0x4008_8112,
    DEV_INJECT_CONFIG_IRQ: 0x8113,
    VQ_SETUP: 0x4020_8114,
    VQ_GET_INFO: 0xc030_8115,
    VQ_SETUP_KICKFD: 0x4008_8116,
    VQ_INJECT_IRQ: 0x4004_8117,
  });
});

/** Bytes of each field; what is left out is padding, and what overlaps a union. */
test.each([
  [
    'DEV_CONFIG',
    DEV_CONFIG,
    { name: 256, vendor_id: 4, device_id: 4, features: 8, vq_num: 4, vq_align: 4, reserved: 52, config_size: 4 },
  ],
  ['IOTLB_ENTRY', IOTLB_ENTRY, { offset: 8, start: 8, last: 8, perm: 8 }],
  ['CONFIG_DATA', CONFIG_DATA, { offset: 4, length: 4 }],
  ['VQ_CONFIG', VQ_CONFIG, { index: 4, max_size: 2, reserved: 26 }],
  [
    'VQ_INFO',
    VQ_INFO,
    { index: 4, num: 4, desc_addr: 8, driver_addr: 8, device_addr: 8, state: VQ_STATE_PACKED.SIZE, ready: 8 },
  ],
  [
    'VQ_STATE_PACKED',
    VQ_STATE_PACKED,
    { last_avail_counter: 2, last_avail_idx: 2, last_used_counter: 2, last_used_idx: 2 },
  ],
  ['VQ_EVENTFD', VQ_EVENTFD, { index: 4, fd: 4 }],
  ['REQUEST, with translations', REQUEST, { type: 4, request_id: 4, reserved: 16, iova_start: 8, iova_last: 8 + 112 }],
  ['RESPONSE', RESPONSE, { request_id: 4, result: 4, reserved: 16, vq_index: 4, vq_state: VQ_STATE_PACKED.SIZE + 116 }],
] as const)(
  '%s has no gap and no overlap',
  (_, layout: { readonly SIZE: number }, bytes: Readonly<Record<string, number>>) => {
    const at = layout as Readonly<Record<string, number>>;
    let end = 0;
    for (const [field, length] of Object.entries(bytes)) {
      expect([field, at[field]]).toEqual([field, end]);
      end += length;
    }
    expect(end).toBe(layout.SIZE);
  },
);
