/** 82599 datasheet §7.2.3.2.2: legacy transmit descriptor, as byte offsets. */
export const TX_LEGACY = {
  address: 0,
  length: 8,
  /** Where the checksum goes, in the frame. */
  cso: 10,
  cmd: 11,
  status: 12,
  /** Where the checksum starts. */
  css: 13,
  vlan: 14,
  SIZE: 16,
} as const;

/** 82599 datasheet §7.2.3.2.4: advanced transmit data descriptor. */
export const TX_DATA = { address: 0, cmd_type_len: 8, olinfo_status: 12, SIZE: 16 } as const;

/** 82599 datasheet §7.2.3.2.3: advanced transmit context descriptor. */
export const TX_CONTEXT = {
  vlan_macip_lens: 0,
  seqnum_seed: 4,
  type_tucmd_mlhl: 8,
  mss_l4len_idx: 12,
  SIZE: 16,
} as const;

/**
 * Bits of the word at 8, `cmd_type_len`. Command bits of the legacy descriptor are at the same places of its word
 * (`cmd` is its uppermost byte).
 */
export const TX_CMD = {
  DTALEN_MASK: 0x0000_ffff,
  DTYP_MASK: 0x00f0_0000,
  DTYP_CONTEXT: 0x0020_0000,
  DTYP_DATA: 0x0030_0000,
  EOP: 0x0100_0000,
  IFCS: 0x0200_0000,
  /** Legacy alone: insert checksum, with `css` and `cso`. */
  IC: 0x0400_0000,
  RS: 0x0800_0000,
  DEXT: 0x2000_0000,
  VLE: 0x4000_0000,
  /** Segmentation; advanced alone. */
  TSE: 0x8000_0000,
} as const;

/** Bits of `olinfo_status`. */
export const TX_OLINFO = {
  /** The whole written word of the write-back. */
  DD: 0x0000_0001,
  /** Which of the two contexts. */
  IDX_SHIFT: 4,
  IDX_MASK: 0x7,
  /** Check context: the context holds even without an offload, for the switch's sake. */
  CC: 0x0000_0080,
  IXSM: 0x0000_0100,
  TXSM: 0x0000_0200,
  /** Bytes of the frame, without headers when it is segmented; 18 bits. */
  PAYLEN_SHIFT: 14,
  PAYLEN_MASK: 0x3_ffff,
} as const;

/** Bits of a context. */
export const TX_CTX = {
  /** In `vlan_macip_lens`: bytes of the IP header. */
  IPLEN_MASK: 0x1ff,
  /** Bytes before it. */
  MACLEN_SHIFT: 9,
  MACLEN_MASK: 0x7f,
  VLAN_SHIFT: 16,
  /** In `type_tucmd_mlhl`. */
  IPV4: 0x0000_0400,
  L4T_MASK: 0x0000_1800,
  L4T_UDP: 0x0000_0000,
  L4T_TCP: 0x0000_0800,
  L4T_SCTP: 0x0000_1000,
  /** In `mss_l4len_idx`. */
  IDX_SHIFT: 4,
  IDX_MASK: 0x7,
  L4LEN_SHIFT: 8,
  L4LEN_MASK: 0xff,
  MSS_SHIFT: 16,
} as const;

/** Contexts that a transmit queue keeps. */
export const TX_CONTEXTS = 2;

/** Status of a written-back descriptor, at `status` or `olinfo_status`. */
export const TX_STATUS = { DD: 0x01 } as const;
