import type { HostMemory } from '@ringwire/guest-memory';
import { VIRTIO_NET_HDR, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO, VirtioError } from '@ringwire/virtio-spec';
import type { NetOffload } from './net-offload.js';
import { type OffloadRules, segmentationType, TUNNEL_BITS } from './offload-rules.js';

const { NEEDS_CSUM, UDP_TUNNEL_CSUM } = VIRTIO_NET_HDR_F;
const { NONE, TCPV4, TCPV6, UDP, UDP_TUNNEL_IPV4, ECN } = VIRTIO_NET_HDR_GSO;
const HERE = 'virtio 1.4 §5.1.9.2.1';
const UDP_BYTES = 8;
const UDP_CHECKSUM = 6;
const TCP_DATA_OFFSET = 12;
const TCP_FLAGS = 13;
const TCP_CWR = 0x80;

/** The frame that is to be sent, as far as a header's rules are about its bytes. */
export interface FrameBytes {
  /** One byte; 0 past the end. */
  byteAt(offset: number): number;
}

/**
 * Write the header of a frame that is complete. @param at host offset, rules.hdrBytes of it
 * @param length bytes of the frame
 */
export function writePlainHeader(memory: HostMemory, at: number, rules: OffloadRules, length: number): void {
  memory.engine.fill(at, 0, rules.hdrBytes);
  // Not less than the headers, whatever they are: all of the frame (virtio 1.4 §5.1.9.2.1).
  if (rules.transmit.types !== 0) memory.view.setUint16(at + VIRTIO_NET_HDR.hdr_len, Math.min(length, 0xffff), true);
}

/**
 * Write the header of a frame that the device is to finish.
 * Flags that only mean something for received frames are left out, so that what was received can be sent on.
 * @throws VirtioError when the sender asks for what was not negotiated, or for what does not fit the frame
 * @see virtio 1.4 §5.1.9.2.1
 */
export function writeTxHeader(
  memory: HostMemory,
  at: number,
  rules: OffloadRules,
  offload: NetOffload,
  length: number,
  frame: FrameBytes,
): void {
  writePlainHeader(memory, at, rules, length);
  const { view } = memory;
  const { flags, gsoType, outerNhOffset } = offload;
  if (rules.outNetHeader && outerNhOffset !== 0)
    view.setUint16(at + VIRTIO_NET_HDR.outer_nh_offset, outerNhOffset, true);
  const wanted = flags & (NEEDS_CSUM | UDP_TUNNEL_CSUM);
  if (wanted === 0 && gsoType === NONE) return;
  checkFlags(rules, offload, length);
  view.setUint8(at + VIRTIO_NET_HDR.flags, wanted);
  view.setUint16(at + VIRTIO_NET_HDR.csum_start, offload.csumStart, true);
  view.setUint16(at + VIRTIO_NET_HDR.csum_offset, offload.csumOffset, true);
  if (gsoType === NONE) return;
  checkSegmentation(rules, offload);
  const hdrLen = headerEnd(offload, frame);
  if (hdrLen > length) throw new VirtioError('hdr_len', hdrLen, `at most the frame's ${length} bytes`, HERE);
  view.setUint8(at + VIRTIO_NET_HDR.gso_type, gsoType | ecnBit(rules, offload, frame));
  view.setUint16(at + VIRTIO_NET_HDR.hdr_len, hdrLen, true);
  view.setUint16(at + VIRTIO_NET_HDR.gso_size, offload.gsoSize, true);
  if ((gsoType & TUNNEL_BITS) === 0) return;
  checkTunnel(offload, frame);
  view.setUint16(at + VIRTIO_NET_HDR.outer_th_offset, offload.outerThOffset, true);
  view.setUint16(at + VIRTIO_NET_HDR.inner_nh_offset, offload.innerNhOffset, true);
}

