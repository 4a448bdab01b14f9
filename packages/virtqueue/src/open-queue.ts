import { VirtioError } from '@ringwire/virtio-spec';
import { DevicePackedQueue } from './device-packed.js';
import { DeviceSplitQueue } from './device-split.js';
import type { IndirectTables } from './driver-indirect.js';
import { DriverPackedQueue } from './driver-packed.js';
import type { DriverQueue } from './driver-queue.js';
import { DriverSplitQueue } from './driver-split.js';
import { isRefusal, layOutQueue, type QueueConfig, type QueueLayout, type QueueRefusal } from './queue-layout.js';
import { type QueueState, queueStateProblem } from './queue-state.js';

/** What device queues are made as: other ones override loops. */
export interface DeviceKinds {
  readonly split: new (ring: QueueLayout, state?: QueueState & { layout: 'split' }) => DeviceSplitQueue;
  readonly packed: new (ring: QueueLayout, state?: QueueState & { layout: 'packed' }) => DevicePackedQueue;
}

/** What driver queues are made as. */
export interface DriverKinds {
  readonly split: new (ring: QueueLayout, tables?: IndirectTables) => DriverSplitQueue;
  readonly packed: new (ring: QueueLayout, tables?: IndirectTables) => DriverPackedQueue;
}

const DEVICE_KINDS: DeviceKinds = { split: DeviceSplitQueue, packed: DevicePackedQueue };
const DRIVER_KINDS: DriverKinds = { split: DriverSplitQueue, packed: DriverPackedQueue };

/**
 * Start the device side of a virtqueue where the driver put it.
 * @param state positions of an earlier life of the queue, see {@link DeviceQueue.save}; without it, from the start
 * @returns the queue, known by its layout, or why it cannot run: what a driver programmed, and a saved state, are foreign input.
 *          Nothing was written then
 * @see virtio 1.4 §2.7, §2.8, §2.6 (a reset queue is opened again, like a new one)
 */
export function openDeviceQueue(
  config: QueueConfig,
  state?: QueueState,
  kinds: DeviceKinds = DEVICE_KINDS,
): DeviceSplitQueue | DevicePackedQueue | QueueRefusal {
  const layout = layOutQueue(config, 'device');
  if (isRefusal(layout)) return layout;
  const message =
    state === undefined ? undefined : queueStateProblem(state, layout.packed ? 'packed' : 'split', layout.size);
  if (message !== undefined) return { field: 'state', message };
  return layout.packed
    ? new kinds.packed(layout, state as QueueState & { layout: 'packed' })
    : new kinds.split(layout, state as QueueState & { layout: 'split' });
}

/**
 * Start the driver side of a virtqueue in the driver's own memory, and zero its parts.
 * @param tables memory for indirect tables; used when INDIRECT_DESC is negotiated
 * @throws VirtioError when the memory that the caller chose is no place for the queue
 */
export function openDriverQueue(
  config: QueueConfig,
  tables?: IndirectTables,
  kinds: DriverKinds = DRIVER_KINDS,
): DriverQueue {
  const layout = layOutQueue(config, 'driver');
  if (isRefusal(layout)) throw new VirtioError(layout.field, config[layout.field as 'size'], layout.want, layout.spec);
  return layout.packed ? new kinds.packed(layout, tables) : new kinds.split(layout, tables);
}
