import { VIRTIO_ID } from './device-ids.js';
import { VIRTIO_NET_F, VIRTIO_NET_F_LEGACY } from './net-features.js';

/** virtio 1.4 §6 Reserved Feature Bits: device-independent features, by bit number. */
export const VIRTIO_F = {
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  IN_ORDER: 35,
  ORDER_PLATFORM: 36,
  SR_IOV: 37,
  NOTIFICATION_DATA: 38,
  NOTIF_CONFIG_DATA: 39,
  RING_RESET: 40,
  /** PCI only; virtio 1.4 §4.2.5 keeps it from MMIO. */
  ADMIN_VQ: 41,
  SUSPEND: 43,
} as const;

/** virtio 1.4 §6.3 Legacy Interface: Reserved Feature Bits. UNUSED is for nobody to negotiate. */
export const VIRTIO_F_LEGACY = { NOTIFY_ON_EMPTY: 24, ANY_LAYOUT: 27, UNUSED: 30 } as const;

/** Whose a feature bit is: the device type's, of §6 for all devices, or nobody's yet. */
export type FeatureUse = 'device-type' | 'reserved' | 'future';

/**
 * virtio 1.4 §2.2 Feature Bits: how bits 0 to 127 are allocated; the future has all from 128 on, too.
 * §2.2 gives 41 to the device types, where the legacy VIRTIO_NET_F_GUEST_RSC4 has it, while §6 defines
 * VIRTIO_F_ADMIN_VQ there. §6 decides here, as it does in Linux.
 */
export const FEATURE_RANGES: readonly { first: number; last: number; use: FeatureUse }[] = [
  { first: 0, last: 23, use: 'device-type' },
  { first: 24, last: 41, use: 'reserved' },
  { first: 42, last: 42, use: 'device-type' },
  { first: 43, last: 43, use: 'reserved' },
  { first: 44, last: 49, use: 'future' },
  { first: 50, last: 127, use: 'device-type' },
];

/** virtio 1.4 §2.2: whose this feature bit is. */
export const featureUse = (bit: number): FeatureUse =>
  FEATURE_RANGES.find(({ first, last }) => first <= bit && bit <= last)?.use ?? 'future';

/**
 * A feature's name for messages, such as `VIRTIO_NET_F_MRG_RXBUF`; `feature bit 44` where none is known.
 * @param deviceType of `VIRTIO_ID`; only a network device's own bits have names here
 */
export function featureName(bit: number, deviceType: number): string {
  const own = deviceType === VIRTIO_ID.NET ? keyOf(VIRTIO_NET_F, bit) : undefined;
  if (own !== undefined) return `VIRTIO_NET_F_${own}`;
  const common = keyOf(VIRTIO_F, bit) ?? keyOf(VIRTIO_F_LEGACY, bit);
  if (common !== undefined) return `VIRTIO_F_${common}`;
  const legacy = deviceType === VIRTIO_ID.NET ? keyOf(VIRTIO_NET_F_LEGACY, bit) : undefined;
  return legacy === undefined ? `feature bit ${bit}` : `VIRTIO_NET_F_${legacy}`;
}

const keyOf = (table: Record<string, number>, value: number): string | undefined =>
  Object.keys(table).find((key) => table[key] === value);
