/** 82599 datasheet §8.2.3.5: causes, as bits of EICR, EICS, EIMS and EIMC. */
export const EICR = {
  /** Bits 15:0: queues, through IVAR. */
  RTX_QUEUE: 0x0000_ffff,
  FLOW_DIR: 0x0001_0000,
  RX_MISS: 0x0002_0000,
  PCI: 0x0004_0000,
  /** A mailbox of a virtual function, its reset (VFLRE), or a queue that was stopped (WQBR). */
  MAILBOX: 0x0008_0000,
  LSC: 0x0010_0000,
  TCP_TIMER: 0x4000_0000,
  OTHER: 0x8000_0000,
} as const;

/**
 * IVAR (n = 0 to 63) and VTIVAR (n = 0 to 3): four entries of a byte, of receive queue 2n, transmit queue 2n, receive
 * queue 2n + 1 and transmit queue 2n + 1. An entry is a vector and a valid bit. IVAR_MISC: byte 0 is the TCP timer's, byte 1
 * that of other causes. VTIVAR_MISC: byte 0 is the mailbox's.
 */
export const IVAR = { VALID: 0x80, VECTOR_MASK: 0x3f, VF_VECTOR_MASK: 0x03 } as const;

/** Which of IVAR's registers has a queue's entries, as its offset behind the first. */
export const ivarOffset = (queue: number): number => (queue >> 1) * 4;

/** By how many bits the entry of a queue's direction is shifted. */
export const ivarShift = (queue: number, isTransmit: boolean): number => (queue & 1) * 16 + (isTransmit ? 8 : 0);

/** EITR and VTEITR: least time between two messages of a vector. */
export const EITR = {
  /** In units of 2 µs (10 Gbit/s and 1 Gbit/s). */
  INTERVAL_SHIFT: 3,
  INTERVAL_MASK: 0x1ff,
  UNIT_US: 2,
  LLI_MODERATION: 0x0000_8000,
  COUNTER_SHIFT: 21,
  COUNTER_MASK: 0x7f,
  CNT_WDIS: 0x8000_0000,
} as const;

/** GPIE: general purpose interrupt enable. */
export const GPIE = {
  MSIX_MODE: 0x0000_0010,
  OCD: 0x0000_0020,
  EIMEN: 0x0000_0040,
  VTMODE_MASK: 0x0000_c000,
  VTMODE_16: 0x0000_4000,
  VTMODE_32: 0x0000_8000,
  VTMODE_64: 0x0000_c000,
  EIAME: 0x4000_0000,
  PBA_SUPPORT: 0x8000_0000,
} as const;
