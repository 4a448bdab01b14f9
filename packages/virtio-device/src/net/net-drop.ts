/**
 * Why a network device gave a frame, a buffer or a command up: indexes into {@link NetDevice.drops}. Values are stable.
 * What is wrong with a chain itself is counted by its queue, too.
 */
export const NET_DROP = {
  /** Transmit: the chain has a fault, see `DeviceQueue.counters`. */
  TX_CHAIN_FAULT: 0,
  /** Fewer device-readable bytes than struct virtio_net_hdr and one byte of a frame. */
  TX_NO_FRAME: 1,
  /** Shorter than an Ethernet header. */
  TX_SHORT_FRAME: 2,
  /** Longer than the MTU allows; to be segmented, longer than an IP packet can be. */
  TX_LONG_FRAME: 3,
  /** Checksum fields that do not fit the frame, or without VIRTIO_NET_F_CSUM. */
  TX_BAD_CSUM: 4,
  /** Segmentation fields that do not fit the frame, or that nobody negotiated. */
  TX_BAD_GSO: 5,
  /** A combination of tunnel bits that virtio 1.4 §5.1.9.2.2 forbids. */
  TX_BAD_TUNNEL: 6,
  TX_LINK_DOWN: 7,
  /** The backend refused it. */
  TX_REFUSED: 8,

  /** Receive: the device is not running, or its receive queues are all off. */
  RX_STOPPED: 9,
  RX_LINK_DOWN: 10,
  /** Shorter than an Ethernet header. */
  RX_SHORT_FRAME: 11,
  /** Longer than the MTU allows. */
  RX_LONG_FRAME: 12,
  /** Not for this device's addresses and receive modes. */
  RX_MAC_FILTER: 13,
  /** Tagged with a VLAN id that is not in the table. */
  RX_VLAN_FILTER: 14,
  /** Offload fields that do not fit the frame. */
  RX_BAD_OFFLOAD: 15,
  /** The receive queue that steering chose is off. */
  RX_QUEUE_OFF: 16,
  /** Not enough receive buffers. */
  RX_NO_BUFFER: 17,
  /** Without MRG_RXBUF: the next receive buffer is too small for the frame. */
  RX_SMALL_BUFFER: 18,
  /** A buffer, not a frame: faulty, or smaller than the header. It was returned with length 0. */
  RX_BAD_BUFFER: 19,

  /** Control: a command without a byte for the answer; returned with length 0. */
  CTRL_NO_ACK: 20,
  /** Control: the chain has a fault. */
  CTRL_CHAIN_FAULT: 21,
  /** Control: answered VIRTIO_NET_ERR. */
  CTRL_REFUSED: 22,
} as const;

export const NET_DROP_CODES: number = Object.keys(NET_DROP).length;
