/**
 * 82599 datasheet §8.2.3.8: one receive queue's registers, as offsets within its 64 bytes. The same for physical and
 * virtual functions, only the bases differ: `VF_QUEUES_AT`, `rxQueueAt`.
 */
export const RX_QUEUE = {
  RDBAL: 0x00,
  RDBAH: 0x04,
  RDLEN: 0x08,
  DCA_RXCTRL: 0x0c,
  RDH: 0x10,
  SRRCTL: 0x14,
  RDT: 0x18,
  RXDCTL: 0x28,
  RSCCTL: 0x2c,
  STRIDE: 0x40,
} as const;

/** 82599 datasheet §8.2.3.9: one transmit queue's registers, as offsets within its 64 bytes. */
export const TX_QUEUE = {
  TDBAL: 0x00,
  TDBAH: 0x04,
  TDLEN: 0x08,
  DCA_TXCTRL: 0x0c,
  TDH: 0x10,
  TDT: 0x18,
  TXDCTL: 0x28,
  TDWBAL: 0x38,
  TDWBAH: 0x3c,
  STRIDE: 0x40,
} as const;

/** RDLEN, TDLEN: bytes; a multiple of 128, which is eight descriptors. RDBAL, TDBAL: aligned to it. */
export const RING = { ALIGN: 128, LEN_MASK: 0x000f_ff80, INDEX_MASK: 0xffff, DESC_SIZE: 16 } as const;

/** Bits of RXDCTL. 82599 datasheet §8.2.3.8 */
export const RXDCTL = { ENABLE: 0x0200_0000, SWFLSH: 0x0400_0000, VME: 0x4000_0000 } as const;

/** Bits of TXDCTL. PTHRESH, HTHRESH, WTHRESH are 7 bits each. 82599 datasheet §8.2.3.9 */
export const TXDCTL = {
  PTHRESH_SHIFT: 0,
  HTHRESH_SHIFT: 8,
  WTHRESH_SHIFT: 16,
  THRESH_MASK: 0x7f,
  ENABLE: 0x0200_0000,
  SWFLSH: 0x0400_0000,
} as const;

/** Bits of SRRCTL. 82599 datasheet §8.2.3.8 */
export const SRRCTL = {
  /** Packet buffer, in KiB: 1 to 16. */
  BSIZEPACKET_MASK: 0x1f,
  BSIZEPACKET_UNIT: 1024,
  BSIZEPACKET_MOST: 16,
  /** Header buffer, in 64 bytes: 1 to 16. */
  BSIZEHEADER_SHIFT: 8,
  BSIZEHEADER_MASK: 0x3f,
  BSIZEHEADER_UNIT: 64,
  BSIZEHEADER_MOST: 16,
  RDMTS_SHIFT: 22,
  RDMTS_MASK: 0x7,
  DESCTYPE_MASK: 0x0e00_0000,
  DESCTYPE_LEGACY: 0x0000_0000,
  DESCTYPE_ADV_ONE_BUFFER: 0x0200_0000,
  DESCTYPE_ADV_SPLIT: 0x0400_0000,
  DESCTYPE_ADV_SPLIT_ALWAYS: 0x0a00_0000,
  /** Frames for a full ring are dropped, instead of waiting in the card's packet buffer. */
  DROP_EN: 0x1000_0000,
} as const;

/** Bit of RSCCTL. */
export const RSCCTL = { RSCEN: 0x01 } as const;

/** Bits of TDWBAL; the address is the rest, a multiple of 4. 82599 datasheet §7.2.3.5.2 */
export const TDWBAL = { HEAD_WB_EN: 0x1, ADDRESS_MASK: 0xffff_fffc } as const;

/** PSRTYPE: where headers are split off, and how many queues of the pool RSS spreads over: 2 ^ RQPL. */
export const PSRTYPE = {
  TCPHDR: 0x0000_0010,
  UDPHDR: 0x0000_0020,
  IPV4HDR: 0x0000_0100,
  IPV6HDR: 0x0000_0200,
  L2HDR: 0x0000_1000,
  RQPL_SHIFT: 29,
  RQPL_MASK: 0x7,
} as const;
