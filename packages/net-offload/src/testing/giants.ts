import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { counting, ethernet, ipv4, ipv6, join, pseudoSum, tcp, udp } from './packets.js';
import type { Layout } from './reference-segments.js';

const GSO = VIRTIO_NET_HDR_GSO;

export interface GiantFields {
  /** A VIRTIO_NET_HDR_GSO type, without bits. */
  readonly type: number;
  /** Inner IP version, where the type leaves it open. */
  readonly version?: 4 | 6;
  readonly payload?: number;
  readonly size?: number;
  /** TCP flags and sequence number. */
  readonly flags?: number;
  readonly sequence?: number;
  readonly tags?: readonly [number, number][];
  readonly ipOptions?: readonly number[];
  readonly tcpOptions?: readonly number[];
  /** One IPv6 extension header, destination options. */
  readonly extension?: readonly number[];
  /** Outer IP version of a tunnel that looks like VXLAN. */
  readonly tunnel?: 4 | 6;
  /** Bytes of its header; 8 unless given. */
  readonly tunnelHeader?: number;
  readonly outerChecksum?: boolean;
}

/** The fields of virtio_net_hdr as a driver sets them. */
export interface GiantHeader {
  flags: number;
  gsoType: number;
  gsoSize: number;
  hdrLen: number;
  csumStart: number;
  csumOffset: number;
  outerThOffset: number;
  innerNhOffset: number;
}

/** A frame that is to be cut up. */
export interface Giant {
  readonly bytes: Uint8Array;
  readonly fields: GiantHeader;
  readonly layout: Layout;
}

/** A frame as a good driver would leave it to the device. */
export function giant(wanted: GiantFields): Giant {
  const size = wanted.size ?? 1448;
  const isTcp = wanted.type === GSO.TCPV4 || wanted.type === GSO.TCPV6;
  const version = wanted.type === GSO.TCPV4 ? 4 : wanted.type === GSO.TCPV6 ? 6 : (wanted.version ?? 4);
  const protocol = isTcp ? 6 : 17;
  const data = counting(wanted.payload ?? 3000, 7);
  const { tcpOptions = [], ipOptions = [], extension = [], tunnelHeader = 8 } = wanted;
  const segment = isTcp
    ? tcp(
        version,
        data,
        { flags: wanted.flags ?? 0x18, sequence: wanted.sequence ?? 1, options: tcpOptions },
        'partial',
      )
    : udp(version, data, 2000, 'partial');
  const packet =
    version === 4
      ? ipv4(protocol, segment, { options: ipOptions })
      : ipv6(extension.length > 0 ? 60 : protocol, join(extension, segment));
  const inner = ethernet(version === 4 ? 0x0800 : 0x86dd, packet, [...(wanted.tags ?? [])]);
  const innerIp = inner.length - packet.length;
  const transport = inner.length - segment.length;
  const header: GiantHeader = {
    flags: VIRTIO_NET_HDR_F.NEEDS_CSUM,
    gsoType: wanted.type,
    gsoSize: size,
    hdrLen: inner.length - data.length,
    csumStart: transport,
    csumOffset: isTcp ? 16 : 6,
    outerThOffset: 0,
    innerNhOffset: 0,
  };
  const layout: Layout = { ip: innerIp, version, protocol, transport, payload: inner.length - data.length };
  if (wanted.tunnel === undefined) return { bytes: inner, fields: header, layout };
  return tunnelled(inner, header, layout, wanted.tunnel, tunnelHeader, wanted.outerChecksum ?? false);
}

function tunnelled(
  inner: Uint8Array,
  header: GiantHeader,
  layout: Layout,
  version: 4 | 6,
  tunnelHeader: number,
  checksum: boolean,
): Giant {
  const datagram = udp(version, join(counting(tunnelHeader, 8), inner), 4789, 'none');
  if (checksum) {
    const pseudo = pseudoSum(version, 17, datagram.length);
    datagram.set([pseudo >> 8, pseudo & 0xff], 6);
  }
  const bytes = version === 4 ? ethernet(0x0800, ipv4(17, datagram)) : ethernet(0x86dd, ipv6(17, datagram));
  const added = bytes.length - inner.length;
  const outerUdp = added - tunnelHeader - 8;
  return {
    bytes,
    fields: {
      ...header,
      flags: header.flags | (checksum ? VIRTIO_NET_HDR_F.UDP_TUNNEL_CSUM : 0),
      gsoType: header.gsoType | (layout.version === 4 ? GSO.UDP_TUNNEL_IPV4 : GSO.UDP_TUNNEL_IPV6),
      hdrLen: header.hdrLen + added,
      csumStart: header.csumStart + added,
      outerThOffset: outerUdp,
      innerNhOffset: layout.ip + added,
    },
    layout: {
      ...layout,
      ip: layout.ip + added,
      transport: layout.transport + added,
      payload: layout.payload + added,
      outer: { ip: 14, version, udp: outerUdp, checksum },
    },
  };
}
