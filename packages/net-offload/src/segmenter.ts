import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink } from '@ringwire/net-backend';
import { VIRTIO_NET_HDR_F } from '@ringwire/virtio-spec/net';
import { writeFragmentHeaders } from './fragment-headers.js';
import type { OffloadCounters } from './offload-fault.js';
import { PieceCursor } from './piece-cursor.js';
import { writeSegmentHeaders } from './segment-headers.js';
import { CUT, type SegmentPlan } from './segment-plan.js';
import type { SegmentProgress } from './segment-progress.js';
import { be16, UDP } from './wire.js';

/**
 * Cuts frames up and hands the segments on, one after the other: each is fresh headers and ranges of the frame's own
 * payload, so nothing but headers is copied.
 */
export class Segmenter {
  readonly #memory: HostMemory;
  readonly #at: number;
  readonly #segment: Frame;
  readonly #cursor: PieceCursor = new PieceCursor();
  readonly #counters: OffloadCounters;
  /** Of the last IPv6 datagram that was cut into fragments. */
  #lastIdentification = 0;

  /** @param at host offset where segments' headers are made: room for the longest headers and 8 bytes */
  constructor(memory: HostMemory, at: number, counters: OffloadCounters) {
    this.#memory = memory;
    this.#at = at;
    this.#segment = new Frame(memory);
    this.#segment.ranges = new RangeList(32);
    this.#counters = counters;
  }

  /**
   * Cut a frame up.
   * @param frame whose first range begins with the headers, at `base`, where nobody changes them meanwhile
   * @param plan  what `checkOffloads` made of it; `cut` is not NONE
   * @param progress where to begin; and behind FULL how far it got, for the same frame's next run
   * @returns ACCEPTED when the sink took a segment; FULL or DROPPED, as the sink said, when it took none. Behind FULL no
   *          segment is tried any more: with `progress` FULL is the answer whatever the sink took before, without it those
   *          that are left are lost.
   */
  run(frame: Frame, base: number, plan: SegmentPlan, sink: FrameSink, progress?: SegmentProgress): Delivered {
    const { u8 } = this.#memory;
    const outerChecksum =
      plan.outerUdp !== 0 &&
      ((frame.flags & VIRTIO_NET_HDR_F.UDP_TUNNEL_CSUM) !== 0 || be16(u8, base + plan.outerUdp + UDP.checksum) !== 0);
    const segment = this.#segment;
    segment.pair = frame.pair;
    segment.origin = frame.origin;
    // Between two runs whoever wrote the frame may have made a shorter one of it.
    const from = Math.min(progress?.done ?? 0, plan.count);
    if (from === 0) this.#lastIdentification = (this.#lastIdentification + 1) >>> 0;
    const identification = from === 0 ? this.#lastIdentification : progress!.identification;
    this.#cursor.start(frame, plan.headerBytes + from * plan.size);
    let left = frame.length - plan.headerBytes - from * plan.size;
    let sent = from === 0 ? 0 : progress!.taken;
    let last: Delivered = DELIVERED.DROPPED;
    for (let index = from; index < plan.count; index++) {
      const bytes = Math.min(plan.size, left);
      left -= bytes;
      this.#build(frame, base, plan, index, bytes, outerChecksum, identification);
      last = sink.receive(segment);
      if (last === DELIVERED.ACCEPTED) sent++;
      if (last !== DELIVERED.FULL) continue;
      if (progress === undefined) break;
      progress.done = index;
      progress.taken = sent;
      progress.identification = identification;
      return last;
    }
    progress?.forget();
    if (sent === 0) return last;
    this.#counters.segmented++;
    this.#counters.segments += sent;
    this.#counters.segmentsLost += Math.max(0, plan.count - sent);
    return DELIVERED.ACCEPTED;
  }

  #build(
    frame: Frame,
    base: number,
    plan: SegmentPlan,
    index: number,
    bytes: number,
    outerChecksum: boolean,
    identification: number,
  ): void {
    const memory = this.#memory;
    const at = this.#at;
    const segment = this.#segment;
    const { ranges } = segment;
    // The header's range is pushed first and gets its length when the headers are made, which takes the payload's sum.
    ranges.clear();
    ranges.push(at, 0);
    this.#cursor.take(frame, bytes, ranges);
    memory.engine.copy(at, base, plan.headerBytes);
    let headerBytes = plan.headerBytes;
    if (plan.cut === CUT.FRAGMENT) {
      headerBytes = writeFragmentHeaders(memory, at, plan, index, bytes, identification);
    } else writeSegmentHeaders(memory, at, plan, index, bytes, this.#cursor.sum, outerChecksum);
    ranges.length[0] = headerBytes;
    segment.end = ranges.count;
    segment.length = headerBytes + bytes;
  }
}
