import type { VirtioDevice } from '@ringwire/virtio-device';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import { VQ_INFO } from './layouts.js';
import { readState } from './messages.js';
import type { VduseNode } from './node.js';

/** Where a device stands, or is to begin, in a queue. */
export interface QueuePosition {
  readonly index: number;
  readonly state: QueueState;
}

/** In the order in which `VirtioDevice` has a queue's addresses. */
const AREAS = [VQ_INFO.desc_addr, VQ_INFO.driver_addr, VQ_INFO.device_addr] as const;

/**
 * Open the queues that the driver has made ready, foreign input. Features are negotiated, and the device does not run yet.
 * @param positionOf where to begin in place of where the driver said, or why there is no such place
 * @returns why one of them cannot be opened
 */
export function openQueues(
  device: VirtioDevice,
  node: Pick<VduseNode, 'queueInfo'>,
  positionOf?: (index: number) => QueueState | string,
): string | undefined {
  const isPacked = device.negotiated(VIRTIO_F.RING_PACKED);
  for (const { index, sizeMax } of device.queues) {
    const info = node.queueInfo(index);
    if (typeof info === 'string') return `queue ${index} cannot be asked for: ${info}`;
    if (info.getUint8(VQ_INFO.ready) === 0) continue;
    const slot = device.writableQueue(index);
    if (slot === undefined) return `queue ${index} is not to be set up now`;
    // A driver that set no size has what was offered.
    slot.writeSize(info.getUint32(VQ_INFO.num, true) || sizeMax, isPacked);
    for (const [area, at] of AREAS.entries()) {
      slot.writeAddress(area, false, info.getUint32(at, true));
      slot.writeAddress(area, true, info.getUint32(at + 4, true));
    }
    const state = positionOf === undefined ? readState(info, VQ_INFO.state, isPacked) : positionOf(index);
    if (typeof state === 'string') return state;
    device.enableQueue(index, state);
    if (!slot.enabled) return `queue ${index}: ${slot.refusal}`;
  }
  return undefined;
}
