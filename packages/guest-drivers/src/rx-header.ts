import type { HostMemory } from '@ringwire/guest-memory';
import {
  VIRTIO_NET_HASH_REPORT,
  VIRTIO_NET_HDR,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VIRTIO_NET_HDR_SIZE,
} from '@ringwire/virtio-spec/net';
import type { NetOffload } from './net-offload.js';
import { type OffloadRules, segmentationType, TUNNEL_BITS } from './offload-rules.js';

const { NEEDS_CSUM, DATA_VALID, RSC_INFO, UDP_TUNNEL_CSUM } = VIRTIO_NET_HDR_F;
const { NONE, TCPV4, UDP, TCPV6, UDP_L4, ECN } = VIRTIO_NET_HDR_GSO;
const KNOWN_TYPES = (1 << TCPV4) | (1 << UDP) | (1 << TCPV6) | (1 << UDP_L4);

/** `num_buffers`, which says how many buffers a frame fills. */
export function readNumBuffers(memory: HostMemory, at: number): number {
  return memory.view.getUint16(at + VIRTIO_NET_HDR.num_buffers, true);
}

/**
 * Copy a received frame's header out of shared memory, each field once, and check the copy.
 * What was not negotiated is ignored; so are flags that mean nothing.
 * @param at     host offset of the header, rules.hdrBytes of it
 * @param length bytes of the frame
 * @param out    what may be believed of it
 * @returns false for a frame that must not be accepted, or whose offload does not fit it
 * @see virtio 1.4 §5.1.9.4.2
 */
export function readRxHeader(
  memory: HostMemory,
  at: number,
  rules: OffloadRules,
  length: number,
  out: NetOffload,
): boolean {
  const { view } = memory;
  out.clear();
  const raw = view.getUint8(at + VIRTIO_NET_HDR.flags);
  const type = view.getUint8(at + VIRTIO_NET_HDR.gso_type);
  if (rules.hashReport) readHash(memory, at, out);
  if (rules.outNetHeader) {
    const outer = view.getUint16(at + VIRTIO_NET_HDR.outer_nh_offset, true);
    if (outer < length) out.outerNhOffset = outer;
  }
  if (raw === 0 && type === NONE) return true;
  if (!isAcceptable(raw, type)) return false;
  let flags = raw & rules.receive.flags;
  // With RSC_INFO the fields of the checksum hold something else (virtio 1.4 §5.1.9.4).
  if ((raw & RSC_INFO) !== 0) flags &= ~NEEDS_CSUM;
  if ((flags & NEEDS_CSUM) !== 0) {
    const start = view.getUint16(at + VIRTIO_NET_HDR.csum_start, true);
    const offset = view.getUint16(at + VIRTIO_NET_HDR.csum_offset, true);
    if (start + offset + 2 > length) return false;
    out.csumStart = start;
    out.csumOffset = offset;
  } else flags &= ~UDP_TUNNEL_CSUM;
  out.flags = flags;
  return readSegmentation(memory, at, rules, length, type, out);
}

/** What the specification wants refused, whatever was negotiated. */
function isAcceptable(flags: number, type: number): boolean {
  const tunnel = type & TUNNEL_BITS;
  if (tunnel === 0) return (flags & (UDP_TUNNEL_CSUM | NEEDS_CSUM)) !== (UDP_TUNNEL_CSUM | NEEDS_CSUM);
  if (tunnel === TUNNEL_BITS) return false;
  return (flags & NEEDS_CSUM) !== 0 && (flags & DATA_VALID) === 0 && segmentationType(type) !== NONE;
}

function readSegmentation(
  memory: HostMemory,
  at: number,
  rules: OffloadRules,
  length: number,
  type: number,
  out: NetOffload,
): boolean {
  const base = segmentationType(type);
  if (base === NONE) return true;
  if (((KNOWN_TYPES >>> base) & 1) === 0) return false;
  const { types, typeBits } = rules.receive;
  const tunnel = type & TUNNEL_BITS;
  // Not negotiated: the frame is a plain one to the driver.
  if (((types >>> base) & 1) === 0 || (tunnel & ~typeBits) !== 0) return true;
  const { view } = memory;
  const size = view.getUint16(at + VIRTIO_NET_HDR.gso_size, true);
  if (size === 0 || (out.flags & NEEDS_CSUM) === 0) return false;
  if (tunnel !== 0) {
    const outer = view.getUint16(at + VIRTIO_NET_HDR.outer_th_offset, true);
    const inner = view.getUint16(at + VIRTIO_NET_HDR.inner_nh_offset, true);
    if (outer >= inner || inner >= out.csumStart) return false;
    out.outerThOffset = outer;
    out.innerNhOffset = inner;
  }
  out.gsoType = base | tunnel | (type & typeBits & ECN);
  out.gsoSize = size;
  out.hdrLen = Math.min(view.getUint16(at + VIRTIO_NET_HDR.hdr_len, true), length);
  return true;
}

function readHash(memory: HostMemory, at: number, out: NetOffload): void {
  const report = memory.view.getUint16(at + VIRTIO_NET_HDR.hash_report, true);
  if (report === VIRTIO_NET_HASH_REPORT.NONE || report > VIRTIO_NET_HASH_REPORT.UDPv6_EX) return;
  out.hashReport = report;
  out.hashValue = memory.view.getUint32(at + VIRTIO_NET_HDR.hash_value, true);
}

/** The longest frame that segmentation can make: 65535 bytes of IPv6 payload and its headers (virtio 1.4 §5.1.9.3). */
export const LARGEST_FRAME = 65589;
/** The largest header there is. */
export const LARGEST_HEADER: number = VIRTIO_NET_HDR_SIZE.OUT_NET_HEADER;
