import type { RegisterRow, TableOf } from './layout.js';

/**
 * virtio 1.4 §4.2.2 MMIO Device Register Layout, version 2. Every register is one aligned 32-bit word; the
 * offsets between them are not described and a driver stays away from them (§4.2.2.2).
 */
export const MMIO_REGISTERS = {
  MagicValue: { at: 0x000, bytes: 4, access: 'ro' },
  Version: { at: 0x004, bytes: 4, access: 'ro' },
  DeviceID: { at: 0x008, bytes: 4, access: 'ro' }, // §5; 0 is a placeholder without a device
  VendorID: { at: 0x00c, bytes: 4, access: 'ro' },
  // Features, §2.2: 32 bits of them, selected by the Sel register.
  DeviceFeatures: { at: 0x010, bytes: 4, access: 'ro' },
  DeviceFeaturesSel: { at: 0x014, bytes: 4, access: 'wo' },
  DriverFeatures: { at: 0x020, bytes: 4, access: 'wo' },
  DriverFeaturesSel: { at: 0x024, bytes: 4, access: 'wo' },
  // The virtqueue in QueueSel, §4.2.3.2.
  QueueSel: { at: 0x030, bytes: 4, access: 'wo' },
  QueueSizeMax: { at: 0x034, bytes: 4, access: 'ro' }, // QueueNumMax until 1.2
  QueueSize: { at: 0x038, bytes: 4, access: 'wo' }, // QueueNum until 1.2
  QueueReady: { at: 0x044, bytes: 4, access: 'rw' },
  QueueNotify: { at: 0x050, bytes: 4, access: 'wo' }, // §4.2.3.3; NOTIFICATION_DATA or the virtqueue index
  // Interrupts, §4.2.3.4: MMIO_INTERRUPT.
  InterruptStatus: { at: 0x060, bytes: 4, access: 'ro' },
  InterruptACK: { at: 0x064, bytes: 4, access: 'wo' },
  Status: { at: 0x070, bytes: 4, access: 'rw' }, // §2.1 DEVICE_STATUS; writing 0 resets
  // Addresses of the virtqueue in QueueSel.
  QueueDescLow: { at: 0x080, bytes: 4, access: 'wo' },
  QueueDescHigh: { at: 0x084, bytes: 4, access: 'wo' },
  QueueDriverLow: { at: 0x090, bytes: 4, access: 'wo' },
  QueueDriverHigh: { at: 0x094, bytes: 4, access: 'wo' },
  QueueDeviceLow: { at: 0x0a0, bytes: 4, access: 'wo' },
  QueueDeviceHigh: { at: 0x0a4, bytes: 4, access: 'wo' },
  // The shared memory region in SHMSel, §2.10; all ones where there is none.
  SHMSel: { at: 0x0ac, bytes: 4, access: 'wo' },
  SHMLenLow: { at: 0x0b0, bytes: 4, access: 'ro' },
  SHMLenHigh: { at: 0x0b4, bytes: 4, access: 'ro' },
  SHMBaseLow: { at: 0x0b8, bytes: 4, access: 'ro' },
  SHMBaseHigh: { at: 0x0bc, bytes: 4, access: 'ro' },
  QueueReset: { at: 0x0c0, bytes: 4, access: 'rw' }, // §2.6.1, with VIRTIO_F_RING_RESET
  ConfigGeneration: { at: 0x0fc, bytes: 4, access: 'ro' }, // §2.5
} as const;

/** Name of a register in {@link MMIO_REGISTERS}. */
export type MmioRegister = keyof TableOf<RegisterRow, typeof MMIO_REGISTERS>;

/** virtio 1.4 §4.2.2: where the device-specific configuration space starts, accessible by bytes. */
export const MMIO_CONFIG_AT = 0x100;

/** virtio 1.4 §4.2.2.1: what MagicValue reads; its bytes spell "virt". */
export const MMIO_MAGIC_VALUE = 0x7472_6976;
/** virtio 1.4 §4.2.2.1: what Version reads. */
export const MMIO_VERSION = 2;

/** virtio 1.4 §4.2.2: bits of InterruptStatus and InterruptACK. */
export const MMIO_INTERRUPT = { USED_BUFFER: 1, CONFIGURATION_CHANGE: 2 } as const;
