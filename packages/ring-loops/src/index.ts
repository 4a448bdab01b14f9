export { openLoopedDeviceQueue, openLoopedDriverQueue } from './open-looped-queue.js';
export { privateArrays } from './private-arrays.js';
export { RangeCopier } from './range-copier.js';
