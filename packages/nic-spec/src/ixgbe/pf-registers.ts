import { RX_QUEUE, TX_QUEUE } from './queue-registers.js';

/** 82599 datasheet §8.2.3: registers of the physical function, as offsets in BAR 0. Each is 32 bits wide. */
export const PF_REG = {
  // §8.2.3.1 General control, §8.2.3.2 EEPROM
  CTRL: 0x0_0000,
  STATUS: 0x0_0008,
  CTRL_EXT: 0x0_0018,
  ESDP: 0x0_0020,
  FRTIMER: 0x0_0048,
  TCPTIMER: 0x0_004c,
  LEDCTL: 0x0_0200,
  EEC: 0x1_0010,
  EERD: 0x1_0014,
  FLA: 0x1_001c,
  // §8.2.3.4 PCIe
  SWSM: 0x1_0140,
  FWSM: 0x1_0148,
  FACTPS: 0x1_0150,
  SW_FW_SYNC: 0x1_0160,
  GCR: 0x1_1000,
  GCR_EXT: 0x1_1050,
  // §8.2.3.5 Interrupts
  EICR: 0x0_0800,
  EICS: 0x0_0808,
  EIAC: 0x0_0810,
  EIMS: 0x0_0880,
  EIMC: 0x0_0888,
  EIAM: 0x0_0890,
  EITRSEL: 0x0_0894,
  GPIE: 0x0_0898,
  IVAR_MISC: 0x0_0a00,
  // §8.2.3.7 Receive
  RXCSUM: 0x0_5000,
  RFCTL: 0x0_5008,
  FCTRL: 0x0_5080,
  VLNCTRL: 0x0_5088,
  MCSTCTRL: 0x0_5090,
  MRQC: 0x0_5818,
  SYNQF: 0x0_ec30,
  RQTC: 0x0_ec70,
  // §8.2.3.8 Receive DMA
  RDRXCTL: 0x0_2f00,
  PFQDE: 0x0_2f04,
  RXCTRL: 0x0_3000,
  // §8.2.3.9 Transmit
  DMATXCTL: 0x0_4a80,
  DTXMXSZRQ: 0x0_8100,
  MTQC: 0x0_8120,
  PFDTXGSWC: 0x0_8220,
  SECTXCTRL: 0x0_8800,
  SECTXSTAT: 0x0_8804,
  SECRXCTRL: 0x0_8d00,
  SECRXSTAT: 0x0_8d04,
  // §8.2.3.10 Traffic classes and rates
  RTTDCS: 0x0_4900,
  RTTDQSEL: 0x0_4904,
  RTTBCNRM: 0x0_4980,
  RTTBCNRC: 0x0_4984,
  // §8.2.3.22 MAC
  HLREG0: 0x0_4240,
  MAXFRS: 0x0_4268,
  MFLCN: 0x0_4294,
  AUTOC: 0x0_42a0,
  LINKS: 0x0_42a4,
  AUTOC2: 0x0_42a8,
  MACC: 0x0_4330,
  FCCFG: 0x0_3d00,
  FCRTV: 0x0_32a0,
  // §8.2.3.27 Virtualization
  PFVTCTL: 0x0_51b0,
  /** Last misbehavior: what it was, and which pool's. */
  LVMMC_RX: 0x0_2fa8,
  LMVM_RX: 0x0_2fa4,
  LVMMC_TX: 0x0_8108,
  LMVM_TX: 0x0_8124,
} as const;

