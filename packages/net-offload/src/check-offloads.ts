import type { Frame } from '@ringwire/net-backend';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { checksumOffset } from './checksum.js';
import type { FrameHeaders, IpHeaders } from './frame-headers.js';
import { OFFLOAD_FAULT } from './offload-fault.js';
import { parseIp } from './parse-ip.js';
import { CUT, type SegmentPlan } from './segment-plan.js';
import { be16, ETHERNET, IPPROTO, IPV6_FRAGMENT, UDP } from './wire.js';

const FAULT = OFFLOAD_FAULT;
const GSO = VIRTIO_NET_HDR_GSO;
const HDR_F = VIRTIO_NET_HDR_F;
const TUNNEL_BITS = GSO.UDP_TUNNEL_IPV4 | GSO.UDP_TUNNEL_IPV6;
const TYPE_BITS = 0xff & ~(TUNNEL_BITS | GSO.ECN);

/** 64 KiB in segments of the smallest size that Linux's TCP sends, 48 bytes: what one frame may cost is bounded. */
export const MAX_SEGMENTS = 1366;

/**
 * Check a frame's offload fields against its real headers, and plan what they ask for. All of them are the driver's
 * word: hdr_len is not looked at, everything else has to agree with the bytes. virtio 1.4 §5.1.9.2.2
 * @param u8    holds the first `bytes` bytes of the frame at `base`, where they do not change any more
 * @param headers what `parseFrame` made of these bytes
 * @returns an `OFFLOAD_FAULT`; the plan means something when it is NONE
 */
export function checkOffloads(
  frame: Frame,
  u8: Uint8Array,
  base: number,
  bytes: number,
  headers: FrameHeaders,
  plan: SegmentPlan,
): number {
  plan.cut = CUT.NONE;
  if (frame.length < ETHERNET.SIZE) return FAULT.SHORT_FRAME;
  if (frame.gsoType === GSO.NONE && (frame.flags & (HDR_F.NEEDS_CSUM | HDR_F.UDP_TUNNEL_CSUM)) === 0) return FAULT.NONE;
  const fault = checkFields(frame, bytes);
  if (fault !== FAULT.NONE || frame.gsoType === GSO.NONE) return fault;
  return planSegments(frame, u8, base, bytes, headers, plan);
}

/** What can be said without the headers. */
function checkFields(frame: Frame, bytes: number): number {
  const { flags, gsoType } = frame;
  const needsCsum = (flags & HDR_F.NEEDS_CSUM) !== 0;
  const type = gsoType & TYPE_BITS;
  const tunnel = gsoType & TUNNEL_BITS;
  if (tunnel === 0) {
    if ((flags & HDR_F.UDP_TUNNEL_CSUM) !== 0) return FAULT.TUNNEL_FLAGS;
  } else {
    if (tunnel === TUNNEL_BITS || !needsCsum || (flags & HDR_F.DATA_VALID) !== 0) return FAULT.TUNNEL_FLAGS;
    if (type === GSO.NONE || type === GSO.UDP) return FAULT.TUNNEL_FLAGS;
  }
  if (needsCsum) {
    const { csumStart, csumOffset } = frame;
    if (csumStart + csumOffset + 2 > frame.length) return FAULT.CSUM_OUTSIDE;
    if (csumStart < ETHERNET.SIZE) return FAULT.CSUM_IN_ETHERNET;
    if (csumStart + csumOffset + 2 > bytes) return FAULT.CSUM_FAR;
  }
  if (gsoType === GSO.NONE) return FAULT.NONE;
  if (!isKnownType(type, (gsoType & GSO.ECN) !== 0)) return FAULT.GSO_TYPE;
  if (!needsCsum) return FAULT.GSO_WITHOUT_CSUM;
  return frame.gsoSize === 0 ? FAULT.GSO_SIZE : FAULT.NONE;
}

/** ECN is a matter of TCP. */
function isKnownType(type: number, ecn: boolean): boolean {
  if (type === GSO.TCPV4 || type === GSO.TCPV6) return true;
  return !ecn && (type === GSO.UDP || type === GSO.UDP_L4);
}

