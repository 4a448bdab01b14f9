import { expect, test } from 'vitest';
import { DEVICE_STATUS } from './device-status.js';

test('virtio 1.4 §2.1: the status bits; 32 is the only bit of the byte that has no meaning', () => {
  expect(DEVICE_STATUS).toEqual({
    ACKNOWLEDGE: 0x01,
    DRIVER: 0x02,
    DRIVER_OK: 0x04,
    FEATURES_OK: 0x08,
    SUSPEND: 0x10,
    DEVICE_NEEDS_RESET: 0x40,
    FAILED: 0x80,
  });
  expect(Object.values(DEVICE_STATUS).reduce((all, bit) => all | bit, 0)).toBe(0xff & ~0x20);
});

test('virtio 1.4 §3.1.1: a driver that finished initialization shows 0x0f', () => {
  const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
  expect(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK).toBe(0x0f);
});
