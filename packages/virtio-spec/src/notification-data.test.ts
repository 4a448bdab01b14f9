import { expect, test } from 'vitest';
import {
  NOTIFICATION_DATA,
  notifiedAvailIdx,
  notifiedNextOff,
  notifiedNextWrap,
  notifiedVqIndex,
  packedNotificationData,
  splitNotificationData,
} from './notification-data.js';

test('virtio 1.4 §2.9: the three parts cover the 32 bits once', () => {
  let next = 0;
  for (const { shift, bits } of Object.values(NOTIFICATION_DATA)) {
    expect(shift).toBe(next);
    next = shift + bits;
  }
  expect(next).toBe(32);
});

test('virtio 1.4 §2.9, split: next_off and next_wrap together are the available idx', () => {
  expect(splitNotificationData(3, 0x0005)).toBe(0x0005_0003);
  expect(splitNotificationData(3, 0x8005)).toBe(0x8005_0003); // unsigned, although bit 31 is set
  expect(splitNotificationData(0xffff, 0xffff)).toBe(0xffff_ffff);
  expect(splitNotificationData(3, 0x1_0000)).toBe(0x0000_0003); // one past 65535
});

test('virtio 1.4 §2.9, packed: next_off in bits 16 to 30, next_wrap in bit 31', () => {
  expect(packedNotificationData(1, 0, 0)).toBe(0x0000_0001);
  expect(packedNotificationData(1, 0, 1)).toBe(0x8000_0001);
  expect(packedNotificationData(2, 0x7fff, 0)).toBe(0x7fff_0002);
  expect(packedNotificationData(0x0102, 299, 1)).toBe(0x812b_0102);
});

test('virtio 1.4 §2.9: a word written by hand is taken apart', () => {
  expect(notifiedVqIndex(0x812b_0102)).toBe(0x0102);
  expect(notifiedNextOff(0x812b_0102)).toBe(299);
  expect(notifiedNextWrap(0x812b_0102)).toBe(1);
  expect(notifiedNextWrap(0x7fff_ffff)).toBe(0);
  expect(notifiedAvailIdx(0x8005_0003)).toBe(0x8005);
});
