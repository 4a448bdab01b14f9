export type { DeviceCounters } from './device-counters.js';
export type { DeviceModel, DevicePort, SharedMemoryRegion } from './device-model.js';
export { EntropyModel } from './entropy-model.js';
export { explainDevice } from './explain-device.js';
export { IommuModel } from './iommu-model.js';
export type { VendorData } from './pci-capabilities.js';
export type { VirtioDevice, VirtioDeviceConfig } from './virtio-device.js';
export { type MmioCounters, VirtioMmio, type VirtioMmioConfig } from './virtio-mmio.js';
export { VirtioPci, type VirtioPciConfig } from './virtio-pci.js';
