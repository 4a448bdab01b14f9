import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { copyFrame, Frame } from '@ringwire/net-backend';
import {
  FrameHeaders,
  HEADER_BYTES,
  IPPROTO,
  IPV4,
  IPV6,
  parseFrame,
  pseudoHeaderSum,
  putChecksum,
  TCP,
  UDP,
  VLAN_TAG,
} from '@ringwire/net-offload';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { crc32cOf } from './crc32c.js';
import type { TxContext } from './tx-context.js';

const ADDRESSES_BYTES = 12;
const TAG_TYPE = 0x8100;
const IP_BYTES_MOST = 0xffff;
const SCTP_AT = { checksum: 8, SIZE: 12 } as const;

/** Host memory that {@link TxHeaders} works in. */
export const TX_HEADERS_BYTES: number = HEADER_BYTES + VLAN_TAG.SIZE;

/**
 * Headers of a frame that are not sent as the driver wrote them: copied once, where no driver can reach them, and changed
 * there. What is behind them stays where it is.
 */
export class TxHeaders {
  /** The frame with the copied headers; good until the next {@link adopt}. */
  readonly frame: Frame;
  private readonly memory: HostMemory;
  private readonly at: number;
  private readonly headers: FrameHeaders = new FrameHeaders();
  private bytes = 0;
  private inserted = 0;

  /** @param at host offset of TX_HEADERS_BYTES bytes */
  constructor(memory: HostMemory, at: number) {
    this.memory = memory;
    this.at = at;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(64);
  }

  /** Copy the headers. @param tag control information of a tag to put in; -1: none */
  adopt(from: Frame, tag: number): void {
    const { memory, at, frame } = this;
    const { ranges } = frame;
    const copied = copyFrame(from, 0, memory, at, HEADER_BYTES);
    this.inserted = 0;
    if (tag >= 0) {
      const { u8 } = memory;
      u8.copyWithin(at + ADDRESSES_BYTES + VLAN_TAG.SIZE, at + ADDRESSES_BYTES, at + copied);
      this.put16(ADDRESSES_BYTES, TAG_TYPE);
      this.put16(ADDRESSES_BYTES + VLAN_TAG.tci, tag);
      this.inserted = VLAN_TAG.SIZE;
    }
    this.bytes = copied + this.inserted;
    ranges.clear();
    ranges.push(at, this.bytes);
    let skip = from.skip + copied;
    for (let range = from.first; range < from.end; range++) {
      const length = from.ranges.length[range]!;
      if (length > skip) ranges.push(from.ranges.offset[range]! + skip, length - skip);
      skip = Math.max(0, skip - length);
    }
    frame.first = 0;
    frame.end = ranges.count;
    frame.skip = 0;
    frame.length = from.length + this.inserted;
    frame.pair = from.pair;
    frame.clearOffloads();
  }

  /** Insert the checksum of the IPv4 header. @returns false when the context points out of the headers */
  sumIpv4(context: TxContext): boolean {
    const { memory, at } = this;
    const ipAt = context.macBytes + this.inserted;
    const { ipBytes } = context;
    if (ipBytes < IPV4.checksum + 2 || ipAt + ipBytes > this.bytes) return false;
    this.put16(ipAt + IPV4.checksum, 0);
    putChecksum(memory.u8, at + ipAt + IPV4.checksum, memory.engine.checksum(at + ipAt, ipBytes));
    return true;
  }

  /** Ask for the checksum of TCP or UDP. @returns false when the context points out of the frame */
  askChecksum(context: TxContext): boolean {
    return askChecksum(this.frame, context, this.inserted);
  }

