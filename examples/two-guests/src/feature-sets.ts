import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';

/** What a driver asks its device for, and how it reaches it. */
export interface FeatureSet {
  readonly name: string;
  readonly transport: 'pci' | 'mmio';
  /** Feature words to choose from. */
  readonly features: Uint32Array;
}

const N = VIRTIO_NET_F;
const BASE = [VIRTIO_F.VERSION_1, N.MAC, N.STATUS];
const RING = [VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX];
const OFFLOADS = [N.CSUM, N.GUEST_CSUM, N.HOST_TSO4, N.GUEST_TSO4, N.HOST_USO, N.GUEST_USO4];

const set = (name: string, transport: 'pci' | 'mmio', ...bits: readonly number[]): FeatureSet => ({
  name,
  transport,
  features: featureWords([...BASE, ...bits]),
});

export const FEATURE_SETS: readonly FeatureSet[] = [
  set('split, nothing else', 'mmio'),
  set('split, events', 'pci', ...RING),
  set('split, mergeable', 'pci', ...RING, N.MRG_RXBUF),
  set('split, in order', 'mmio', ...RING, N.MRG_RXBUF, VIRTIO_F.IN_ORDER),
  set('packed, nothing else', 'mmio', VIRTIO_F.RING_PACKED),
  set('packed, mergeable', 'pci', ...RING, VIRTIO_F.RING_PACKED, N.MRG_RXBUF),
  set('packed, notification data', 'pci', ...RING, VIRTIO_F.RING_PACKED, VIRTIO_F.NOTIFICATION_DATA),
  set('packed, all offloads', 'pci', ...RING, VIRTIO_F.RING_PACKED, N.MRG_RXBUF, ...OFFLOADS),
];