/** Statistics, 32 bits; reading clears. Pairs of _L and _H are 36 bits; reading _H clears. 82599 datasheet §8.2.3.23 */
export const PF_STAT = {
  CRCERRS: 0x4000,
  ILLERRC: 0x4004,
  ERRBC: 0x4008,
  /** Missed packets, by packet buffer (8). */
  MPC: 0x3fa0,
  /** PAUSE frames: those that stop (XOFF) and those that let go on (XON). */
  LXONTXC: 0x3f60,
  LXOFFTXC: 0x3f68,
  LXONRXCNT: 0x41a4,
  LXOFFRXCNT: 0x41a8,
  MLFC: 0x4034,
  MRFC: 0x4038,
  RLEC: 0x4040,
  PRC64: 0x405c,
  PRC127: 0x4060,
  PRC255: 0x4064,
  PRC511: 0x4068,
  PRC1023: 0x406c,
  PRC1522: 0x4070,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORC_L: 0x4088,
  GORC_H: 0x408c,
  GOTC_L: 0x4090,
  GOTC_H: 0x4094,
  RUC: 0x40a4,
  RFC: 0x40a8,
  ROC: 0x40ac,
  RJC: 0x40b0,
  TOR_L: 0x40c0,
  TOR_H: 0x40c4,
  TPR: 0x40d0,
  TPT: 0x40d4,
  PTC64: 0x40d8,
  PTC127: 0x40dc,
  PTC255: 0x40e0,
  PTC511: 0x40e4,
  PTC1023: 0x40e8,
  PTC1522: 0x40ec,
  MPTC: 0x40f0,
  BPTC: 0x40f4,
  /** Packets that the transmit side dropped as spoofed. */
  SSVPC: 0x8780,
} as const;

/** Registers that come in rows: offset of the first, bytes to the next, how many. `rowAt` adds them up. */
export const PF_ROW = {
  IVAR: { at: 0x0_0900, stride: 4, count: 64 },
  /** Vectors 0 to 23; those from 24 on are EITR_HIGH. */
  EITR_LOW: { at: 0x0_0820, stride: 4, count: 24 },
  EITR_HIGH: { at: 0x1_2300, stride: 4, count: 105 },
  EICS_EX: { at: 0x0_0a90, stride: 4, count: 2 },
  EIMS_EX: { at: 0x0_0aa0, stride: 4, count: 2 },
  EIMC_EX: { at: 0x0_0ab0, stride: 4, count: 2 },
  EIAM_EX: { at: 0x0_0ad0, stride: 4, count: 2 },
  /** Flow control: the time of a PAUSE (2 traffic classes each), and by packet buffer what is too full, and what is not. */
  FCTTV: { at: 0x0_3200, stride: 4, count: 4 },
  FCRTL: { at: 0x0_3220, stride: 4, count: 8 },
  FCRTH: { at: 0x0_3260, stride: 4, count: 8 },
  RXPBSIZE: { at: 0x0_3c00, stride: 4, count: 8 },
  TXPBSIZE: { at: 0x0_cc00, stride: 4, count: 8 },
  TXPBTHRESH: { at: 0x0_4950, stride: 4, count: 8 },
  MTA: { at: 0x0_5200, stride: 4, count: 128 },
  /** Receive addresses: low word, and 4 bytes behind it the high one. */
  RAL: { at: 0x0_a200, stride: 8, count: 128 },
  RAH: { at: 0x0_a204, stride: 8, count: 128 },
  /** The first 16 receive addresses again, where the 82598 had them. */
  RAL_ALIAS: { at: 0x0_5400, stride: 8, count: 16 },
  RAH_ALIAS: { at: 0x0_5404, stride: 8, count: 16 },
  /** Pools of a receive address: 0 to 31, and 32 to 63. */
  MPSAR_LO: { at: 0x0_a600, stride: 8, count: 128 },
  MPSAR_HI: { at: 0x0_a604, stride: 8, count: 128 },
  VFTA: { at: 0x0_a000, stride: 4, count: 128 },
  PSRTYPE: { at: 0x0_ea00, stride: 4, count: 64 },
  RETA: { at: 0x0_5c00, stride: 4, count: 32 },
  RSSRK: { at: 0x0_5c80, stride: 4, count: 10 },
  ETQF: { at: 0x0_5128, stride: 4, count: 8 },
  ETQS: { at: 0x0_ec00, stride: 4, count: 8 },
  SAQF: { at: 0x0_e000, stride: 4, count: 128 },
  DAQF: { at: 0x0_e200, stride: 4, count: 128 },
  SDPQF: { at: 0x0_e400, stride: 4, count: 128 },
  FTQF: { at: 0x0_e600, stride: 4, count: 128 },
  L34TIMIR: { at: 0x0_e800, stride: 4, count: 128 },
  PFVML2FLT: { at: 0x0_f000, stride: 4, count: 64 },
  PFVLVF: { at: 0x0_f100, stride: 4, count: 64 },
  /** Pools of VLAN entry n: registers 2n (pools 0 to 31) and 2n + 1. */
  PFVLVFB: { at: 0x0_f200, stride: 4, count: 128 },
  PFUTA: { at: 0x0_f400, stride: 4, count: 128 },
  PFVMVIR: { at: 0x0_8000, stride: 4, count: 64 },
  PFVFSPOOF: { at: 0x0_8200, stride: 4, count: 8 },
  PFVFRE: { at: 0x0_51e0, stride: 4, count: 2 },
  PFVFTE: { at: 0x0_8110, stride: 4, count: 2 },
  PFVMTXSW: { at: 0x0_5180, stride: 4, count: 2 },
  PFMAILBOX: { at: 0x0_4b00, stride: 4, count: 64 },
  /** 16 words of each virtual function. */
  PFMBMEM: { at: 0x1_3000, stride: 64, count: 64 },
  PFMBICR: { at: 0x0_0710, stride: 4, count: 4 },
  PFMBIMR: { at: 0x0_0720, stride: 4, count: 2 },
  /** Virtual functions 0 to 31; those from 32 on are at 0x1c0: the stride is negative. */
  PFVFLRE: { at: 0x0_0600, stride: -0x440, count: 2 },
  PFVFLREC: { at: 0x0_0700, stride: 4, count: 2 },
  /** Queues that were stopped because of what was in them. Written 1s clear. */
  WQBR_RX: { at: 0x0_2fb0, stride: 4, count: 4 },
  WQBR_TX: { at: 0x0_8130, stride: 4, count: 4 },
  /** The first 16 of SRRCTL and DCA_RXCTRL again, where the 82598 had them. */
  SRRCTL_ALIAS: { at: 0x0_2100, stride: 4, count: 16 },
  DCA_RXCTRL_ALIAS: { at: 0x0_2200, stride: 4, count: 16 },
  QPRC: { at: 0x0_1030, stride: 0x40, count: 16 },
  QBRC_L: { at: 0x0_1034, stride: 0x40, count: 16 },
  QBRC_H: { at: 0x0_1038, stride: 0x40, count: 16 },
  QPRDC: { at: 0x0_1430, stride: 0x40, count: 16 },
  QPTC: { at: 0x0_6030, stride: 0x40, count: 16 },
  QBTC_L: { at: 0x0_8700, stride: 8, count: 16 },
  QBTC_H: { at: 0x0_8704, stride: 8, count: 16 },
  RQSMR: { at: 0x0_2300, stride: 4, count: 32 },
  TQSM: { at: 0x0_8600, stride: 4, count: 32 },
} as const;

