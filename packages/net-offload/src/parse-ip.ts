import type { IpHeaders } from './frame-headers.js';
import { be16, IPPROTO, IPV4, IPV4_FRAGMENT, IPV6, IPV6_FRAGMENT, TCP, UDP } from './wire.js';

/** Extension headers that are followed; RFC 8200 §4.1 recommends an order in which none but one comes twice: 7. */
const MAX_EXTENSIONS = 8;
/** RFC 8200 §4.2 Pad1, the one option without a length; RFC 6275 §6.3 Home Address. */
const OPTION = { PAD1: 0, HOME_ADDRESS: 201 } as const;
/** RFC 5095 (deprecated), RFC 6275 §6.4, RFC 8754 §2. */
const ROUTING_TYPE = { SOURCE: 0, MOBILE: 2, SEGMENT: 4 } as const;
const ADDRESS6 = 16;

/**
 * Parse an IP packet of either version.
 * @param base  where the frame's first byte is in `u8`
 * @param at    offset of the IP header in the frame
 * @param limit offset behind the last byte that may be read
 * @param ip    the result; `version` 0 when there is no whole IP header
 */
export function parseIp(u8: Uint8Array, base: number, at: number, limit: number, ip: IpHeaders): void {
  ip.clear();
  if (at >= limit) return;
  const version = u8[base + at]! >>> 4;
  if (version === 4) parseIpv4(u8, base, at, limit, ip);
  else if (version === 6) parseIpv6(u8, base, at, limit, ip);
}

function parseIpv4(u8: Uint8Array, base: number, at: number, limit: number, ip: IpHeaders): void {
  if (at + IPV4.SIZE > limit) return;
  const headerBytes = (u8[base + at + IPV4.version_ihl]! & 15) * 4;
  if (headerBytes < IPV4.SIZE || at + headerBytes > limit) return;
  ip.version = 4;
  ip.at = at;
  ip.length = be16(u8, base + at + IPV4.total_length);
  setAddresses(ip, at + IPV4.source, at + IPV4.destination);
  ip.fragment = (be16(u8, base + at + IPV4.flags_offset) & (IPV4_FRAGMENT.MORE | IPV4_FRAGMENT.OFFSET)) !== 0;
  ip.protocol = u8[base + at + IPV4.protocol]!;
  ip.payload = at + headerBytes;
  parseTransport(u8, base, limit, ip);
}

function parseIpv6(u8: Uint8Array, base: number, at: number, limit: number, ip: IpHeaders): void {
  if (at + IPV6.SIZE > limit) return;
  ip.version = 6;
  ip.at = at;
  ip.length = IPV6.SIZE + be16(u8, base + at + IPV6.payload_length);
  setAddresses(ip, at + IPV6.source, at + IPV6.destination);
  ip.fragmentAt = at + IPV6.SIZE;
  ip.fragmentNameAt = at + IPV6.next_header;
  ip.payload = at + IPV6.SIZE;
  ip.protocol = followExtensions(u8, base, u8[base + at + IPV6.next_header]!, limit, ip);
  parseTransport(u8, base, limit, ip);
}

function setAddresses(ip: IpHeaders, source: number, destination: number): void {
  ip.source = source;
  ip.homeAddress = source;
  ip.destination = destination;
  ip.routingAddress = destination;
  ip.finalDestination = destination;
}

/** @returns the protocol that is not an extension header, at `ip.payload`; -1 when that is not to be found */
function followExtensions(u8: Uint8Array, base: number, first: number, limit: number, ip: IpHeaders): number {
  let header = first;
  for (let count = 0; isExtension(header); count++) {
    ip.extended = true;
    const at = ip.payload;
    if (count === MAX_EXTENSIONS || at + 8 > limit) return -1;
    const bytes = extensionBytes(header, u8[base + at + 1]!);
    if (at + bytes > limit) return -1;
    const next = u8[base + at]!;
    if (header === IPPROTO.ROUTING) readRouting(u8, base, at, bytes, ip);
    else if (header === IPPROTO.DESTINATION_OPTIONS) readOptions(u8, base, at, bytes, ip);
    if (header === IPPROTO.ROUTING || header === IPPROTO.HOP_BY_HOP) {
      ip.fragmentAt = at + bytes;
      ip.fragmentNameAt = at;
    }
    ip.payload = at + bytes;
    if (header === IPPROTO.FRAGMENT) {
      ip.fragment = (be16(u8, base + at + IPV6_FRAGMENT.offset_more) & IPV6_FRAGMENT.OFFSET_MORE) !== 0;
      if (ip.fragment) return next;
      ip.atomic = true;
    }
    header = next;
  }
  return header;
}

function isExtension(header: number): boolean {
  switch (header) {
    case IPPROTO.HOP_BY_HOP:
    case IPPROTO.ROUTING:
    case IPPROTO.FRAGMENT:
    case IPPROTO.AUTHENTICATION:
    case IPPROTO.DESTINATION_OPTIONS:
    case IPPROTO.MOBILITY:
    case IPPROTO.HIP:
    case IPPROTO.SHIM6:
      return true;
    default:
      return false;
  }
}

function extensionBytes(header: number, length: number): number {
  if (header === IPPROTO.FRAGMENT) return IPV6_FRAGMENT.SIZE;
  if (header === IPPROTO.AUTHENTICATION) return (length + 2) * 4;
  return (length + 1) * 8;
}

function readRouting(u8: Uint8Array, base: number, at: number, bytes: number, ip: IpHeaders): void {
  const type = u8[base + at + 2]!;
  const segmentsLeft = u8[base + at + 3]!;
  if (bytes < 8 + ADDRESS6) return;
  if (type === ROUTING_TYPE.MOBILE) ip.routingAddress = at + 8;
  if (segmentsLeft === 0) return;
  if (type === ROUTING_TYPE.SOURCE) ip.finalDestination = at + bytes - ADDRESS6;
  // Segments are listed from the last one on.
  else if (type === ROUTING_TYPE.SEGMENT || type === ROUTING_TYPE.MOBILE) ip.finalDestination = at + 8;
}

function readOptions(u8: Uint8Array, base: number, at: number, bytes: number, ip: IpHeaders): void {
  const end = at + bytes;
  for (let option = at + 2; option + 1 < end; ) {
    const type = u8[base + option]!;
    if (type === OPTION.PAD1) {
      option++;
      continue;
    }
    const length = u8[base + option + 1]!;
    if (type === OPTION.HOME_ADDRESS && length === ADDRESS6 && option + 2 + ADDRESS6 <= end)
      ip.homeAddress = option + 2;
    option += 2 + length;
  }
}

function parseTransport(u8: Uint8Array, base: number, limit: number, ip: IpHeaders): void {
  if (ip.fragment) return;
  const at = ip.payload;
  const end = Math.min(limit, ip.at + ip.length);
  if (ip.protocol === IPPROTO.TCP) {
    if (at + TCP.SIZE > end) return;
    const bytes = (u8[base + at + TCP.data_offset]! >>> 4) * 4;
    if (bytes < TCP.SIZE || at + bytes > end) return;
    ip.transport = IPPROTO.TCP;
    ip.transportBytes = bytes;
  } else if (ip.protocol === IPPROTO.UDP) {
    if (at + UDP.SIZE > end) return;
    ip.transport = IPPROTO.UDP;
    ip.transportBytes = UDP.SIZE;
  }
}
