export { LinuxVduse, type VduseKernel } from './kernel.js';
export type { RingLayouts } from './offer.js';
export { type VduseCounters, VduseDevice, type VduseDeviceOptions, type VduseState } from './vduse-device.js';
export { VduseError } from './vduse-error.js';
