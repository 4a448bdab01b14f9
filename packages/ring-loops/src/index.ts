export { openLoopedDeviceQueue, openLoopedDriverQueue } from './open-looped-queue.js';
export { freePrivateArrays, newPrivateOwner, ownPrivateArrays, privateArrays } from './private-arrays.js';
export { RangeCopier } from './range-copier.js';
