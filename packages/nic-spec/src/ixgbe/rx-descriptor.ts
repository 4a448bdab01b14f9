/** 82599 datasheet §7.1.5: legacy receive descriptor, as byte offsets. Little-endian, as all of them. */
export const RX_LEGACY = {
  address: 0,
  length: 8,
  fragment_checksum: 10,
  status: 12,
  errors: 13,
  vlan: 14,
  SIZE: 16,
} as const;

/** 82599 datasheet §7.1.6.1: advanced receive descriptor, read format. Bit 0 of either address is no address bit. */
export const RX_ADV_READ = { packet_address: 0, header_address: 8, SIZE: 16 } as const;

/** 82599 datasheet §7.1.6.2: advanced receive descriptor, write-back format. */
export const RX_ADV_WB = {
  /** RSS type in bits 3:0, packet type in 16:4. */
  types: 0,
  /** HDR_LEN in bits 14:5, SPH in bit 15. */
  header_info: 2,
  /** With RXCSUM.PCSD: the hash, 32 bits. */
  rss_hash: 4,
  /** Without: the identification of IP, and its packet checksum. */
  ip_id: 4,
  fragment_checksum: 6,
  /** Extended status in bits 19:0, extended errors in 31:20. */
  status_error: 8,
  /** Bytes in the packet buffer. */
  pkt_len: 12,
  vlan: 14,
  SIZE: 16,
} as const;

/** Bits of `types`, as a word of 32 bits with `header_info` in its upper half. */
export const RX_TYPES = {
  RSS_MASK: 0x0000_000f,
  PACKET_MASK: 0x0000_fff0,
  PACKET_IPV4: 0x0000_0010,
  /** IPv4 with options. */
  PACKET_IPV4E: 0x0000_0020,
  PACKET_IPV6: 0x0000_0040,
  /** IPv6 with extension headers. */
  PACKET_IPV6E: 0x0000_0080,
  PACKET_TCP: 0x0000_0100,
  PACKET_UDP: 0x0000_0200,
  PACKET_SCTP: 0x0000_0400,
  /** Bits 6:4 are the filter's index then. */
  PACKET_ETQF: 0x0000_8000,
  PACKET_ETQF_SHIFT: 4,
  PACKET_ETQF_MASK: 0x7,
  HDR_LEN_SHIFT: 21,
  HDR_LEN_MASK: 0x3ff,
  SPH: 0x8000_0000,
} as const;

/** RSS type: what the hash was made of. */
export const RSS_TYPE = {
  NONE: 0,
  TCP_IPV4: 1,
  IPV4: 2,
  TCP_IPV6: 3,
  IPV6_EX: 4,
  IPV6: 5,
  TCP_IPV6_EX: 6,
  UDP_IPV4: 7,
  UDP_IPV6: 8,
  UDP_IPV6_EX: 9,
} as const;

/** Status: bits 7:0 are those of the legacy descriptor too. */
export const RX_STATUS = {
  DD: 0x0_0001,
  EOP: 0x0_0002,
  FLM: 0x0_0004,
  /** The tag was taken out, and is in `vlan`. */
  VP: 0x0_0008,
  UDPCS: 0x0_0010,
  L4CS: 0x0_0020,
  IPCS: 0x0_0040,
  /** It passed an inexact filter only: a hash of addresses. */
  PIF: 0x0_0080,
  VEXT: 0x0_0200,
  UDPV: 0x0_0400,
  LLINT: 0x0_0800,
  /** It comes from this card's own transmit side. */
  LB: 0x4_0000,
} as const;

/** Errors of the advanced write-back, as bits of `status_error`. */
export const RX_ERROR = {
  HBO: 0x0080_0000,
  /** Any error of the MAC. */
  RXE: 0x2000_0000,
  /** TCP, UDP or SCTP checksum. */
  L4E: 0x4000_0000,
  IPE: 0x8000_0000,
} as const;

/** Errors of the legacy descriptor, as bits of `errors`. */
export const RX_LEGACY_ERROR = { RXE: 0x20, L4E: 0x40, IPE: 0x80 } as const;