function planSegments(
  frame: Frame,
  u8: Uint8Array,
  base: number,
  bytes: number,
  headers: FrameHeaders,
  plan: SegmentPlan,
): number {
  const tunnel = frame.gsoType & TUNNEL_BITS;
  plan.outerUdp = 0;
  if (tunnel === 0) plan.ip.copy(headers.ip);
  else {
    // The tunnel's own header may be of any kind, so the inner headers are not looked for: they have to be where the
    // driver says, between the outer UDP header and the checksum.
    plan.outer.copy(headers.ip);
    plan.outerUdp = headers.ip.payload;
    if (headers.ip.transport !== IPPROTO.UDP || frame.outerThOffset !== plan.outerUdp) return FAULT.TUNNEL_HEADERS;
    if (frame.innerNhOffset < plan.outerUdp + UDP.SIZE) return FAULT.TUNNEL_HEADERS;
    parseIp(u8, base, frame.innerNhOffset, bytes, plan.ip);
    if (plan.ip.version !== (tunnel === GSO.UDP_TUNNEL_IPV4 ? 4 : 6)) return FAULT.TUNNEL_HEADERS;
  }
  if (!isOfType(frame.gsoType & TYPE_BITS, plan.ip)) return FAULT.GSO_HEADERS;
  if (frame.csumStart !== plan.ip.payload) return FAULT.GSO_HEADERS;
  if (frame.csumOffset !== checksumOffset(plan.ip.transport)) return FAULT.GSO_HEADERS;
  if (!lengthsAgree(frame, u8, base, plan.ip)) return FAULT.GSO_LENGTH;
  return planCut(frame, plan);
}

function isOfType(type: number, ip: IpHeaders): boolean {
  if (type === GSO.TCPV4) return ip.version === 4 && ip.transport === IPPROTO.TCP;
  if (type === GSO.TCPV6) return ip.version === 6 && ip.transport === IPPROTO.TCP;
  return ip.transport === IPPROTO.UDP;
}

/**
 * Every length that is about to be rewritten says what the frame has. Outer ones may be those of a segment already
 * (the note in virtio 1.4 §5.1.9.2.1) and are not asked.
 */
function lengthsAgree(frame: Frame, u8: Uint8Array, base: number, ip: IpHeaders): boolean {
  if (ip.at + ip.length !== frame.length) return false;
  return ip.transport !== IPPROTO.UDP || ip.payload + be16(u8, base + ip.payload + UDP.length) === frame.length;
}

function planCut(frame: Frame, plan: SegmentPlan): number {
  const { ip } = plan;
  let unit = frame.gsoSize;
  if ((frame.gsoType & TYPE_BITS) !== GSO.UDP) {
    plan.cut = ip.transport === IPPROTO.TCP ? CUT.TCP : CUT.UDP;
    plan.headerBytes = ip.payload + ip.transportBytes;
  } else {
    plan.cut = CUT.FRAGMENT;
    plan.headerBytes = ip.version === 4 ? ip.payload : ip.fragmentAt;
    // Fragment offsets count units of 8 bytes.
    unit &= ~7;
    if (unit === 0) return FAULT.GSO_SIZE;
    // An atomic fragment has its fragment header already.
    if (ip.version === 6 && ip.atomic) return FAULT.GSO_HEADERS;
  }
  plan.size = unit;
  // Whole numbers all the way: a division left to itself gives a number that V8 keeps on the heap.
  plan.count = Math.max(1, ((frame.length - plan.headerBytes + unit - 1) / unit) | 0);
  return plan.count > MAX_SEGMENTS ? FAULT.GSO_SIZE : FAULT.NONE;
}

/** The bytes of a frame that its largest segment has; its own when it is not to be cut up. */
export function largestSegment(frame: Frame, plan: SegmentPlan): number {
  if (plan.cut === CUT.NONE || plan.count === 1) return frame.length;
  const inserted = plan.cut === CUT.FRAGMENT && plan.ip.version === 6 ? IPV6_FRAGMENT.SIZE : 0;
  return plan.headerBytes + inserted + plan.size;
}
