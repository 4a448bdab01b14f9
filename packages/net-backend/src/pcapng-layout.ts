/** draft-ietf-opsawg-pcapng §3.1, §4: block types, and the fixed fields of their bodies as byte offsets in the block. */
export const PCAPNG_BLOCK = { SECTION_HEADER: 0x0a0d0d0a, INTERFACE: 1, ENHANCED_PACKET: 6 } as const;

/** §3.1: type and total length in front of a body; the length once more behind it. */
export const PCAPNG_FRAME = { type: 0, total_length: 4, body: 8, SIZE: 12 } as const;
export const PCAPNG_SECTION = {
  magic: 8,
  version_major: 12,
  version_minor: 14,
  section_length: 16,
  options: 24,
} as const;
export const PCAPNG_INTERFACE = { linktype: 8, snaplen: 12, options: 16 } as const;
export const PCAPNG_PACKET = {
  interface_id: 8,
  timestamp_high: 12,
  timestamp_low: 16,
  captured_length: 20,
  original_length: 24,
  data: 28,
} as const;

export const PCAPNG_BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** §3.5, §4.1 to §4.3: option codes. */
export const PCAPNG_OPTION = {
  END: 0,
  COMMENT: 1,
  SHB_USERAPPL: 4,
  IF_NAME: 2,
  IF_DESCRIPTION: 3,
  IF_TSRESOL: 9,
  EPB_FLAGS: 2,
  EPB_QUEUE: 6,
} as const;

/** §4.3.1, bits 0 and 1 of epb_flags: which way a packet went, as the interface sees it. */
export const PCAPNG_DIRECTION = { UNKNOWN: 0, INBOUND: 1, OUTBOUND: 2 } as const;
/** One of {@link PCAPNG_DIRECTION}. */
export type PcapngDirection = (typeof PCAPNG_DIRECTION)[keyof typeof PCAPNG_DIRECTION];

/** if_tsresol: timestamps count units of 10^-9 s. */
export const TSRESOL_NANOSECONDS = 9;