/** Offset of one register of a row. @param index 0 to count - 1 */
export const rowAt = (row: { readonly at: number; readonly stride: number }, index: number): number =>
  row.at + index * row.stride;

/** Where a vector's EITR is. @param vector 0 to 63 */
export const eitrAt = (vector: number): number =>
  vector < PF_ROW.EITR_LOW.count
    ? rowAt(PF_ROW.EITR_LOW, vector)
    : rowAt(PF_ROW.EITR_HIGH, vector - PF_ROW.EITR_LOW.count);

/** Where the queues are: 64 receive queues, 64 more, and 128 transmit queues. */
export const PF_QUEUES_AT = { RX: 0x0_1000, RX_HIGH: 0x0_d000, TX: 0x0_6000 } as const;

/** Offset of a receive queue's register. @param queue 0 to 127 @param register of `RX_QUEUE` */
export const pfRxAt = (queue: number, register: number): number =>
  (queue < 64 ? PF_QUEUES_AT.RX : PF_QUEUES_AT.RX_HIGH) + (queue & 63) * RX_QUEUE.STRIDE + register;

/** Offset of a transmit queue's register. @param queue 0 to 127 @param register of `TX_QUEUE` */
export const pfTxAt = (queue: number, register: number): number => PF_QUEUES_AT.TX + queue * TX_QUEUE.STRIDE + register;
