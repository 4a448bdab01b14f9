import type { FieldRow, TableOf } from './layout.js';
import type { NetFeature } from './net-features.js';

/** One field of the configuration: it exists when any of `features` is offered, always where there are none. */
export interface NetConfigRow extends FieldRow {
  readonly bytes: 1 | 2 | 4 | 6;
  readonly features: readonly NetFeature[];
}

/**
 * virtio 1.4 §5.1.4 Device configuration layout, struct virtio_net_config. Read-only for the driver. A field
 * keeps its place when one before it does not exist.
 */
export const VIRTIO_NET_CONFIG = {
  mac: { at: 0, bytes: 6, features: [] }, // valid only with VIRTIO_NET_F_MAC
  status: { at: 6, bytes: 2, features: ['STATUS'] },
  max_virtqueue_pairs: { at: 8, bytes: 2, features: ['MQ', 'RSS'] },
  mtu: { at: 10, bytes: 2, features: ['MTU'] },
  speed: { at: 12, bytes: 4, features: ['SPEED_DUPLEX'] },
  duplex: { at: 16, bytes: 1, features: ['SPEED_DUPLEX'] },
  rss_max_key_size: { at: 17, bytes: 1, features: ['RSS', 'HASH_REPORT'] },
  rss_max_indirection_table_length: { at: 18, bytes: 2, features: ['RSS'] },
  supported_hash_types: { at: 20, bytes: 4, features: ['RSS', 'HASH_REPORT'] },
  supported_tunnel_types: { at: 24, bytes: 4, features: ['HASH_TUNNEL'] },
} as const;

/** Name of a field of {@link VIRTIO_NET_CONFIG}. */
export type NetConfigField = keyof TableOf<NetConfigRow, typeof VIRTIO_NET_CONFIG>;

/** Bytes of the whole structure in virtio 1.4. */
export const VIRTIO_NET_CONFIG_SIZE = 28;

/** virtio 1.4 §5.1.4: bits of `status`. */
export const VIRTIO_NET_S = { LINK_UP: 1, ANNOUNCE: 2 } as const;

/** virtio 1.4 §5.1.4: `speed` in Mbit/s; above MAX it is unknown (§5.1.4.2). */
export const VIRTIO_NET_SPEED = { MAX: 0x7fff_ffff, UNKNOWN: 0xffff_ffff } as const;

/**
 * virtio 1.4 §5.1.4: `duplex`. §5.1.4.1 has HALF and FULL the other way round; §5.1.4 and Linux's DUPLEX_FULL
 * agree on 1 for full duplex, so they are followed.
 */
export const VIRTIO_NET_DUPLEX = { HALF: 0x00, FULL: 0x01, UNKNOWN: 0xff } as const;

/** virtio 1.4 §5.1.4.1: what a device may put into the fields it has, both ends included. */
export const VIRTIO_NET_CONFIG_LIMITS = {
  max_virtqueue_pairs: { min: 1, max: 0x8000 },
  mtu: { min: 68, max: 65535 },
  rss_max_key_size: { min: 40, max: 255 },
  rss_max_indirection_table_length: { min: 128, max: 65535 },
} as const;
