/** What a driver can do wrong: one of these at a time. */
export const BUGS = [
  // Bringing the device up, and giving it back.
  'does not reset first',
  'does not wait for the reset',
  'takes a status bit back',
  'accepts what is not offered',
  'accepts what is not defined',
  'accepts without what it needs',
  'does not read FEATURES_OK back',
  'goes on without FEATURES_OK',
  'DRIVER_OK before queues',
  'notifies before DRIVER_OK',
  'notifies after the reset',
  'stops without a reset',
  'frees memory before the reset',
  'ignores DEVICE_NEEDS_RESET',
  'writes the configuration',
  'reads a field that is not there',
  'reads the address in pieces',
  // Rings.
  'misaligned ring',
  'reuses a descriptor in flight',
  'reuses a buffer id',
  'changes a buffer under way',
  'loop in a chain',
  'writable before readable',
  'reserved flag',
  'indirect and next',
  'available index goes back',
  'wrap counter is not flipped',
  'never notifies',
  'always notifies',
  'addresses that are not the device’s',
  // Network headers and buffers.
  'short header',
  'num_buffers in a sent header',
  'segmentation that is not negotiated',
  'flags without CSUM',
  'ignores num_buffers',
  'believes buffers beyond their length',
  'ignores mtu',
  'small receive buffers',
  'drops frames with unknown flags',
  // Interrupts.
  'does not acknowledge interrupts',
  'throws',
  'waits for ever',
] as const;

/** Name of a bug. */
export type Bug = (typeof BUGS)[number];
