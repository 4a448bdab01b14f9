import type { HostMemory } from '@ringwire/guest-memory';
import { copyFrame, DELIVERED, type Delivered, type Frame, type FrameSink, OFFLOAD } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { checkOffloads, largestSegment } from './check-offloads.js';
import { putChecksum, putUdpChecksum, sumFrame } from './checksum.js';
import { FrameHeaders } from './frame-headers.js';
import { newOffloadCounters, OFFLOAD_FAULT, type OffloadCounters } from './offload-fault.js';
import { HEADER_BYTES, parseFrame } from './parse-frame.js';
import { CUT, SegmentPlan } from './segment-plan.js';
import type { SegmentProgress } from './segment-progress.js';
import { be16, IPV6_FRAGMENT, putBe16, TCP, TCP_FLAG, UDP } from './wire.js';
import { AwayWorkplace, Workplace } from './workplace.js';

const HDR_F = VIRTIO_NET_HDR_F;
const GSO = VIRTIO_NET_HDR_GSO;
const TUNNEL_BITS = GSO.UDP_TUNNEL_IPV4 | GSO.UDP_TUNNEL_IPV6;

/** Bytes of host memory that an {@link OffloadEngine} works in: a frame's own headers, and those of a segment. */
export const OFFLOAD_AREA_BYTES: number = 2 * HEADER_BYTES + IPV6_FRAGMENT.SIZE;

/**
 * The part of a network device that finishes frames: what a driver left to be done, and the receiver cannot take, is
 * done here. One frame at a time: {@link take} it, look at its {@link headers}, {@link deliver} it to any number of sinks.
 *
 * Headers are copied once, into memory that no driver can write; what is checked, decided on and sent is that copy. A frame
 * of another memory is copied whole, into a memory of the engine's own, which there is from the first such frame on.
 */
export class OffloadEngine {
  readonly counters: OffloadCounters = newOffloadCounters();
  /** Of the frame that was taken. Offsets count from the frame's start; its header bytes lie at {@link headersAt}. */
  readonly headers: FrameHeaders = new FrameHeaders();
  readonly #home: Workplace | undefined;
  #away: AwayWorkplace | undefined = undefined;
  /** Where the taken frame is worked on. */
  #place: Workplace;
  readonly #plan: SegmentPlan = new SegmentPlan();

  /**
   * @param memory of the frames that are not to be copied; left out: all of them are
   * @param at host offset of OFFLOAD_AREA_BYTES bytes in it that no driver can reach
   */
  constructor(memory?: HostMemory, at = 0) {
    if (memory === undefined) {
      this.#away = new AwayWorkplace(this.counters);
      this.#place = this.#away;
      return;
    }
    if (!Number.isInteger(at) || at < 0 || at + OFFLOAD_AREA_BYTES > memory.size) {
      throw new VirtioError('at', at, `${OFFLOAD_AREA_BYTES} bytes from there in the memory`, 'OffloadEngine');
    }
    this.#home = new Workplace(memory, at, this.counters);
    this.#place = this.#home;
  }

  /** The taken frame: a private copy of its headers, then the rest of its own ranges. Good until the next `take`. */
  get frame(): Frame {
    return this.#place.frame;
  }

  /** Host offset of the header bytes, in the memory of {@link frame}. */
  get headersAt(): number {
    return this.#place.headersAt;
  }

