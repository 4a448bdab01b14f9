import { ACCESS } from '@ringwire/guest-memory';
import type { VirtioDevice } from '@ringwire/virtio-device';
import { VIRTIO_F, VIRTQ_USED } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import type { IovaSpace } from './iova-space.js';

/** The area that a split ring's used index is in, as `VirtioDevice` counts them. */
const DEVICE_AREA = 2;

/**
 * Where to go on in queues that another process served, which was killed. A split ring says it itself: whoever served it used
 * buffers in their order, so what lies behind the used index was not used. What a killed process had sent and not said so
 * of is sent again. A packed ring says where its used descriptors are, and not how many others each of them stands for.
 * @returns the place, or why nobody knows it
 */
export function positionsOf(device: VirtioDevice, space: IovaSpace): (index: number) => QueueState | string {
  return (index) => {
    if (device.negotiated(VIRTIO_F.RING_PACKED))
      return 'packed rings do not say where they are: unbind its driver, and bind it again';
    const slot = device.queues[index]!;
    const at = slot.address(DEVICE_AREA) + VIRTQ_USED.idx;
    space.enter();
    const host = space.resolve(at, 2, ACCESS.READ);
    const used = host < 0 ? undefined : space.memory.view.getUint16(host, true);
    space.leave();
    if (used === undefined) return `queue ${index} has its used index at 0x${at.toString(16)}, which is out of reach`;
    return { layout: 'split', lastAvailIdx: used, usedIdx: used };
  };
}
