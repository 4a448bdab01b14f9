export type { DeviceCounters } from './device-counters.js';
export type { DeviceModel, DevicePort, SharedMemoryRegion } from './device-model.js';
export { EntropyModel } from './entropy-model.js';
export { NetDevice } from './net/net-device.js';
export { NET_DROP } from './net/net-drop.js';
export type { NetDeviceOptions } from './net/net-options.js';
export type { VirtioDevice, VirtioDeviceConfig } from './virtio-device.js';
export { type MmioCounters, VirtioMmio, type VirtioMmioConfig } from './virtio-mmio.js';
