import { RX_QUEUE, TX_QUEUE } from './queue-registers.js';

/** 82599 datasheet §8.3: registers of a virtual function, as offsets in BAR 0. Each is 32 bits wide. */
export const VF_REG = {
  VFCTRL: 0x0000,
  VFSTATUS: 0x0008,
  VFLINKS: 0x0010,
  VFFRTIMER: 0x0048,
  VTEICR: 0x0100,
  VTEICS: 0x0104,
  VTEIMS: 0x0108,
  VTEIMC: 0x010c,
  VTEIAC: 0x0110,
  VTEIAM: 0x0114,
  /** 4 of them: `vfIvarAt`. */
  VTIVAR: 0x0120,
  VTIVAR_MISC: 0x0140,
  /** 16 words: `VFMBMEM_WORDS`. */
  VFMBMEM: 0x0200,
  VFMAILBOX: 0x02fc,
  VFPSRTYPE: 0x0300,
  /** 3 of them, one per vector, 4 bytes apart. */
  VTEITR: 0x0820,
  /** Statistics: 32 bits, or 36 in two words. They wrap, and a reset of the function leaves them. */
  VFGPRC: 0x101c,
  VFGORC_LSB: 0x1020,
  VFGORC_MSB: 0x1024,
  VFMPRC: 0x1034,
  VFGPTC: 0x201c,
  VFGOTC_LSB: 0x2020,
  VFGOTC_MSB: 0x2024,
} as const;

/** Where the queues of a virtual function are in BAR 0: `RX_QUEUE`, `TX_QUEUE`. */
export const VF_QUEUES_AT = { RX: 0x1000, TX: 0x2000 } as const;

/** Offset of a receive queue's register. @param queue 0 to 7 @param register of `RX_QUEUE` */
export const vfRxAt = (queue: number, register: number): number => VF_QUEUES_AT.RX + queue * RX_QUEUE.STRIDE + register;

/** Offset of a transmit queue's register. @param queue 0 to 7 @param register of `TX_QUEUE` */
export const vfTxAt = (queue: number, register: number): number => VF_QUEUES_AT.TX + queue * TX_QUEUE.STRIDE + register;

/** Bit of VFCTRL: stops the queues, and puts the interrupt registers to their defaults. Clears itself. */
export const VFCTRL = { RST: 0x0400_0000 } as const;

/** Words of the mailbox's memory, the same as seen from either side. */
export const VFMBMEM_WORDS = 16;

/** VFLINKS, and LINKS of the physical function. */
export const LINKS = {
  UP: 0x4000_0000,
  SPEED_MASK: 0x3000_0000,
  SPEED_10G: 0x3000_0000,
  SPEED_1G: 0x2000_0000,
  SPEED_100M: 0x1000_0000,
} as const;

/** VTEICR and its relatives: one bit per vector. */
export const VTEICR_MASK = 0x7;
