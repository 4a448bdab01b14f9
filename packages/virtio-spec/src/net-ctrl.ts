/**
 * virtio 1.4 §5.1.9.5 Control Virtqueue, struct virtio_net_ctrl: `class`, `command` and data are the driver's, `ack` and a
 * result behind it the device's.
 */
export const VIRTIO_NET_CTRL = { class: 0, command: 1, data: 2 } as const;

/** virtio 1.4 §5.1.9.5: `ack`. */
export const VIRTIO_NET_ACK = { OK: 0, ERR: 1 } as const;

/** virtio 1.4 §5.1.9.5: `class`. The specification calls the last one VIRTNET_RSS_CTX_CTRL. */
export const VIRTIO_NET_CTRL_CLASS = {
  RX: 0,
  MAC: 1,
  VLAN: 2,
  ANNOUNCE: 3,
  MQ: 4,
  GUEST_OFFLOADS: 5,
  NOTF_COAL: 6,
  HASH_TUNNEL: 7,
  STATS: 8,
  RSS_CTX: 9,
} as const;

/** virtio 1.4 §5.1.9.5.1 Packet Receive Filtering. Each has one byte of data, 0 (off) or 1 (on). */
export const VIRTIO_NET_CTRL_RX = { PROMISC: 0, ALLMULTI: 1, ALLUNI: 2, NOMULTI: 3, NOUNI: 4, NOBCAST: 5 } as const;

/**
 * virtio 1.4 §5.1.9.5.2 Setting MAC Address Filtering. TABLE_SET has two tables, unicast then multicast: le32 entries,
 * then 6 bytes each. ADDR_SET has the 6 bytes of an address.
 */
export const VIRTIO_NET_CTRL_MAC = { TABLE_SET: 0, ADDR_SET: 1 } as const;

/** virtio 1.4 §5.1.9.5.3 VLAN Filtering. Both have a le16 VLAN id. */
export const VIRTIO_NET_CTRL_VLAN = { ADD: 0, DEL: 1 } as const;

/** virtio 1.4 §5.1.9.5.4 Gratuitous Packet Sending. No data. */
export const VIRTIO_NET_CTRL_ANNOUNCE = { ACK: 0 } as const;

/** virtio 1.4 §5.1.9.5.5 Device operation in multiqueue mode. VQ_PAIRS_SET has a le16. */
export const VIRTIO_NET_CTRL_MQ = { VQ_PAIRS_SET: 0, RSS_CONFIG: 1, HASH_CONFIG: 2 } as const;

/** virtio 1.4 §5.1.9.5.6: what VQ_PAIRS_SET may ask for, both ends included. */
export const VIRTIO_NET_CTRL_MQ_VQ_PAIRS = { MIN: 1, MAX: 0x8000 } as const;

/**
 * virtio 1.4 §5.1.9.5.7.1, struct virtio_net_rss_config up to its table. Behind the table of le16 come le16 max_tx_vq,
 * u8 hash_key_length and the key.
 */
export const VIRTIO_NET_RSS_CONFIG = {
  hash_types: 0,
  indirection_table_mask: 4,
  unclassified_queue: 6,
  indirection_table: 8,
} as const;

/** virtio 1.4 §5.1.9.5.7.1, struct rss_rq_id: bits 1 to 16 of a receive queue's index, and a bit that is 0. */
export const RSS_RQ_ID_RESERVED = 0x8000;

/** virtio 1.4 §5.1.9.5.6.4, struct virtio_net_hash_config up to its key. `reserved` is 8 bytes. */
export const VIRTIO_NET_HASH_CONFIG = { hash_types: 0, reserved: 4, hash_key_length: 12, hash_key_data: 13 } as const;

/** virtio 1.4 §5.1.9.5.9.1 Setting Offloads State: one le64. */
export const VIRTIO_NET_CTRL_GUEST_OFFLOADS = { SET: 0 } as const;

/** virtio 1.4 §5.1.9.5.9.1: bits of the le64. The tunnel offloads are feature bits 65 and 66 elsewhere. */
export const VIRTIO_NET_GUEST_OFFLOAD = {
  CSUM: 1,
  TSO4: 7,
  TSO6: 8,
  ECN: 9,
  UFO: 10,
  UDP_TUNNEL_GSO: 46,
  UDP_TUNNEL_GSO_CSUM: 47,
  USO4: 54,
  USO6: 55,
} as const;

/** virtio 1.4 §5.1.9.5.10 Notifications Coalescing. */
export const VIRTIO_NET_CTRL_NOTF_COAL = { TX_SET: 0, RX_SET: 1, VQ_SET: 2, VQ_GET: 3 } as const;

/** virtio 1.4 §5.1.9.5.10, struct virtio_net_ctrl_coal: TX_SET and RX_SET. */
export const VIRTIO_NET_CTRL_COAL = { max_packets: 0, max_usecs: 4, SIZE: 8 } as const;

/** virtio 1.4 §5.1.9.5.10, struct virtio_net_ctrl_coal_vq: VQ_SET; for VQ_GET the first 4 bytes, and `coal` is the result. */
export const VIRTIO_NET_CTRL_COAL_VQ = { vq_index: 0, reserved: 2, coal: 4, SIZE: 12 } as const;

/** virtio 1.4 §5.1.9.4.4: one le32, enabled_tunnel_types. */
export const VIRTIO_NET_CTRL_HASH_TUNNEL = { SET: 0 } as const;

/** virtio 1.4 §5.1.9.5.8 RSS Context. The result of CAP_GET is le16 max_rss_contexts. */
export const VIRTIO_NET_CTRL_RSS_CTX = { CAP_GET: 0, ADD: 1, MOD: 2, DEL: 3 } as const;

/** virtio 1.4 §5.1.9.5.8.2, struct virtnet_rss_ctx_add_modify; DEL has `rss_ctx_id` alone. */
export const VIRTIO_NET_RSS_CTX = { rss_ctx_id: 0, reserved: 2, rss: 8 } as const;
