export type { DeviceCounters } from './device-counters.js';
export type { DeviceModel, DevicePort, SharedMemoryRegion } from './device-model.js';
export { EntropyModel } from './entropy-model.js';
export { explainDevice } from './explain-device.js';
export { IommuModel } from './iommu-model.js';
export { NET_SCRATCH_BYTES, NetDevice } from './net/net-device.js';
export { NET_DROP } from './net/net-drop.js';
export type { NetDeviceOptions } from './net/net-options.js';
export { CVQ_STAT, RX_STAT, Statistics, TX_STAT } from './net/net-statistics.js';
export type { VendorData } from './pci-capabilities.js';
export {
  type DeviceThreadOptions,
  type KickPlace,
  REGISTER_SPACE,
  runDeviceThread,
  type ThreadedDevice,
  threadedMmio,
  threadedPci,
} from './thread/device-thread.js';
export { RemoteDevice, type RemoteDeviceOptions, type RemoteEvents } from './thread/remote-device.js';
export { ThreadEvents } from './thread/thread-events.js';
export { newThreadPlace, type ThreadPlace, wakeDeviceThread } from './thread/thread-words.js';
export type { VirtioDevice, VirtioDeviceConfig } from './virtio-device.js';
export { type MmioCounters, VirtioMmio, type VirtioMmioConfig } from './virtio-mmio.js';
export { VirtioPci, type VirtioPciConfig } from './virtio-pci.js';
