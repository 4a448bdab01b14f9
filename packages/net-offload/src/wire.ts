/**
 * Header layouts of the protocols that offloads look into. Byte offsets from each header's start; fields wider than a
 * byte are big-endian.
 */

/** IEEE 802.3 §3.1.1, without preamble and frame check sequence. */
export const ETHERNET = { destination: 0, source: 6, type: 12, SIZE: 14 } as const;
/** IEEE 802.1Q §9.6: a tag, from the type that announces it on; the type of what follows comes behind it. */
export const VLAN_TAG = { tpid: 0, tci: 2, SIZE: 4 } as const;
/** RFC 791 §3.1. SIZE is without options. */
export const IPV4 = {
  version_ihl: 0,
  total_length: 2,
  identification: 4,
  flags_offset: 6,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  SIZE: 20,
} as const;
/** Of the halfword at `flags_offset`. */
export const IPV4_FRAGMENT = { MORE: 0x2000, OFFSET: 0x1fff } as const;
/** RFC 8200 §3. */
export const IPV6 = {
  version: 0,
  payload_length: 4,
  next_header: 6,
  source: 8,
  destination: 24,
  SIZE: 40,
} as const;
/** RFC 8200 §4.5 Fragment Header. OFFSET_MORE and MORE are bits of the halfword at `offset_more`. */
export const IPV6_FRAGMENT = {
  next_header: 0,
  offset_more: 2,
  identification: 4,
  SIZE: 8,
  OFFSET_MORE: 0xfff9,
  MORE: 1,
} as const;
/** RFC 9293 §3.1. SIZE is without options. */
export const TCP = {
  source: 0,
  destination: 2,
  sequence: 4,
  data_offset: 12,
  flags: 13,
  checksum: 16,
  SIZE: 20,
} as const;
/** RFC 9293 §3.1 and RFC 3168 §6.1: bits of the byte at `flags`. */
export const TCP_FLAG = { FIN: 0x01, PSH: 0x08, CWR: 0x80 } as const;
/** RFC 768. */
export const UDP = { source: 0, destination: 2, length: 4, checksum: 6, SIZE: 8 } as const;

/** EtherTypes. */
export const ETHERTYPE = { IPV4: 0x0800, VLAN: 0x8100, TEB: 0x6558, IPV6: 0x86dd, SERVICE_VLAN: 0x88a8 } as const;

/** IP protocol numbers; those that IPv6 calls extension headers included. */
export const IPPROTO = {
  HOP_BY_HOP: 0,
  IPIP: 4,
  TCP: 6,
  UDP: 17,
  ROUTING: 43,
  FRAGMENT: 44,
  GRE: 47,
  ESP: 50,
  AUTHENTICATION: 51,
  DESTINATION_OPTIONS: 60,
  MOBILITY: 135,
  HIP: 139,
  SHIM6: 140,
} as const;

/** UDP destination ports of tunnels. */
export const TUNNEL_PORT = { GRE_UDP: 4754, VXLAN: 4789, VXLAN_GPE: 4790, GENEVE: 6081 } as const;

export function be16(u8: Uint8Array, at: number): number {
  return (u8[at]! << 8) | u8[at + 1]!;
}

export function putBe16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 8;
  u8[at + 1] = value;
}

/** @returns 0 … 2^32-1 */
export function be32(u8: Uint8Array, at: number): number {
  return ((u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!) >>> 0;
}

export function putBe32(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 24;
  u8[at + 1] = value >>> 16;
  u8[at + 2] = value >>> 8;
  u8[at + 3] = value;
}
