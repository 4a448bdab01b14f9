import { DELIVERED, type Delivered, type Frame, type FrameSink, type NetBackend } from '@ringwire/net-backend';
import { OFFLOAD_FAULT, type OffloadEngine, type SegmentProgress } from '@ringwire/net-offload';
import { VIRTIO_NET_F, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { NET_DROP } from './net-drop.js';
import { ETHERNET_HEADER_BYTES, GSO_FRAME_BYTES_MAX, type NetState, VLAN_TAG_BYTES } from './net-state.js';
import { TX_STAT } from './net-statistics.js';
import type { TxQueue } from './net-tx.js';
import type { Steering } from './steering.js';
import type { TxHeader } from './tx-header.js';

const F = VIRTIO_NET_F;
const GSO = VIRTIO_NET_HDR_GSO;
const HDR_F = VIRTIO_NET_HDR_F;
const TUNNEL_BITS = GSO.UDP_TUNNEL_IPV4 | GSO.UDP_TUNNEL_IPV6;
const FAULT = OFFLOAD_FAULT;

/** What a kind of segmentation needs to have been negotiated. */
const NEEDS: readonly [type: number, feature: number][] = [
  [GSO.TCPV4, F.HOST_TSO4],
  [GSO.TCPV6, F.HOST_TSO6],
  [GSO.UDP, F.HOST_UFO],
  [GSO.UDP_L4, F.HOST_USO],
];

/** What each fault of a frame's offload fields is counted as. */
const DROP_OF: readonly number[] = dropCodes();

/**
 * Transmitted frames that ask for work: their header's fields are checked against what was negotiated and against the
 * frame; then they go to the backend as they are, or finished where it does not take that.
 */
export class TxOffload implements FrameSink {
  /** VIRTIO_NET_F_CSUM is negotiated. */
  checksums = false;
  readonly engine: OffloadEngine;
  private readonly state: NetState;
  private readonly backend: NetBackend;
  private readonly steering: Steering;
  /** gso_type without its tunnel and ECN bits, as bits: which ones may be used. */
  private types = 0;
  private flags = 0;
  private typeBits = 0;
  /** Frames and bytes that left for the frame in hand. */
  private packets = 0;
  private bytes = 0;

  constructor(state: NetState, backend: NetBackend, steering: Steering, engine: OffloadEngine) {
    this.state = state;
    this.backend = backend;
    this.steering = steering;
    this.engine = engine;
  }

  get offloads(): number {
    return this.backend.offloads;
  }

  /** The one place that says which header fields may be used. */
  start(): void {
    const { state } = this;
    this.checksums = state.has(F.CSUM);
    this.types = 0;
    for (const [type, feature] of NEEDS) if (state.has(feature)) this.types |= 1 << type;
    this.typeBits = 0x1f;
    if (state.has(F.HOST_ECN)) this.typeBits |= GSO.ECN;
    if (state.has(F.HOST_UDP_TUNNEL_GSO)) this.typeBits |= TUNNEL_BITS;
    this.flags = HDR_F.NEEDS_CSUM | HDR_F.DATA_VALID;
    if (state.has(F.HOST_UDP_TUNNEL_GSO_CSUM)) this.flags |= HDR_F.UDP_TUNNEL_CSUM;
  }

  /**
   * @param queue    that the frame is from, which counts it
   * @param progress of that queue: behind FULL the same frame comes again
   */
  send(frame: Frame, header: TxHeader, queue: TxQueue, progress: SegmentProgress): Delivered {
    const refusal = this.refusal(frame, header, queue);
    if (refusal >= 0) {
      progress.forget();
      queue.drop(refusal);
      return DELIVERED.DROPPED;
    }
    const { engine } = this;
    this.steering.learn(engine.frame);
    this.packets = 0;
    this.bytes = 0;
    const asIs = engine.counters.asIs;
    const delivered = engine.deliver(this, progress);
    if (delivered === DELIVERED.DROPPED) queue.drop(NET_DROP.TX_REFUSED);
    else this.count(frame, queue, delivered, engine.counters.asIs > asIs);
    return delivered;
  }

  /** A frame on its way from the engine to the backend. */
  receive(frame: Frame): Delivered {
    const delivered = this.backend.receive(frame);
    if (delivered === DELIVERED.ACCEPTED) {
      this.packets++;
      this.bytes += frame.length;
    }
    return delivered;
  }

  /** Take a frame into the engine. @returns -1, or the `NET_DROP` for one that cannot be sent */
  private refusal(frame: Frame, header: TxHeader, queue: TxQueue): number {
    const refusal = this.adopt(frame, header);
    if (refusal >= 0) return refusal;
    const fault = this.engine.take(frame);
    if (fault !== FAULT.NONE) return DROP_OF[fault]!;
    return this.fits(frame, queue) ? -1 : NET_DROP.TX_LONG_FRAME;
  }

  /** Take the header's fields over into the frame. @returns -1, or the `NET_DROP` for what nobody negotiated */
  private adopt(frame: Frame, header: TxHeader): number {
    const { flags, gsoType } = header;
    const tunnel = gsoType & TUNNEL_BITS;
    const type = gsoType & ~(TUNNEL_BITS | GSO.ECN);
    if ((flags & HDR_F.NEEDS_CSUM) !== 0 && !this.checksums) return NET_DROP.TX_BAD_CSUM;
    if ((flags & HDR_F.UDP_TUNNEL_CSUM & ~this.flags) !== 0) return NET_DROP.TX_BAD_TUNNEL;
    if ((gsoType & ~this.typeBits) !== 0) return NET_DROP.TX_BAD_GSO;
    if (type > GSO.UDP_L4 || (type !== GSO.NONE && ((this.types >>> type) & 1) === 0)) return NET_DROP.TX_BAD_GSO;
    frame.flags = flags & this.flags;
    frame.gsoType = gsoType;
    if (gsoType !== GSO.NONE) frame.gsoSize = header.gsoSize;
    if ((flags & HDR_F.NEEDS_CSUM) !== 0) {
      frame.csumStart = header.csumStart;
      frame.csumOffset = header.csumOffset;
    }
    if (tunnel !== 0) {
      frame.outerThOffset = header.outerThOffset;
      frame.innerNhOffset = header.innerNhOffset;
    }
    return -1;
  }

  /** virtio 1.4 §5.1.4.1: whether what comes out goes through the MTU; before it is cut up, an IP packet is the limit. */
  private fits(frame: Frame, queue: TxQueue): boolean {
    if (frame.gsoType === GSO.NONE) return queue.fits(frame);
    const ethernet = ETHERNET_HEADER_BYTES + this.engine.headers.vlanTags * VLAN_TAG_BYTES;
    return frame.length <= GSO_FRAME_BYTES_MAX && this.engine.largestSegment() <= this.state.mtu + ethernet;
  }

  /** Count what left, and the frame when all of it has: with FULL there were segments at most. */
  private count(frame: Frame, { statistics }: TxQueue, delivered: Delivered, asIs: boolean): void {
    statistics.add(TX_STAT.tx_packets, this.packets);
    statistics.add(TX_STAT.tx_bytes, this.bytes);
    const isCut = frame.gsoType !== GSO.NONE && !asIs;
    if (isCut) {
      statistics.add(TX_STAT.tx_gso_segments, this.packets);
      statistics.add(TX_STAT.tx_gso_segments_bytes, this.bytes);
    }
    if (delivered === DELIVERED.FULL) return;
    if (this.checksums) {
      const needsCsum = (frame.flags & HDR_F.NEEDS_CSUM) !== 0;
      statistics.add(needsCsum ? TX_STAT.tx_needs_csum : TX_STAT.tx_csum_none, 1);
    }
    if (frame.gsoType === GSO.NONE) return;
    statistics.add(TX_STAT.tx_gso_packets, 1);
    statistics.add(TX_STAT.tx_gso_bytes, frame.length);
    if (isCut) return;
    statistics.add(TX_STAT.tx_gso_packets_noseg, 1);
    statistics.add(TX_STAT.tx_gso_bytes_noseg, frame.length);
  }
}

function dropCodes(): number[] {
  const codes = Object.values<number>(FAULT).map((): number => NET_DROP.TX_BAD_GSO);
  for (const fault of [FAULT.CSUM_OUTSIDE, FAULT.CSUM_IN_ETHERNET, FAULT.CSUM_FAR]) codes[fault] = NET_DROP.TX_BAD_CSUM;
  for (const fault of [FAULT.TUNNEL_FLAGS, FAULT.TUNNEL_HEADERS]) codes[fault] = NET_DROP.TX_BAD_TUNNEL;
  codes[FAULT.LONG_FRAME] = NET_DROP.TX_LONG_FRAME;
  return codes;
}
