export { EICR, EITR, GPIE, IVAR, ivarOffset, ivarShift } from './ixgbe/interrupts.js';
export { PFMAILBOX, PFMBICR, VFMAILBOX } from './ixgbe/mailbox.js';
export {
  MAILBOX_API,
  MESSAGE,
  MESSAGE_WORD,
  MULTICAST_MESSAGE,
  QUEUES_ANSWER,
  RESET_ANSWER,
  VLAN_MESSAGE,
  XCAST_MODE,
} from './ixgbe/mailbox-messages.js';
export {
  INTEL_VENDOR_ID,
  IXGBE_CLASS_CODE,
  IXGBE_COUNT,
  IXGBE_DEVICE_ID,
  IXGBE_MSIX,
  IXGBE_PF_BAR,
  IXGBE_REVISION,
  IXGBE_VF_BAR,
} from './ixgbe/pci-identity.js';
export * from './ixgbe/pf-bits.js';
export { eitrAt, PF_QUEUES_AT, PF_REG, PF_ROW, PF_STAT, pfRxAt, pfTxAt, rowAt } from './ixgbe/pf-registers.js';
export {
  PSRTYPE,
  RING,
  RSCCTL,
  RX_QUEUE,
  RXDCTL,
  SRRCTL,
  TDWBAL,
  TX_QUEUE,
  TXDCTL,
} from './ixgbe/queue-registers.js';
export {
  RSS_TYPE,
  RX_ADV_READ,
  RX_ADV_WB,
  RX_ERROR,
  RX_LEGACY,
  RX_LEGACY_ERROR,
  RX_STATUS,
  RX_TYPES,
} from './ixgbe/rx-descriptor.js';
export {
  TX_CMD,
  TX_CONTEXT,
  TX_CONTEXTS,
  TX_CTX,
  TX_DATA,
  TX_LEGACY,
  TX_OLINFO,
  TX_STATUS,
} from './ixgbe/tx-descriptor.js';
export {
  LINKS,
  VF_QUEUES_AT,
  VF_REG,
  VFCTRL,
  VFMBMEM_WORDS,
  VTEICR_MASK,
  vfRxAt,
  vfTxAt,
} from './ixgbe/vf-registers.js';
export {
  VIRTIO_MESSAGE,
  VIRTIO_MESSAGE_BYTES,
  VIRTIO_STATE_BYTES_MAX,
  VIRTIO_WORDS,
  VIRTIO_WRAPS,
} from './ixgbe/virtio-messages.js';
