export type { DeviceModel, DevicePort, SharedMemoryRegion } from './device-model.js';
