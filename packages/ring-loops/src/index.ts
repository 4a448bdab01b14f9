export { openLoopedDeviceQueue, openLoopedDriverQueue } from './open-looped-queue.js';
