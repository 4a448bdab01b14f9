import { VIRTIO_F } from '@ringwire/virtio-spec';

/** Notifications by another name than the queue's, and queues for administration, are not of a `VdpaDevice`'s operations. */
export const NOT_OF_VDPA: readonly number[] = [VIRTIO_F.NOTIF_CONFIG_DATA, VIRTIO_F.ADMIN_VQ, VIRTIO_F.SR_IOV];

/** Clear bits in the caller's words. */
export function clearFeatures(words: Uint32Array, bits: readonly number[]): void {
  for (const bit of bits) words[bit >>> 5]! &= ~(1 << (bit & 31));
}