  /** Insert the checksum of SCTP (RFC 9260 §6.8). @returns false when the context points out of the headers */
  sumSctp(context: TxContext): boolean {
    const start = context.macBytes + context.ipBytes + this.inserted;
    if (start + SCTP_AT.SIZE > this.bytes || start + SCTP_AT.SIZE > this.frame.length) return false;
    const field = this.at + start + SCTP_AT.checksum;
    const { u8 } = this.memory;
    u8.fill(0, field, field + 4);
    const crc = crc32cOf(this.frame, start);
    for (let i = 0; i < 4; i++) u8[field + i] = crc >>> (8 * i);
    return true;
  }

  /**
   * Ask for segmentation. Lengths, and the sum of the pseudo header, are those of the whole frame then.
   * @returns false when the headers are not what the context says, or the frame is longer than IP can say
   */
  askSegments(context: TxContext): boolean {
    const { memory, at, frame, headers } = this;
    const { transport } = context;
    if (context.segmentBytes === 0 || !this.setIpLength(context)) return false;
    // Only with its length is the packet one that can be looked into.
    parseFrame(memory.u8, at, this.bytes, headers);
    const { ip } = headers;
    if (ip.version !== (context.isIpv4 ? 4 : 6) || ip.transport === 0 || ip.transport !== transport) return false;
    if (ip.at !== context.macBytes + this.inserted || ip.payload !== ip.at + context.ipBytes) return false;
    if (ip.transportBytes !== context.transportBytes) return false;
    const length = frame.length - ip.payload;
    if (length <= ip.transportBytes) return false;
    if (ip.version === 4) this.sumIpv4(context);
    const isTcp = transport === IPPROTO.TCP;
    if (!isTcp) this.put16(ip.payload + UDP.length, length);
    const sum = pseudoHeaderSum(memory, at, ip, transport, length);
    const csumOffset = isTcp ? TCP.checksum : UDP.checksum;
    const field = at + ip.payload + csumOffset;
    memory.u8[field] = sum;
    memory.u8[field + 1] = sum >>> 8;
    frame.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
    frame.gsoType = gsoTypeOf(isTcp, context.isIpv4);
    frame.gsoSize = context.segmentBytes;
    frame.hdrLen = ip.payload + ip.transportBytes;
    frame.csumStart = ip.payload;
    frame.csumOffset = csumOffset;
    return true;
  }

  /** Drivers leave the length of a packet that is to be cut up at 0. @returns false when IP has no such length */
  private setIpLength({ isIpv4, macBytes, ipBytes }: TxContext): boolean {
    const ipAt = macBytes + this.inserted;
    const length = this.frame.length - ipAt;
    if (length > IP_BYTES_MOST || ipAt + ipBytes > this.bytes) return false;
    if (ipBytes < (isIpv4 ? IPV4.SIZE : IPV6.SIZE)) return false;
    if (isIpv4) this.put16(ipAt + IPV4.total_length, length);
    else this.put16(ipAt + IPV6.payload_length, length - IPV6.SIZE);
    return true;
  }

  private put16(at: number, value: number): void {
    const { u8 } = this.memory;
    u8[this.at + at] = value >>> 8;
    u8[this.at + at + 1] = value;
  }
}

/**
 * Ask for the checksum of TCP or UDP, whose field holds the pseudo header's sum.
 * @param inserted bytes that came in before it since the driver wrote the context
 * @returns false when the context points out of the frame
 */
export function askChecksum(frame: Frame, context: TxContext, inserted: number): boolean {
  const start = context.macBytes + context.ipBytes + inserted;
  const offset = context.transport === IPPROTO.TCP ? TCP.checksum : UDP.checksum;
  if (start + offset + 2 > frame.length) return false;
  frame.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
  frame.csumStart = start;
  frame.csumOffset = offset;
  return true;
}

function gsoTypeOf(isTcp: boolean, isIpv4: boolean): number {
  if (!isTcp) return VIRTIO_NET_HDR_GSO.UDP_L4;
  return isIpv4 ? VIRTIO_NET_HDR_GSO.TCPV4 : VIRTIO_NET_HDR_GSO.TCPV6;
}
