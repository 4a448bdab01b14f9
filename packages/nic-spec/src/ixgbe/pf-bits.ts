/** CTRL. Both resets clear themselves. 82599 datasheet §8.2.3.1 */
export const CTRL = { PCIE_MASTER_DISABLE: 0x0000_0004, LRST: 0x0000_0008, RST: 0x0400_0000 } as const;

/** STATUS. NUM_VFS is as SR-IOV's NumVFs says. 82599 datasheet §8.2.3.1 */
export const STATUS = {
  LAN_ID_SHIFT: 2,
  LINK_UP: 0x0000_0080,
  NUM_VFS_SHIFT: 10,
  NUM_VFS_MASK: 0xff,
  IOV_ACTIVE: 0x0004_0000,
  /** The card may still master the bus. */
  PCIE_MASTER_ENABLE: 0x0008_0000,
} as const;

/** CTRL_EXT. PFRSTD tells virtual functions that the physical one is there again. */
export const CTRL_EXT = {
  PFRSTD: 0x0000_4000,
  NS_DIS: 0x0001_0000,
  RO_DIS: 0x0002_0000,
  EXTENDED_VLAN: 0x0400_0000,
  DRV_LOAD: 0x1000_0000,
} as const;

/** GCR_EXT: how many pools the virtual functions' registers are laid out for. */
export const GCR_EXT = {
  VT_MODE_MASK: 0x3,
  VT_MODE_OFF: 0x0,
  VT_MODE_16: 0x1,
  VT_MODE_32: 0x2,
  VT_MODE_64: 0x3,
  BUFFERS_CLEAR: 0x4000_0000,
  MSIX_EN: 0x8000_0000,
} as const;

/**
 * Whether there is an EEPROM, and whether the card has read from it what it reads after a reset.
 * 82599 datasheet §8.2.3.2
 */
export const EEC = { PRES: 0x0000_0100, AUTO_RD: 0x0000_0200 } as const;

/** EERD: a word of the EEPROM. */
export const EERD = { START: 0x1, DONE: 0x2, ADDR_SHIFT: 2, DATA_SHIFT: 16 } as const;

/**
 * Semaphores between drivers, and between them and the card's firmware: SMBI reads 0 once, to whom it belongs then.
 * 82599 datasheet §8.2.3.4
 */
export const SWSM = { SMBI: 0x1, SWESMBI: 0x2 } as const;

/** 82599 datasheet §8.2.3.7 */
export const FCTRL = { SBP: 0x0002, MPE: 0x0100, UPE: 0x0200, BAM: 0x0400 } as const;
/**
 * What receive descriptors say of checksums; with PCSD they have the RSS hash where a fragment's checksum would be.
 * 82599 datasheet §8.2.3.7
 */
export const RXCSUM = { IPPCSE: 0x1000, PCSD: 0x2000 } as const;
/**
 * EtherType of tags, whether frames of VLANs that VFTA does not name are dropped (VFE), and which CFI bit is asked for.
 * 82599 datasheet §8.2.3.7
 */
export const VLNCTRL = { VET_MASK: 0xffff, CFI: 0x1000_0000, CFIEN: 0x2000_0000, VFE: 0x4000_0000 } as const;
/** Which bits of a group's address are its hash: 47:36, 46:35, 45:34 or 43:32; and whether it is looked up at all. */
export const MCSTCTRL = { MO_MASK: 0x3, MFE: 0x4 } as const;
/**
 * Bytes 4 and 5 of an address, whose first four are in RAL, and whether frames to it are taken at all.
 * 82599 datasheet §8.2.3.7
 */
export const RAH = { ADDRESS_MASK: 0xffff, AV: 0x8000_0000 } as const;
/** Whether the card receives. 82599 datasheet §8.2.3.8 */
export const RXCTRL = { RXEN: 0x1 } as const;
/**
 * Whether check sequences are left out of what goes into buffers, and whether DMA is ready after a reset.
 * 82599 datasheet §8.2.3.8
 */
export const RDRXCTL = { CRCSTRIP: 0x2, DMAIDONE: 0x8 } as const;
/**
 * Whether the card sends, whether all frames have an outer tag besides, and in the upper half the EtherType of tags
 * that it puts in.
 * 82599 datasheet §8.2.3.9
 */
export const DMATXCTL = { TE: 0x1, GDV: 0x8, VT_SHIFT: 16 } as const;
/** The block between transmit DMA and the link has let everything out. 82599 datasheet §8.2.3.12 */
export const SECTXSTAT = { SECTX_RDY: 0x1 } as const;
/**
 * Stops frames on their way from the link to receive DMA, as a driver does before it changes RXCTRL.
 * 82599 datasheet §8.2.3.12
 */
