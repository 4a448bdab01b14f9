import { FEATURE_WORDS, featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  type FeatureRequirement,
  VIRTIO_NET_CONFIG,
  VIRTIO_NET_CONFIG_LIMITS,
  VIRTIO_NET_F,
  VIRTIO_NET_F_REQUIRES,
} from '@ringwire/virtio-spec/net';
import type { NetFacts } from './net-facts.js';

const F = VIRTIO_NET_F;

/** What the specification's table leaves out: commands and what only commands switch on need the control queue. */
const MORE_REQUIREMENTS: readonly FeatureRequirement[] = [
  { bit: F.CTRL_GUEST_OFFLOADS, needs: [[F.CTRL_VQ]] },
  { bit: F.CTRL_RX_EXTRA, needs: [[F.CTRL_VQ]] },
  { bit: F.HASH_REPORT, needs: [[F.CTRL_VQ]] },
  { bit: F.DEVICE_STATS, needs: [[F.CTRL_VQ]] },
];

/** Features of rings and transports that both drivers know. SR_IOV is not theirs, ADMIN_VQ is when it is asked for. */
const COMMON = [
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.ORDER_PLATFORM,
  VIRTIO_F.NOTIFICATION_DATA,
  VIRTIO_F.NOTIF_CONFIG_DATA,
  VIRTIO_F.RING_RESET,
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
] as const;

/** All that {@link NetDriver} knows. Not among it: RSC_EXT, IPSEC and what administration virtqueues bring. */
export const NET_DRIVER_FEATURES: Uint32Array = featureWords([
  ...COMMON,
  VIRTIO_F.SUSPEND,
  ...Object.values(F).filter((bit) => bit !== F.RSC_EXT && bit !== F.IPSEC),
]);

/** The same of a driver that uses an administration virtqueue. */
export const ADMIN_NET_FEATURES: Uint32Array = NET_DRIVER_FEATURES.map((bits, word) =>
  word === VIRTIO_F.ADMIN_VQ >>> 5 ? bits | (1 << (VIRTIO_F.ADMIN_VQ & 31)) : bits,
);

/** All that the poll-mode driver knows: what needs interrupts, and tunnels, are left out. */
export const POLL_DRIVER_FEATURES: Uint32Array = featureWords([
  ...COMMON,
  ...[F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_ECN, F.HOST_UFO, F.HOST_USO],
  ...[F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_ECN, F.GUEST_UFO, F.GUEST_USO4, F.GUEST_USO6],
  ...[F.MTU, F.MAC, F.MRG_RXBUF, F.STATUS, F.SPEED_DUPLEX, F.CTRL_VQ, F.MQ, F.HASH_REPORT, F.GUEST_HDRLEN],
  ...[F.CTRL_RX, F.CTRL_RX_EXTRA, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.CTRL_GUEST_OFFLOADS, F.DEVICE_STATS],
  ...[F.RSS, F.RSS_CONTEXT, F.HASH_TUNNEL],
]);

/**
 * The features to accept: offered, known and wanted, without those whose configuration is out of range, and without
 * those that lack what they need. @see virtio 1.4 §2.2.1, §5.1.3.1, §5.1.4.1
 */
export function acceptNetFeatures(
  offered: Uint32Array,
  known: Uint32Array,
  wanted: Uint32Array | undefined,
  facts: NetFacts,
): Uint32Array<ArrayBuffer> {
  const accepted = new Uint32Array(FEATURE_WORDS);
  for (let word = 0; word < FEATURE_WORDS; word++) {
    accepted[word] = offered[word]! & known[word]! & (wanted?.[word] ?? 0xffff_ffff);
  }
  for (const field of Object.keys(VIRTIO_NET_CONFIG_LIMITS) as (keyof typeof VIRTIO_NET_CONFIG_LIMITS)[]) {
    const { min, max } = VIRTIO_NET_CONFIG_LIMITS[field];
    if (facts[field] >= min && facts[field] <= max) continue;
    for (const name of VIRTIO_NET_CONFIG[field].features) clear(accepted, F[name]);
  }
  const requirements = [...VIRTIO_NET_F_REQUIRES, ...MORE_REQUIREMENTS];
  // Dropping one may leave another without what it needs; each round drops one at least.
  for (let dropped = true; dropped; ) {
    dropped = false;
    for (const { bit, needs } of requirements) {
      if (!hasFeature(accepted, bit) || needs.every((group) => group.some((need) => hasFeature(accepted, need))))
        continue;
      clear(accepted, bit);
      dropped = true;
    }
  }
  return accepted;
}

const clear = (words: Uint32Array, bit: number): void => {
  words[bit >>> 5]! &= ~(1 << (bit & 31));
};
