export type { DeviceModel, DevicePort } from './device-model.js';
