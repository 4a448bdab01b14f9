/** virtio 1.4 §5.1.9.5.11 Device Statistics: commands of the class STATS. */
export const VIRTIO_NET_CTRL_STATS = { QUERY: 0, GET: 1 } as const;

/**
 * virtio 1.4 §5.1.9.5.11.1: bits of supported_stats_types and types_bitmap, both le64; the same numbers are `type` of a
 * reply.
 */
export const VIRTIO_NET_STATS_TYPE = {
  RX_BASIC: 0,
  RX_CSUM: 1,
  RX_GSO: 2,
  RX_SPEED: 3,
  TX_BASIC: 16,
  TX_CSUM: 17,
  TX_GSO: 18,
  TX_SPEED: 19,
  CVQ: 32,
} as const;
/** Name of one of {@link VIRTIO_NET_STATS_TYPE}. */
export type NetStatsType = keyof typeof VIRTIO_NET_STATS_TYPE;

/** virtio 1.4 §5.1.9.5.11.2, one element of struct virtio_net_ctrl_queue_stats: the data of GET is any number of them. */
export const VIRTIO_NET_CTRL_QUEUE_STATS = { vq_index: 0, reserved: 2, types_bitmap: 8, SIZE: 16 } as const;

/** virtio 1.4 §5.1.9.5.11.2, struct virtio_net_stats_reply_hdr. `size` is the reply's, this header included. */
export const VIRTIO_NET_STATS_REPLY_HDR = {
  type: 0,
  reserved: 1,
  vq_index: 2,
  reserved1: 4,
  size: 6,
  SIZE: 8,
} as const;

/** virtio 1.4 §5.1.9.5.11.3 to .11: the le64 counters behind the header, in the struct's order. */
export const VIRTIO_NET_STATS_FIELDS = {
  RX_BASIC: ['rx_notifications', 'rx_packets', 'rx_bytes', 'rx_interrupts', 'rx_drops', 'rx_drop_overruns'],
  RX_CSUM: ['rx_csum_valid', 'rx_needs_csum', 'rx_csum_none', 'rx_csum_bad'],
  RX_GSO: ['rx_gso_packets', 'rx_gso_bytes', 'rx_gso_packets_coalesced', 'rx_gso_bytes_coalesced'],
  RX_SPEED: ['rx_packets_allowance_exceeded', 'rx_bytes_allowance_exceeded'],
  TX_BASIC: ['tx_notifications', 'tx_packets', 'tx_bytes', 'tx_interrupts', 'tx_drops', 'tx_drop_malformed'],
  TX_CSUM: ['tx_csum_none', 'tx_needs_csum'],
  TX_GSO: [
    'tx_gso_packets',
    'tx_gso_bytes',
    'tx_gso_segments',
    'tx_gso_segments_bytes',
    'tx_gso_packets_noseg',
    'tx_gso_bytes_noseg',
  ],
  TX_SPEED: ['tx_packets_allowance_exceeded', 'tx_bytes_allowance_exceeded'],
  CVQ: ['command_num', 'ok_num'],
} as const;
