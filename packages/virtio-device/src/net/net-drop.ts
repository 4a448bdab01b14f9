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

  /** Receive: a flow filter rule of the driver drops it. */
  RX_FLOW_FILTER: 23,
} as const;

export const NET_DROP_CODES: number = Object.keys(NET_DROP).length;

export type NetDropName = keyof typeof NET_DROP;

const NAMES = Object.keys(NET_DROP) as NetDropName[];

/** The name of a code that a device gave. */
export const dropName = (code: number): NetDropName => NAMES[code]!;

export const isDropName = (name: string): name is NetDropName => Object.hasOwn(NET_DROP, name);

export interface NetLoss {
  /** `problem`: the driver made a mistake. `note`: it happens, and nobody has to act. */
  readonly level: 'problem' | 'note';
  /** Why, as a phrase. */
  readonly why: string;
}

/** Each kind of loss in words. */
export const NET_LOSSES: Readonly<Record<NetDropName, NetLoss>> = {
  TX_CHAIN_FAULT: { level: 'problem', why: 'the chain of descriptors is faulty' },
  TX_NO_FRAME: { level: 'problem', why: 'fewer bytes than a header and a byte of a frame' },
  TX_SHORT_FRAME: { level: 'problem', why: 'shorter than an Ethernet header' },
  TX_LONG_FRAME: { level: 'problem', why: 'longer than the MTU allows' },
  TX_BAD_CSUM: { level: 'problem', why: 'checksum fields do not fit the frame, or VIRTIO_NET_F_CSUM is missing' },
  TX_BAD_GSO: { level: 'problem', why: 'segmentation fields do not fit the frame, or were not negotiated' },
  TX_BAD_TUNNEL: { level: 'problem', why: 'a combination of tunnel bits that is forbidden' },
  TX_LINK_DOWN: { level: 'note', why: 'the link was down' },
  TX_REFUSED: { level: 'note', why: 'the backend refused them' },
  RX_STOPPED: { level: 'note', why: 'the device was not running' },
  RX_LINK_DOWN: { level: 'note', why: 'the link was down' },
  RX_SHORT_FRAME: { level: 'note', why: 'shorter than an Ethernet header' },
  RX_LONG_FRAME: { level: 'note', why: 'longer than the MTU allows' },
  RX_MAC_FILTER: { level: 'note', why: 'not for the addresses and receive modes that the driver set' },
  RX_VLAN_FILTER: { level: 'note', why: 'of a VLAN that the driver did not add' },
  RX_BAD_OFFLOAD: { level: 'note', why: 'offload fields from the backend do not fit the frame' },
  RX_QUEUE_OFF: { level: 'problem', why: 'the receive queue that steering chose is off' },
  RX_NO_BUFFER: { level: 'note', why: 'the driver had not posted enough receive buffers' },
  RX_SMALL_BUFFER: { level: 'problem', why: 'without MRG_RXBUF the next receive buffer is too small for the frame' },
  RX_BAD_BUFFER: { level: 'problem', why: 'a receive buffer is faulty, or smaller than the header' },
  CTRL_NO_ACK: { level: 'problem', why: 'a command has no byte for the answer' },
  CTRL_CHAIN_FAULT: { level: 'problem', why: "a command's chain of descriptors is faulty" },
  CTRL_REFUSED: { level: 'note', why: 'a command was answered VIRTIO_NET_ERR' },
  RX_FLOW_FILTER: { level: 'note', why: 'a flow filter rule of the driver drops them' },
};
