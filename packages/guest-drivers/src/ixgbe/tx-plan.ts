import { TX_CMD, TX_CTX, TX_OLINFO } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import type { NetOffload } from '../net-offload.js';
import type { FrameBytes } from '../tx-header.js';
import { IxgbeOffload, NO_TAG } from './ixgbe-offload.js';

const { NEEDS_CSUM } = VIRTIO_NET_HDR_F;
const { NONE, TCPV4, TCPV6, UDP_L4, ECN } = VIRTIO_NET_HDR_GSO;
const HERE = '82599 datasheet §7.2.3.2.3';
const ETHERNET = 14;
const VLAN_TAG = 4;
const ETHER_TYPE = 12;
const TYPE = { IPV4: 0x0800, IPV6: 0x86dd, VLAN: 0x8100, SERVICE_VLAN: 0x88a8 } as const;
/** Where TCP, UDP and SCTP have their checksum, from their header's start. */
const CHECKSUM_AT = { TCP: 16, UDP: 6, SCTP: 8 } as const;
const IPV4 = { TOTAL_LENGTH: 2, CHECKSUM: 10, LEAST: 20 } as const;
const IPV6 = { PAYLOAD_LENGTH: 4, LEAST: 40 } as const;
const TCP_DATA_OFFSET = 12;
const TCP_LEAST = 20;
const UDP_BYTES = 8;
const DATA: number = TX_CMD.DTYP_DATA | TX_CMD.DEXT | TX_CMD.IFCS;

/** Most bytes of headers of a frame to be segmented: those that this driver copies. */
const SEGMENT_HEADERS_MAX = 512;
/** Least bytes of a frame: shorter ones stop the queue (82599 datasheet §7.2.3.2.4). */
export const LEAST_FRAME = 17;

/** What the descriptors of one frame say; worked out of the frame and of what its sender wants. Reused. */
export class TxPlan {
  // Words of the context.
  vlanMacip = 0;
  tucmd = 0;
  mss = 0;
  /** Command bits of every data descriptor. */
  cmd = 0;
  olinfo = 0;
  /** Bytes of all headers of a frame to be segmented; 0 for one that is sent as it is. */
  headers = 0;
  private ipAt = 0;
  private isV4 = false;
  private checksumAt = 0;
  private segmented = 0;

  /**
   * @param length bytes of the frame
   * @throws VirtioError for what the card cannot do, or what does not fit the frame
   */
  make(frame: FrameBytes, length: number, offload: NetOffload | undefined): void {
    const tci = offload instanceof IxgbeOffload ? offload.vlanTci : NO_TAG;
    if (tci !== NO_TAG && !(Number.isInteger(tci) && tci >= 0 && tci <= 0xffff))
      throw new VirtioError('vlanTci', tci, '16 bits, or -1', HERE);
    this.headers = 0;
    this.tucmd = TX_CMD.DTYP_CONTEXT | TX_CMD.DEXT;
    this.mss = 0;
    this.cmd = tci === NO_TAG ? DATA : DATA | TX_CMD.VLE;
    // Where functions of the card send to each other, its switch looks at the context of every frame.
    this.olinfo = TX_OLINFO.CC;
    let lengths = macLength(frame) << TX_CTX.MACLEN_SHIFT;
    if (offload !== undefined) lengths |= this.addOffload(frame, length, offload);
    this.vlanMacip = lengths | ((tci === NO_TAG ? 0 : tci) << TX_CTX.VLAN_SHIFT);
    this.olinfo |= (length - this.headers) << TX_OLINFO.PAYLEN_SHIFT;
  }

  /**
   * Make the headers what the card wants of a frame to be segmented: no lengths, which it writes for each segment, and a
   * checksum of the pseudo header without one. 82599 datasheet §7.2.4.4
   * @param at host offset of a copy of the headers
   */
  prepareHeaders(view: DataView, at: number): void {
    const ip = at + this.ipAt;
    if (this.isV4) {
      view.setUint16(ip + IPV4.TOTAL_LENGTH, 0);
      view.setUint16(ip + IPV4.CHECKSUM, 0);
    } else view.setUint16(ip + IPV6.PAYLOAD_LENGTH, 0);
    const { segmented } = this;
    let sum = view.getUint16(at + this.checksumAt);
    // Subtracting is adding the complement; the sum is one of 16-bit words, carries put back.
    sum += (~segmented & 0xffff) + (~(segmented >>> 16) & 0xffff);
    sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(at + this.checksumAt, (sum & 0xffff) + (sum >>> 16));
  }

  /** @throws VirtioError for a frame without IP */
  private placeIp(frame: FrameBytes): void {
    this.ipAt = macLength(frame);
    const type = etherType(frame, this.ipAt - 2);
    this.isV4 = type === TYPE.IPV4;
    if (type !== TYPE.IPV4 && type !== TYPE.IPV6)
      throw new VirtioError('EtherType', type, 'IPv4 or IPv6 behind at most one tag', HERE);
  }

