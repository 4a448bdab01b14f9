import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HASH_TYPE } from '@ringwire/virtio-spec/net';
import type { FrameHeaders, IpHeaders } from './frame-headers.js';
import type { Toeplitz } from './toeplitz.js';
import { IPPROTO } from './wire.js';

const TYPE = VIRTIO_NET_HASH_TYPE;
const REPORT = VIRTIO_NET_HASH_REPORT;
const PORTS = 4;

/** The hash of one frame after the other, as VIRTIO_NET_F_HASH_REPORT and RSS want it. virtio 1.4 §5.1.9.4.3 */
export class PacketHash {
  /**
   * hash_value, its 32 bits as a signed number (an unsigned one above 2^31 would be an object to V8); 0 when `report` is
   * NONE.
   */
  value = 0;
  /** hash_report: a VIRTIO_NET_HASH_REPORT value. */
  report = 0;

  /**
   * Hash a frame's addresses and ports.
   * @param hashTypes   enabled VIRTIO_NET_HASH_TYPE bits
   * @param tunnelTypes enabled VIRTIO_NET_HASH_TUNNEL_TYPE bits: a tunnel of one of them is hashed by its inner headers
   * @param u8      what `headers` was parsed from; `base` is where the frame begins in it
   */
  compute(
    toeplitz: Toeplitz,
    hashTypes: number,
    tunnelTypes: number,
    u8: Uint8Array,
    base: number,
    headers: FrameHeaders,
  ): void {
    const ip = (headers.tunnelTypes & tunnelTypes) !== 0 ? headers.inner : headers.ip;
    const report = hashReport(hashTypes, ip);
    this.report = report;
    this.value = report === REPORT.NONE ? 0 : hashOf(toeplitz, report, u8, base, ip);
  }
}

/**
 * Which hash a packet gets: its protocol's if enabled, its addresses' otherwise. A fragment and a packet whose transport
 * header is cut have no ports. virtio 1.4 §5.1.9.4.3.2 to .4
 * @param hashTypes enabled VIRTIO_NET_HASH_TYPE bits
 * @returns a VIRTIO_NET_HASH_REPORT value
 */
export function hashReport(hashTypes: number, ip: IpHeaders): number {
  const tcp = ip.transport === IPPROTO.TCP;
  const udp = ip.transport === IPPROTO.UDP;
  if (ip.version === 4) {
    if (tcp && (hashTypes & TYPE.TCPv4) !== 0) return REPORT.TCPv4;
    if (udp && (hashTypes & TYPE.UDPv4) !== 0) return REPORT.UDPv4;
    return (hashTypes & TYPE.IPv4) !== 0 ? REPORT.IPv4 : REPORT.NONE;
  }
  if (ip.version !== 6) return REPORT.NONE;
  if (ip.extended) {
    if (tcp && (hashTypes & TYPE.TCP_EX) !== 0) return REPORT.TCPv6_EX;
    if (udp && (hashTypes & TYPE.UDP_EX) !== 0) return REPORT.UDPv6_EX;
    if ((hashTypes & TYPE.IP_EX) !== 0) return REPORT.IPv6_EX;
  }
  if (tcp && (hashTypes & TYPE.TCPv6) !== 0) return REPORT.TCPv6;
  if (udp && (hashTypes & TYPE.UDPv6) !== 0) return REPORT.UDPv6;
  return (hashTypes & TYPE.IPv6) !== 0 ? REPORT.IPv6 : REPORT.NONE;
}

function hashOf(toeplitz: Toeplitz, report: number, u8: Uint8Array, base: number, ip: IpHeaders): number {
  const addressBytes = ip.version === 4 ? 4 : 16;
  const extended = report >= REPORT.IPv6_EX;
  const source = extended ? ip.homeAddress : ip.source;
  const destination = extended ? ip.routingAddress : ip.destination;
  let hash = toeplitz.part(u8, base + source, addressBytes, 0);
  hash ^= toeplitz.part(u8, base + destination, addressBytes, addressBytes);
  if (report !== REPORT.IPv4 && report !== REPORT.IPv6 && report !== REPORT.IPv6_EX) {
    hash ^= toeplitz.part(u8, base + ip.payload, PORTS, 2 * addressBytes);
  }
  return hash;
}
