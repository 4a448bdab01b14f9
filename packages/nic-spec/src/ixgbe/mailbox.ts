/** 82599 datasheet §8.3: VFMAILBOX, as a virtual function sees it. */
export const VFMAILBOX = {
  /** Written as 1: a message is there for the physical function. */
  REQ: 0x01,
  /** Written as 1: its message was taken. */
  ACK: 0x02,
  /** The virtual function holds the memory. Refused while the other side does. */
  VFU: 0x04,
  /** The physical function holds it. */
  PFU: 0x08,
  /** A message of the physical function is there; reading clears it. */
  PFSTS: 0x10,
  /** It took ours; reading clears it. */
  PFACK: 0x20,
  /** It was reset and has not said CTRL_EXT.PFRSTD yet. */
  RSTI: 0x40,
  /** It has; reading clears it. */
  RSTD: 0x80,
  READ_CLEARS: 0xb0,
} as const;

/** 82599 datasheet §8.2.3.27: PFMAILBOX, one for each virtual function. */
export const PFMAILBOX = {
  /** Written as 1: a message is there for the virtual function. */
  STS: 0x01,
  ACK: 0x02,
  VFU: 0x04,
  PFU: 0x08,
  /** Written as 1: takes the memory from a virtual function that keeps it. */
  RVFU: 0x10,
} as const;

/**
 * PFMBICR n: bits of virtual functions 16n to 16n + 15. Written 1s clear. PFMBIMR n enables the interrupt for virtual functions
 * 32n to 32n + 31, and is all ones after a reset.
 */
export const PFMBICR = { VFS: 16, VFREQ_MASK: 0x0000_ffff, VFACK_SHIFT: 16 } as const;