  /**
   * Take a frame in, and check its offload fields against its headers.
   * @param frame good until the last `deliver`; of its flags only NEEDS_CSUM and UDP_TUNNEL_CSUM go further
   * @returns an `OFFLOAD_FAULT`, counted; only a frame with NONE can be delivered, but `headers` hold what is there
   */
  take(frame: Frame): number {
    const own = frame.memory === this.#home?.memory ? this.#stay(this.#home, frame) : this.#bring(frame);
    if (own === undefined) {
      this.counters.faults[OFFLOAD_FAULT.LONG_FRAME]!++;
      return OFFLOAD_FAULT.LONG_FRAME;
    }
    const { headersAt, memory } = this.#place;
    const { headers } = this;
    const { u8 } = memory;
    const bytes = copyFrame(own, 0, memory, headersAt, HEADER_BYTES);
    this.#adopt(own, bytes);
    parseFrame(u8, headersAt, bytes, headers);
    const fault = checkOffloads(own, u8, headersAt, bytes, headers, this.#plan);
    if (fault !== OFFLOAD_FAULT.NONE) this.counters.faults[fault]!++;
    else if (this.#plan.cut !== CUT.NONE) this.#describe();
    return fault;
  }

  /** Bytes of the largest frame that comes out when the taken one is cut up as it asks for; its own length otherwise. */
  largestSegment(): number {
    return largestSegment(this.frame, this.#plan);
  }

  /**
   * Hand the taken frame on: as it is, if the sink takes what is still to be done; with its checksum finished; or cut up.
   * @param progress of a sender that keeps a frame of which the sink had room for some segments only (FULL): it takes the
   *                 same frame, and delivers it, again with the same `progress`. Without it the other segments are lost.
   * @returns DELIVERED as the sink says; of a frame that was cut up ACCEPTED when the sink took any segment
   */
  deliver(sink: FrameSink, progress?: SegmentProgress): Delivered {
    const { frame } = this;
    if ((this.#undone() & ~sink.offloads) === 0) {
      progress?.forget();
      const delivered = sink.receive(frame);
      if (delivered === DELIVERED.ACCEPTED) this.counters.asIs++;
      return delivered;
    }
    const plan = this.#plan;
    if (plan.cut === CUT.NONE || (plan.cut === CUT.FRAGMENT && plan.count === 1)) {
      progress?.forget();
      this.#finishChecksum();
      this.#complete();
      return sink.receive(frame);
    }
    if (plan.cut === CUT.FRAGMENT) return this.#deliverFragments(sink, progress);
    return this.#place.segmenter.run(frame, this.headersAt, plan, sink, progress);
  }

  #stay(place: Workplace, frame: Frame): Frame {
    this.#place = place;
    return frame;
  }

  #bring(frame: Frame): Frame | undefined {
    this.#away ??= new AwayWorkplace(this.counters);
    this.#place = this.#away;
    return this.#away.bring(frame);
  }

  /** Make {@link frame} the same frame with its first `bytes` bytes in our own memory. */
  #adopt(from: Frame, bytes: number): void {
    const { frame } = this;
    const { ranges } = frame;
    ranges.clear();
    ranges.push(this.headersAt, bytes);
    let skip = from.skip + bytes;
    for (let range = from.first; range < from.end; range++) {
      const length = from.ranges.length[range]!;
      if (length > skip) ranges.push(from.ranges.offset[range]! + skip, length - skip);
      skip = Math.max(0, skip - length);
    }
    frame.end = ranges.count;
    frame.length = from.length;
    frame.pair = from.pair;
    frame.origin = from.origin;
    frame.flags = from.flags & (HDR_F.NEEDS_CSUM | HDR_F.UDP_TUNNEL_CSUM);
    frame.gsoType = from.gsoType;
    frame.hdrLen = 0;
    frame.gsoSize = from.gsoSize;
    frame.csumStart = from.csumStart;
    frame.csumOffset = from.csumOffset;
    frame.outerThOffset = from.outerThOffset;
    frame.innerNhOffset = from.innerNhOffset;
  }

  /** `OFFLOAD` bits of what has to be done to the frame before it can go onto a wire. */
  #undone(): number {
    const { flags, gsoType } = this.frame;
    let work = 0;
    if ((flags & HDR_F.NEEDS_CSUM) !== 0) work |= OFFLOAD.CSUM;
    if ((flags & HDR_F.UDP_TUNNEL_CSUM) !== 0) work |= OFFLOAD.TUNNEL_CSUM;
    if ((gsoType & TUNNEL_BITS) !== 0) work |= OFFLOAD.TUNNEL;
    if ((gsoType & GSO.ECN) !== 0) work |= OFFLOAD.ECN;
    const version = this.#plan.ip.version;
    if (this.#plan.cut === CUT.TCP) work |= version === 4 ? OFFLOAD.TSO4 : OFFLOAD.TSO6;
    else if (this.#plan.cut === CUT.UDP) work |= version === 4 ? OFFLOAD.USO4 : OFFLOAD.USO6;
    else if (this.#plan.cut === CUT.FRAGMENT) work |= OFFLOAD.UFO;
    return work;
  }

  /** What a receiver is told of a frame to be cut up does not rest on what the sender told. */
  #describe(): void {
    const { frame } = this;
    const { ip, cut } = this.#plan;
    frame.hdrLen = ip.payload + ip.transportBytes;
    if (cut !== CUT.TCP) return;
    const cwr = (this.#place.memory.u8[this.headersAt + ip.payload + TCP.flags]! & TCP_FLAG.CWR) !== 0;
    if (cwr) frame.gsoType |= GSO.ECN;
  }

  #complete(): void {
    this.frame.clearOffloads();
    this.#plan.cut = CUT.NONE;
  }

  /** Fragments carry the datagram's checksum in their payload: it is finished for them, and then open as before. */
  #deliverFragments(sink: FrameSink, progress: SegmentProgress | undefined): Delivered {
    const { frame } = this;
    const { u8 } = this.#place.memory;
    const field = this.headersAt + frame.csumStart + frame.csumOffset;
    const open = be16(u8, field);
    this.#finishChecksum();
    const delivered = this.#place.segmenter.run(frame, this.headersAt, this.#plan, sink, progress);
    putBe16(u8, field, open);
    return delivered;
  }

  #finishChecksum(): void {
    const { frame } = this;
    const field = this.headersAt + frame.csumStart + frame.csumOffset;
    // The field holds the pseudo header's sum, and is summed with the rest.
    const sum = sumFrame(frame, frame.csumStart, frame.length - frame.csumStart);
    if (frame.csumOffset === UDP.checksum) putUdpChecksum(this.#place.memory.u8, field, sum);
    else putChecksum(this.#place.memory.u8, field, sum);
    this.counters.checksummed++;
  }
}

/**
 * Take one frame and hand it to one sink, finished as far as the sink needs it.
 * @returns DROPPED for a frame whose offload fields do not fit it: `engine.counters.faults` says why
 */
export function finishFrame(engine: OffloadEngine, frame: Frame, sink: FrameSink): Delivered {
  return engine.take(frame) === OFFLOAD_FAULT.NONE ? engine.deliver(sink) : DELIVERED.DROPPED;
}