export const SECRXCTRL = { RX_DIS: 0x2 } as const;
/** Nothing is between link and receive DMA any more. 82599 datasheet §8.2.3.12 */
export const SECRXSTAT = { SECRX_RDY: 0x1 } as const;

/** 82599 datasheet §8.2.3.22 */
export const HLREG0 = {
  TXCRCEN: 0x0001,
  RXCRCSTRP: 0x0002,
  JUMBOEN: 0x0004,
  TXPADEN: 0x0400,
  LPBK: 0x8000,
} as const;
/** Longest frame with its check sequence, in bytes, in the upper half; where JUMBOEN is set. */
export const MAXFRS = { MFS_SHIFT: 16 } as const;
/** How the link comes up: its kind, forced or agreed anew with the other end. 82599 datasheet §8.2.3.22 */
export const AUTOC = {
  FLU: 0x1,
  RESTART_AN: 0x1000,
  LMS_SHIFT: 13,
  LMS_MASK: 0x7,
  LMS_1G: 0x0,
  LMS_10G_SFI: 0x3,
} as const;

/** How queues are told apart. 82599 datasheet §8.2.3.7 */
export const MRQC = {
  MRQE_MASK: 0xf,
  NONE: 0x0,
  RSS: 0x1,
  VMDQ: 0x8,
  VMDQ_RSS_32: 0xa,
  VMDQ_RSS_64: 0xb,
  PF_L3_L4_TX_SWITCH: 0x8000,
  RSS_TCP_IPV4: 0x0001_0000,
  RSS_IPV4: 0x0002_0000,
  RSS_IPV6: 0x0010_0000,
  RSS_TCP_IPV6: 0x0020_0000,
  RSS_UDP_IPV4: 0x0040_0000,
  RSS_UDP_IPV6: 0x0080_0000,
} as const;
/** How many entries RETA has in all, four to a register; each is 4 bits. */
export const RETA = { ENTRIES: 128, PER_REGISTER: 4, ENTRY_MASK: 0xf } as const;
/** How the 128 transmit queues are shared out: whether by pools, and how many there are. 82599 datasheet §8.2.3.9 */
export const MTQC = { RT_ENA: 0x1, VT_ENA: 0x2, NUM_TC_OR_Q_MASK: 0xc, POOLS_64: 0x4, POOLS_32: 0x8 } as const;

/** Queue drop enable, written by queue. IDX is 7 bits, of which the queue's index; WE is given with what is written. */
export const PFQDE = {
  ENABLE: 0x1,
  HIDE_VLAN: 0x2,
  IDX_SHIFT: 8,
  IDX_MASK: 0x7f,
  WE: 0x0001_0000,
  RE: 0x0002_0000,
} as const;

/** 82599 datasheet §8.2.3.7: EtherType filters, and where what they match goes. */
export const ETQF = {
  TYPE_MASK: 0xffff,
  POOL_SHIFT: 20,
  POOL_MASK: 0x3f,
  POOL_EN: 0x0400_0000,
  FILTER_EN: 0x8000_0000,
} as const;
/**
 * The queue that frames of the EtherType filter with the same number go to, where QUEUE_EN says so.
 * 82599 datasheet §8.2.3.7
 */
export const ETQS = { QUEUE_SHIFT: 16, QUEUE_MASK: 0x7f, LLI: 0x2000_0000, QUEUE_EN: 0x8000_0000 } as const;

/** 82599 datasheet §8.2.3.7: 5-tuple filters. A set MASK bit leaves that part out of the comparison. */
export const FTQF = {
  PROTOCOL_MASK: 0x3,
  PROTOCOL_TCP: 0x0,
  PROTOCOL_UDP: 0x1,
  PROTOCOL_SCTP: 0x2,
  /** 7 is the highest. */
  PRIORITY_SHIFT: 2,
  PRIORITY_MASK: 0x7,
  POOL_SHIFT: 8,
  POOL_MASK: 0x3f,
  MASK_SOURCE_ADDRESS: 0x0200_0000,
  MASK_DESTINATION_ADDRESS: 0x0400_0000,
  MASK_SOURCE_PORT: 0x0800_0000,
  MASK_DESTINATION_PORT: 0x1000_0000,
  MASK_PROTOCOL: 0x2000_0000,
  MASK_POOL: 0x4000_0000,
  QUEUE_ENABLE: 0x8000_0000,
} as const;
/** Addresses and ports of SAQF, DAQF and SDPQF are as they are in the frame: their first byte is the lowest. */
export const SDPQF = { DESTINATION_SHIFT: 16 } as const;
/**
 * The queue that frames of the 5-tuple filter with the same number go to, and whether they interrupt at once.
 * 82599 datasheet §8.2.3.7
 */