function checkFlags(rules: OffloadRules, offload: NetOffload, length: number): void {
  const { flags, gsoType, csumStart, csumOffset } = offload;
  if ((flags & NEEDS_CSUM) === 0) throw new VirtioError('flags', flags, 'NEEDS_CSUM with the others', HERE);
  if ((rules.transmit.flags & NEEDS_CSUM) === 0) throw new VirtioError('flags', flags, 'CSUM negotiated', HERE);
  if ((flags & UDP_TUNNEL_CSUM) !== 0) {
    if ((rules.transmit.flags & UDP_TUNNEL_CSUM) === 0)
      throw new VirtioError('flags', flags, 'HOST_UDP_TUNNEL_GSO_CSUM negotiated', HERE);
    if ((gsoType & TUNNEL_BITS) === 0) throw new VirtioError('flags', flags, 'a tunnel bit in gso_type with it', HERE);
  }
  if (csumStart + csumOffset + 2 > length)
    throw new VirtioError('csum_offset', csumOffset, `a field inside the frame's ${length} bytes`, HERE);
}

function checkSegmentation(rules: OffloadRules, offload: NetOffload): void {
  const { gsoType, gsoSize } = offload;
  const base = segmentationType(gsoType);
  if (((rules.transmit.types >>> base) & 1) === 0)
    throw new VirtioError('gso_type', gsoType, 'a type whose HOST feature is negotiated', HERE);
  if ((gsoType & (TUNNEL_BITS | ECN) & ~rules.transmit.typeBits) !== 0)
    throw new VirtioError('gso_type', gsoType, 'only bits whose HOST feature is negotiated', HERE);
  if ((gsoType & ECN) !== 0 && !isTcp(offload)) throw new VirtioError('gso_type', gsoType, 'ECN with TCP only', HERE);
  if (gsoSize === 0) throw new VirtioError('gso_size', gsoSize, 'the payload of a segment, 1 or more bytes', HERE);
}

function checkTunnel(offload: NetOffload, frame: FrameBytes): void {
  const { flags, gsoType, outerThOffset, innerNhOffset, csumStart } = offload;
  if ((gsoType & TUNNEL_BITS) === TUNNEL_BITS) throw new VirtioError('gso_type', gsoType, 'one tunnel bit', HERE);
  if (segmentationType(gsoType) === UDP) throw new VirtioError('gso_type', gsoType, 'UDP_L4 in a tunnel', HERE);
  if (!(outerThOffset > 0 && outerThOffset < innerNhOffset && innerNhOffset < csumStart))
    throw new VirtioError('inner_nh_offset', innerNhOffset, `one between ${outerThOffset} and ${csumStart}`, HERE);
  const version = frame.byteAt(innerNhOffset) >>> 4;
  if (version !== ((gsoType & UDP_TUNNEL_IPV4) !== 0 ? 4 : 6))
    throw new VirtioError('gso_type', gsoType, `the tunnel bit of IP version ${version}, the inner one`, HERE);
  if ((flags & UDP_TUNNEL_CSUM) !== 0) return;
  // A complete checksum would have to be that of every segment: this driver takes 0 alone.
  const sum = (frame.byteAt(outerThOffset + UDP_CHECKSUM) << 8) | frame.byteAt(outerThOffset + UDP_CHECKSUM + 1);
  if (sum !== 0) throw new VirtioError('outer UDP checksum', sum, '0 without UDP_TUNNEL_CSUM', HERE);
}

/** The ECN bit for a TCP frame whose CWR flag is set: a device that was not told of it would copy it into all segments. */
function ecnBit(rules: OffloadRules, offload: NetOffload, frame: FrameBytes): number {
  if (!isTcp(offload) || (frame.byteAt(offload.csumStart + TCP_FLAGS) & TCP_CWR) === 0) return 0;
  if ((rules.transmit.typeBits & ECN) !== 0) return ECN;
  throw new VirtioError('gso_type', offload.gsoType, 'HOST_ECN negotiated for a frame with CWR', HERE);
}

function isTcp({ gsoType }: NetOffload): boolean {
  const base = segmentationType(gsoType);
  return base === TCPV4 || base === TCPV6;
}

/** Bytes up to the payload of the innermost transport header, from its own length field. */
function headerEnd(offload: NetOffload, frame: FrameBytes): number {
  const { csumStart } = offload;
  if (!isTcp(offload)) return csumStart + UDP_BYTES;
  return csumStart + (frame.byteAt(csumStart + TCP_DATA_OFFSET) >>> 4) * 4;
}
