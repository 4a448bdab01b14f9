import {
  MMIO_CONFIG_AT,
  MMIO_MAGIC_VALUE,
  MMIO_REGISTERS,
  MMIO_VERSION,
  type MmioRegister,
} from '@ringwire/virtio-spec/transport';
import type { MmioAccess } from '../access.js';
import type { Field, ScriptedDevice } from './scripted-device.js';

const FIELDS: Partial<Record<MmioRegister, Field>> = {
  DeviceFeatures: 'device_feature',
  DeviceFeaturesSel: 'device_feature_select',
  DriverFeatures: 'driver_feature',
  DriverFeaturesSel: 'driver_feature_select',
  QueueSel: 'queue_select',
  QueueSizeMax: 'queue_size',
  QueueSize: 'queue_size',
  QueueReady: 'queue_enable',
  QueueReset: 'queue_reset',
  Status: 'device_status',
  ConfigGeneration: 'config_generation',
};
const ADDRESSES = {
  QueueDescLow: ['desc', 0],
  QueueDescHigh: ['desc', 1],
  QueueDriverLow: ['driver', 0],
  QueueDriverHigh: ['driver', 1],
  QueueDeviceLow: ['device', 0],
  QueueDeviceHigh: ['device', 1],
} as const;

/** What reads of the identifying registers give in place of the right value. */
export interface MmioIdentity {
  readonly magic?: number;
  readonly version?: number;
  readonly deviceId?: number;
}

/** The registers of virtio-mmio in front of a scripted device. An access that §4.2.2.2 forbids throws, and fails the test. */
export function scriptedMmio(device: ScriptedDevice, identity: MmioIdentity = {}): MmioAccess {
  const fixed: Partial<Record<MmioRegister, number>> = {
    MagicValue: identity.magic ?? MMIO_MAGIC_VALUE,
    Version: identity.version ?? MMIO_VERSION,
    DeviceID: identity.deviceId ?? device.deviceId,
    VendorID: 0x554d4551,
  };
  const register = (offset: number, size: number, forbidden: 'ro' | 'wo'): MmioRegister => {
    const entry = Object.entries(MMIO_REGISTERS).find(([, { at }]) => at === offset);
    if (entry === undefined || size !== 4 || entry[1].access === forbidden)
      throw new Error(
        `access of ${size} bytes at 0x${offset.toString(16)}, which is ${entry?.[1].access ?? 'nothing'}`,
      );
    return entry[0] as MmioRegister;
  };
  return {
    read(offset, size) {
      if (offset >= MMIO_CONFIG_AT) {
        const value = readBytes(device.config, offset - MMIO_CONFIG_AT, size);
        device.log.push({ op: 'r', name: 'config', bytes: size, value });
        return value;
      }
      const name = register(offset, size, 'wo');
      const value = fixed[name] ?? (name === 'InterruptStatus' ? device.cause : device.read(FIELDS[name]!));
      device.log.push({ op: 'r', name, bytes: size, value });
      return value;
    },
    write(offset, size, value) {
      if (offset >= MMIO_CONFIG_AT) throw new Error(`configuration is written at 0x${offset.toString(16)}`);
      const name = register(offset, size, 'ro');
      device.log.push({ op: 'w', name, bytes: size, value });
      const address = ADDRESSES[name as keyof typeof ADDRESSES];
      if (address !== undefined) device.writeAddress(address[0], address[1], value);
      else if (name === 'InterruptACK') device.cause &= ~value;
      else if (FIELDS[name] !== undefined) device.write(FIELDS[name], value);
    },
  };
}

export function readBytes(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0xff);
  return value;
}
