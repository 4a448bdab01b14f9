import {
  type DeviceKinds,
  type DevicePackedQueue,
  type DeviceSplitQueue,
  type DriverKinds,
  type DriverQueue,
  type IndirectTables,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  type QueueRefusal,
  type QueueState,
} from '@ringwire/virtqueue';
import { LoopedDevicePackedQueue } from './device-packed-loops.js';
import { LoopedDeviceSplitQueue } from './device-split-loops.js';
import { LoopedDriverPackedQueue } from './driver-packed-loops.js';
import { LoopedDriverSplitQueue } from './driver-split-loops.js';

const DEVICE_KINDS: DeviceKinds = { split: LoopedDeviceSplitQueue, packed: LoopedDevicePackedQueue };
const DRIVER_KINDS: DriverKinds = { split: LoopedDriverSplitQueue, packed: LoopedDriverPackedQueue };

/**
 * `openDeviceQueue`, with loops in WebAssembly for bursts whose arrays the ring's memory made. In memory that is wrapped,
 * or has no room for private arrays, and for other bursts, it is the same queue as there.
 */
export function openLoopedDeviceQueue(
  config: QueueConfig,
  state?: QueueState,
): DeviceSplitQueue | DevicePackedQueue | QueueRefusal {
  return openDeviceQueue(config, state, DEVICE_KINDS);
}

/** `openDriverQueue`, likewise. @throws VirtioError when the memory that the caller chose is no place for the queue */
export function openLoopedDriverQueue(config: QueueConfig, tables?: IndirectTables): DriverQueue {
  return openDriverQueue(config, tables, DRIVER_KINDS);
}
