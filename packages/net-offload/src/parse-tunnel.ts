import { VIRTIO_NET_HASH_TUNNEL_TYPE } from '@ringwire/virtio-spec/net';
import { innerIpAt, isIp } from './ethernet.js';
import type { FrameHeaders } from './frame-headers.js';
import { parseIp } from './parse-ip.js';
import { be16, ETHERTYPE, IPPROTO, TUNNEL_PORT, UDP } from './wire.js';

const TYPE = VIRTIO_NET_HASH_TUNNEL_TYPE;

/** RFC 2784 §2.1, RFC 2890 §2: bits of a GRE header's first halfword. ROUTING is RFC 1701's and long gone. */
const GRE = { CHECKSUM: 0x8000, ROUTING: 0x4000, KEY: 0x2000, SEQUENCE: 0x1000, VERSION: 0x0007, SIZE: 4 } as const;
/** RFC 7348 §5; draft-ietf-nvo3-vxlan-gpe §3: bits of the first byte, and the byte that names the protocol. */
const VXLAN = { INSTANCE: 0x08, NEXT_PROTOCOL: 0x04, next_protocol: 3, SIZE: 8 } as const;
const GPE_PROTOCOL = { IPV4: 1, IPV6: 2, ETHERNET: 3 } as const;
/** RFC 8926 §3.4. Options follow, their words counted in the low bits of the first byte. */
const GENEVE = { VERSION: 0xc0, OPTION_WORDS: 0x3f, protocol: 2, SIZE: 8 } as const;

/**
 * Look for one of the encapsulations of virtio 1.4 §5.1.9.4.4.2 behind the outer headers, and parse what is inside.
 * @param limit offset behind the last byte that may be read
 * @param headers `ip` is filled in; `tunnelTypes` and `inner` become so
 */
export function parseTunnel(u8: Uint8Array, base: number, limit: number, headers: FrameHeaders): void {
  const ip = headers.ip;
  if (ip.fragment) return;
  if (ip.transport === IPPROTO.UDP) parseUdpTunnel(u8, base, limit, headers);
  else if (ip.protocol === IPPROTO.GRE) parseGre(u8, base, ip.payload, limit, headers);
  else if (ip.protocol === IPPROTO.IPIP && ip.version === 4) {
    // RFC 2003 is IPv4 in IPv4; the spec lists no encapsulation of IPv6 without a header between.
    parseInner(u8, base, ETHERTYPE.IPV4, ip.payload, limit, headers);
    if (headers.inner.version !== 0) headers.tunnelTypes = TYPE.IPIP;
  }
}

function parseUdpTunnel(u8: Uint8Array, base: number, limit: number, headers: FrameHeaders): void {
  const at = headers.ip.payload + UDP.SIZE;
  const port = be16(u8, base + headers.ip.payload + UDP.destination);
  if (port === TUNNEL_PORT.VXLAN) parseVxlan(u8, base, at, limit, headers);
  else if (port === TUNNEL_PORT.VXLAN_GPE) parseVxlanGpe(u8, base, at, limit, headers);
  else if (port === TUNNEL_PORT.GENEVE) parseGeneve(u8, base, at, limit, headers);
  else if (port === TUNNEL_PORT.GRE_UDP) parseGre(u8, base, at, limit, headers);
}

function parseVxlan(u8: Uint8Array, base: number, at: number, limit: number, headers: FrameHeaders): void {
  if (at + VXLAN.SIZE > limit || (u8[base + at]! & VXLAN.INSTANCE) === 0) return;
  headers.tunnelTypes = TYPE.VXLAN;
  parseInner(u8, base, ETHERTYPE.TEB, at + VXLAN.SIZE, limit, headers);
}

function parseVxlanGpe(u8: Uint8Array, base: number, at: number, limit: number, headers: FrameHeaders): void {
  if (at + VXLAN.SIZE > limit || (u8[base + at]! & VXLAN.INSTANCE) === 0) return;
  headers.tunnelTypes = TYPE.VXLAN_GPE;
  const named = (u8[base + at]! & VXLAN.NEXT_PROTOCOL) !== 0;
  const protocol = named ? u8[base + at + VXLAN.next_protocol]! : GPE_PROTOCOL.ETHERNET;
  const inside = at + VXLAN.SIZE;
  if (protocol === GPE_PROTOCOL.ETHERNET) parseInner(u8, base, ETHERTYPE.TEB, inside, limit, headers);
  else if (protocol === GPE_PROTOCOL.IPV4) parseInner(u8, base, ETHERTYPE.IPV4, inside, limit, headers);
  else if (protocol === GPE_PROTOCOL.IPV6) parseInner(u8, base, ETHERTYPE.IPV6, inside, limit, headers);
}

function parseGeneve(u8: Uint8Array, base: number, at: number, limit: number, headers: FrameHeaders): void {
  if (at + GENEVE.SIZE > limit) return;
  const first = u8[base + at]!;
  if ((first & GENEVE.VERSION) !== 0) return;
  headers.tunnelTypes = TYPE.GENEVE;
  const inside = at + GENEVE.SIZE + (first & GENEVE.OPTION_WORDS) * 4;
  parseInner(u8, base, be16(u8, base + at + GENEVE.protocol), inside, limit, headers);
}

/** GRE, over IP or in UDP. */
function parseGre(u8: Uint8Array, base: number, at: number, limit: number, headers: FrameHeaders): void {
  if (at + GRE.SIZE > limit) return;
  const bits = be16(u8, base + at);
  if ((bits & (GRE.VERSION | GRE.ROUTING)) !== 0) return;
  const type = be16(u8, base + at + 2);
  let inside = at + GRE.SIZE;
  if ((bits & GRE.CHECKSUM) !== 0) inside += 4;
  if ((bits & GRE.KEY) !== 0) inside += 4;
  if ((bits & GRE.SEQUENCE) !== 0) inside += 4;
  headers.tunnelTypes = headers.ip.transport === IPPROTO.UDP ? TYPE.GRE_UDP : greTypes(bits, type, headers.ip.version);
  parseInner(u8, base, type, inside, limit, headers);
}

/** A GRE header over IP is of each specification whose format and protocols it has. */
function greTypes(bits: number, type: number, version: number): number {
  const keyed = (bits & (GRE.KEY | GRE.SEQUENCE)) !== 0;
  let types: number = keyed ? TYPE.GRE_2890 : 0;
  // The spec's bibliography: RFC 2784 has IPv4 as delivery or payload protocol, RFC 7676 IPv6, with the same header.
  if (!keyed && (version === 4 || type === ETHERTYPE.IPV4)) types |= TYPE.GRE_2784;
  if (version === 6 || type === ETHERTYPE.IPV6) types |= TYPE.GRE_7676;
  // RFC 7637 §3.2: K set, C and S not, and an Ethernet frame inside.
  if ((bits & (GRE.CHECKSUM | GRE.KEY | GRE.SEQUENCE)) === GRE.KEY && type === ETHERTYPE.TEB) types |= TYPE.NVGRE;
  return types;
}

/** @param type what is at `at`: an EtherType, TEB for an Ethernet frame */
function parseInner(
  u8: Uint8Array,
  base: number,
  type: number,
  at: number,
  limit: number,
  headers: FrameHeaders,
): void {
  if (type === ETHERTYPE.TEB) {
    const ipAt = innerIpAt(u8, base, at, limit);
    if (ipAt >= 0) parseIp(u8, base, ipAt, limit, headers.inner);
  } else if (isIp(u8, base, type, at, limit)) parseIp(u8, base, at, limit, headers.inner);
}