export const L34TIMIR = { SIZE_BP: 0x1000, LLI: 0x0010_0000, QUEUE_SHIFT: 21, QUEUE_MASK: 0x7f } as const;

/** 82599 datasheet §8.2.3.27 */
export const PFVTCTL = {
  VT_ENA: 0x1,
  DEF_PL_SHIFT: 7,
  DEF_PL_MASK: 0x3f,
  DIS_DEF_POOL: 0x2000_0000,
  RPL_EN: 0x4000_0000,
} as const;
/**
 * What a pool gets: PFVML2FLT, which drivers call VMOLR. Later members of the family have promiscuous bits as well; here a
 * pool gets every unicast frame by ROPE with all bits of PFUTA set.
 */
export const PFVML2FLT = {
  /** Frames without a tag. */
  AUPE: 0x0100_0000,
  /** Groups whose hash is in MTA. */
  ROMPE: 0x0200_0000,
  /** Addresses whose hash is in PFUTA. */
  ROPE: 0x0400_0000,
  BAM: 0x0800_0000,
  MPE: 0x1000_0000,
} as const;
/** A VLAN of which pools are members: which ones are two registers of PFVLVFB. 82599 datasheet §8.2.3.27 */
export const PFVLVF = { VLAN_MASK: 0xfff, VI_EN: 0x8000_0000 } as const;
/** Tag that is put in: VLAN and priority in the lower half, and when: as descriptors say, always, or never. */
export const PFVMVIR = {
  PORT_VLAN_MASK: 0xffff,
  VLANA_MASK: 0xc000_0000,
  VLANA_DESCRIPTOR: 0x0000_0000,
  VLANA_DEFAULT: 0x4000_0000,
  VLANA_NEVER: 0x8000_0000,
} as const;
/** PFVFSPOOF n: pools 8n to 8n + 7. */
export const PFVFSPOOF = { POOLS: 8, MACAS_MASK: 0x00ff, VLANAS_SHIFT: 8, VLANAS_MASK: 0xff00 } as const;
/** Whether frames from a pool to another one stay in the card. 82599 datasheet §8.2.3.27 */
export const PFDTXGSWC = { LBE: 0x1 } as const;

/** PAUSE that comes is heeded. 82599 datasheet §8.2.3.22 */
export const MFLCN = { RFCE: 0x8 } as const;
/** PAUSE is sent: of the whole link, or by priority. 82599 datasheet §8.2.3.3 */
export const FCCFG = { TFCE_MASK: 0x18, TFCE_802_3X: 0x8 } as const;
/** Bytes of a packet buffer, in units of 32. */
export const FCRTH = { RTH_MASK: 0x7_ffe0, FCEN: 0x8000_0000 } as const;
/** The same at which the other end may go on, and whether it is told so. 82599 datasheet §8.2.3.3 */
export const FCRTL = { RTL_MASK: 0x7_ffe0, XONE: 0x8000_0000 } as const;
/** How long the other end is to pause, in times of 512 bits. 82599 datasheet §8.2.3.3 */
export const FCTTV = { TTV_MASK: 0xffff } as const;

/** The transmit queue whose rate RTTBCNRC is. 82599 datasheet §8.2.3.10 */
export const RTTDQSEL = { QUEUE_MASK: 0x7f } as const;
/**
 * Rate of the transmit queue in RTTDQSEL: the link's, divided by a number with 14 bits behind its point.
 * 82599 datasheet §8.2.3.10
 */
export const RTTBCNRC = { RF_DEC_MASK: 0x3fff, RF_INT_SHIFT: 14, RF_INT_MASK: 0x3ff, RS_ENA: 0x8000_0000 } as const;

/** What LVMMC says of the queue that was stopped last. */
export const MISBEHAVIOR = {
  NONE: 0,
  /** A ring or buffer address, or a length, that is nowhere. */
  DMA: 1,
  /** A descriptor that does not go with its context, or with the ones before it. */
  DESCRIPTOR: 2,
  /** A head or tail behind the ring's end. */
  RING: 3,
} as const;