  /** @returns bytes of the IP header */
  private addOffload(frame: FrameBytes, length: number, offload: NetOffload): number {
    const isChecked = (offload.flags & NEEDS_CSUM) !== 0;
    const wantsIp = offload instanceof IxgbeOffload && offload.ipChecksum;
    if (!isChecked) {
      if (offload.gsoType !== NONE) throw new VirtioError('flags', offload.flags, 'NEEDS_CSUM with gso_type', HERE);
      return wantsIp ? this.addIpChecksum(frame) : 0;
    }
    this.placeIp(frame);
    const { ipAt, isV4 } = this;
    const { csumStart, csumOffset } = offload;
    if (csumStart + csumOffset + 2 > length)
      throw new VirtioError('csum_offset', csumOffset, `a field inside the frame's ${length} bytes`, HERE);
    const ipBytes = csumStart - ipAt;
    if (ipBytes < (isV4 ? IPV4.LEAST : IPV6.LEAST) || ipBytes > TX_CTX.IPLEN_MASK)
      throw new VirtioError('csum_start', csumStart, `the end of the IP header at ${ipAt}`, HERE);
    if (isV4) {
      this.tucmd |= TX_CTX.IPV4;
      if (wantsIp) this.olinfo |= TX_OLINFO.IXSM;
    }
    this.tucmd |= transportType(csumOffset);
    this.olinfo |= TX_OLINFO.TXSM;
    if (offload.gsoType !== NONE) this.addSegmentation(frame, length, offload);
    return ipBytes;
  }

  private addIpChecksum(frame: FrameBytes): number {
    this.placeIp(frame);
    if (!this.isV4) throw new VirtioError('ipChecksum', 1, 'an IPv4 frame', HERE);
    this.tucmd |= TX_CTX.IPV4;
    this.olinfo |= TX_OLINFO.IXSM;
    return (frame.byteAt(this.ipAt) & 0xf) * 4;
  }

  private addSegmentation(frame: FrameBytes, length: number, offload: NetOffload): void {
    const { isV4 } = this;
    const { gsoType, gsoSize, csumStart, csumOffset } = offload;
    const base = gsoType & ~ECN;
    const isTcp = base === TCPV4 || base === TCPV6;
    if (!isTcp && (base !== UDP_L4 || gsoType !== base))
      throw new VirtioError('gso_type', gsoType, 'TCPV4, TCPV6 or UDP_L4; ECN with TCP', HERE);
    if (isTcp && isV4 !== (base === TCPV4))
      throw new VirtioError('gso_type', gsoType, `that of an IPv${isV4 ? 4 : 6} frame`, HERE);
    if (csumOffset !== (isTcp ? CHECKSUM_AT.TCP : CHECKSUM_AT.UDP))
      throw new VirtioError('csum_offset', csumOffset, 'that of the protocol in gso_type', HERE);
    if (gsoSize === 0) throw new VirtioError('gso_size', gsoSize, 'the payload of a segment, 1 or more bytes', HERE);
    const l4Bytes = isTcp ? (frame.byteAt(csumStart + TCP_DATA_OFFSET) >>> 4) * 4 : UDP_BYTES;
    if (isTcp && l4Bytes < TCP_LEAST) throw new VirtioError('data offset', l4Bytes, `${TCP_LEAST} bytes or more`, HERE);
    const headers = csumStart + l4Bytes;
    if (headers >= length || headers > SEGMENT_HEADERS_MAX)
      throw new VirtioError('headers', headers, `less than the frame's ${length}, up to ${SEGMENT_HEADERS_MAX}`, HERE);
    this.headers = headers;
    this.checksumAt = csumStart + csumOffset;
    this.segmented = length - csumStart;
    this.cmd |= TX_CMD.TSE;
    if (isV4) this.olinfo |= TX_OLINFO.IXSM;
    this.mss = (gsoSize << TX_CTX.MSS_SHIFT) | (l4Bytes << TX_CTX.L4LEN_SHIFT);
  }
}

function transportType(csumOffset: number): number {
  if (csumOffset === CHECKSUM_AT.TCP) return TX_CTX.L4T_TCP;
  if (csumOffset === CHECKSUM_AT.UDP) return TX_CTX.L4T_UDP;
  if (csumOffset === CHECKSUM_AT.SCTP) return TX_CTX.L4T_SCTP;
  throw new VirtioError('csum_offset', csumOffset, "TCP's 16, UDP's 6 or SCTP's 8", HERE);
}

const etherType = (frame: FrameBytes, at: number): number => (frame.byteAt(at) << 8) | frame.byteAt(at + 1);

/** Bytes up to the network header: one tag in the frame counts. */
function macLength(frame: FrameBytes): number {
  const type = etherType(frame, ETHER_TYPE);
  return type === TYPE.VLAN || type === TYPE.SERVICE_VLAN ? ETHERNET + VLAN_TAG : ETHERNET;
}
