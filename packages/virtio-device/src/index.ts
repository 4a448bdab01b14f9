export type { DeviceModel, DevicePort } from './device-model.js';
export { NetDevice } from './net/net-device.js';
export { NET_DROP } from './net/net-drop.js';
export type { NetDeviceOptions } from './net/net-options.js';
