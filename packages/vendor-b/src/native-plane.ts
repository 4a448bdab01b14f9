import type { AddressSpace } from '@ringwire/guest-memory';
import {
  copyFrame,
  DELIVERED,
  type Delivered,
  Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import {
  RING_KIND,
  VB_FAULT,
  VB_FRAME_MAX,
  VB_FRAME_MIN,
  VB_NO_VECTOR,
  VENDOR_B_COUNT,
  WORK_STATUS,
} from '@ringwire/nic-spec/vendor-b';
import { VIRTIO_NET_HDR_F } from '@ringwire/virtio-spec/net';
import type { CompletionRing } from './completion-ring.js';
import type { Station } from './station.js';
import type { SubmissionRing } from './submission-ring.js';
import type { VendorBCounters } from './vendor-b-counters.js';

const { ACCEPTED, FULL, DROPPED } = DELIVERED;
const { OK, BAD_LENGTH } = WORK_STATUS;
const { NEEDS_CSUM } = VIRTIO_NET_HDR_F;
const NEVER = Number.POSITIVE_INFINITY;
/** Of the EtherType, in an Ethernet header. */
const TYPE_HALFWORD = 6;
/** Until a frame is offered again that the switch had no room for, in µs. */
const RETRY = 100;

/** What the plane tells the function around it. */
interface NativeOwner {
  /** A message is due: it leaves with the function's next step, or at the end of this one. */
  interrupt(vector: number): void;
  /** A ring stopped. @param fault a `VB_FAULT` @param ring its id */
  broke(fault: number, ring: number): void;
  now(): number;
}

export interface NativeParts {
  readonly space: AddressSpace;
  readonly backend: NetBackend;
  readonly station: Station;
  readonly counters: VendorBCounters;
  readonly owner: NativeOwner;
  /** A frame without a buffer is left to its sender, rather than dropped. */
  readonly holdWhenFull: boolean;
}

/**
 * Vendor B's own data plane: work entries, completions, doorbells. It finishes no frame: it sends and receives complete ones
 * only. All DMA is in bursts of the function's address space.
 */
export class NativePlane implements FrameSink {
  readonly offloads = 0;
  /** Whether rings may be touched: bus mastering is on, the plane is in use, and nobody suspended it. */
  isLive = false;
  /** By id. */
  readonly completionRings: (CompletionRing | undefined)[];
  readonly submissionRings: (SubmissionRing | undefined)[];
  private readonly parts: NativeParts;
  private readonly frame: Frame;
  /** When a frame that waits is to be offered again, in µs. A backend that knows the time says so itself. */
  private retryAt: number = NEVER;
  private isInStep = false;
  private isSending = false;
  /** A burst is open that came outside a step. */
  private isOpen = false;

  constructor(parts: NativeParts) {
    this.parts = parts;
    this.frame = new Frame(parts.space.memory);
    this.completionRings = new Array<CompletionRing | undefined>(VENDOR_B_COUNT.COMPLETION_RINGS).fill(undefined);
    this.submissionRings = new Array<SubmissionRing | undefined>(VENDOR_B_COUNT.SUBMISSION_RINGS).fill(undefined);
  }

  /** The ring of a kind; there is at most one of each. */
  ringOf(kind: number): SubmissionRing | undefined {
    for (let id = 0; id < this.submissionRings.length; id++) {
      const ring = this.submissionRings[id];
      if (ring !== undefined && ring.kind === kind) return ring;
    }
    return undefined;
  }

  /** Forget all rings. What is at work with one of them finds it stopped. */
  reset(): void {
    for (const ring of this.submissionRings) ring?.stop();
    for (const ring of this.completionRings) ring?.stop();
    this.submissionRings.fill(undefined);
    this.completionRings.fill(undefined);
    this.retryAt = NEVER;
  }

  /**
   * Do a bounded amount of work.
   * @param budget most frames in either direction
   * @returns frames handled
   */
  step(budget: number): number {
    if (this.isInStep || !this.isLive) return 0;
    if (this.isOpen) this.flush();
    const { space, backend } = this.parts;
    space.enter();
    this.isInStep = true;
    this.retryAt = NEVER;
    const done = backend.pump(budget) + this.send(budget);
    backend.flush?.();
    this.isInStep = false;
    this.publish();
    space.leave();
    return done;
  }

  /** When {@link step} is to be called at the latest, in µs; Infinity when nothing waits. */
  deadline(): number {
    return this.isLive ? Math.min(this.retryAt, this.parts.backend.deadline?.() ?? NEVER) : NEVER;
  }

  /** The driver's doorbell of a submission ring. @returns false when it is of another generation, or there is no such ring */
  produce(id: number, index: number, generation: number): boolean {
    const ring = this.submissionRings[id];
    if (ring === undefined || ring.place.generation !== generation) return false;
    if (ring.fault !== VB_FAULT.NONE) return true;
    ring.produce(index);
    this.judge(ring);
    return true;
  }

  /** The driver's doorbell of a completion ring. @returns as {@link produce} */
  consume(id: number, index: number, generation: number, arms: boolean): boolean {
    const ring = this.completionRings[id];
    if (ring === undefined || ring.place.generation !== generation) return false;
    if (ring.fault !== VB_FAULT.NONE) return true;
    if (ring.consume(index, arms)) this.notify(ring);
    this.judge(ring);
    return true;
  }

  /** A frame for the driver, from the switch. */
  receive(frame: Frame): Delivered {
    const { counters, station } = this.parts;
    if (!this.isLive) {
      counters.stopped++;
      return DROPPED;
    }
    if (!station.wants(frame)) {
      counters.filtered++;
      return DROPPED;
    }
    this.open();
    return this.place(frame);
  }

  /**
   * Frames from the switch, as far as each lies in the first segment of the next buffer.
   * @returns how many were taken; what becomes of the next one, {@link receive} says
   */
  receiveRun(run: FrameRun): number {
    const { space, station, counters } = this.parts;
    const { memory } = space;
    if (!run.hasHeader || run.memory !== memory || !this.isLive || !station.wantsRun(run)) return 0;
    const ring = this.ringOf(RING_KIND.RECEIVE);
    if (ring === undefined) return 0;
    this.open();
    const { u32, u16, engine } = memory;
    const { skip, word0, word1, word2, type16 } = run;
    const { completions } = ring;
    const kept = this.keptIn(completions);
    let count = 0;
    for (; count < run.count && completions.room > kept && ring.peek(); count++) {
      const range = run.first + count;
      const bytes = run.ranges.length[range]! - skip;
      const to = ring.ranges.offset[0]!;
      if (ring.status !== OK || ring.ranges.length[0]! < bytes || (to & 3) !== 0) break;
      engine.copy(to, run.ranges.offset[range]! + skip, bytes);
      // What was decided on, whatever the sender made of its memory since.
      const header = to >>> 2;
      u32[header] = word0;
      u32[header + 1] = word1;
      u32[header + 2] = word2;
      u16[2 * header + TYPE_HALFWORD] = type16;
      counters.received++;
      counters.receivedBytes += bytes;
      ring.complete(OK, bytes);
    }
    return count;
  }

  /** The end of a burst that came outside a step; within one its own end is. */
  flush(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.publish();
    this.parts.space.leave();
  }

  /** Begin a burst, unless there is one. */
  private open(): void {
    if (this.isInStep || this.isOpen) return;
    this.parts.space.enter();
    this.isOpen = true;
  }

  /** A frame that is being sent needs room for its own completion. */
  private keptIn(completions: CompletionRing): number {
    return this.isSending && this.ringOf(RING_KIND.TRANSMIT)?.completions === completions ? 1 : 0;
  }

  private send(budget: number): number {
    const ring = this.ringOf(RING_KIND.TRANSMIT);
    if (ring === undefined) return 0;
    const { completions } = ring;
    let done = 0;
    this.isSending = true;
    for (; done < budget && completions.room > 0 && ring.peek(); done++) if (!this.sendFrame(ring)) break;
    this.isSending = false;
    this.judge(ring);
    return done;
  }

  /** @returns false when the frame has to wait */
  private sendFrame(ring: SubmissionRing): boolean {
    const { backend, counters, owner } = this.parts;
    const { frame } = this;
    if (ring.status === OK && (ring.bytes < VB_FRAME_MIN || ring.bytes > VB_FRAME_MAX)) ring.status = BAD_LENGTH;
    if (ring.status !== OK) {
      counters.badEntries++;
      ring.complete(ring.status, 0);
      return true;
    }
    frame.ranges = ring.ranges;
    frame.end = ring.ranges.count;
    frame.length = ring.bytes;
    const delivered = backend.receive(frame);
    if (delivered === FULL) {
      if ((backend.deadline?.() ?? NEVER) === NEVER) this.retryAt = owner.now() + RETRY;
      return false;
    }
    if (delivered === DROPPED) counters.sendDropped++;
    counters.sent++;
    counters.sentBytes += ring.bytes;
    ring.complete(OK, ring.bytes);
    return true;
  }

  private place(frame: Frame): Delivered {
    const { counters, holdWhenFull } = this.parts;
    const ring = this.ringOf(RING_KIND.RECEIVE);
    if (ring === undefined) {
      counters.stopped++;
      return DROPPED;
    }
    if ((frame.flags & NEEDS_CSUM) !== 0 || frame.gsoType !== 0) {
      counters.unfit++;
      return DROPPED;
    }
    const { completions } = ring;
    const kept = this.keptIn(completions);
    while (completions.room > kept && ring.peek()) {
      if (ring.status !== OK) {
        counters.badEntries++;
        ring.complete(ring.status, 0);
        continue;
      }
      if (ring.bytes < frame.length) {
        counters.unfit++;
        return DROPPED;
      }
      this.copyIn(frame, ring);
      return ACCEPTED;
    }
    this.judge(ring);
    if (holdWhenFull && ring.fault === VB_FAULT.NONE) return FULL;
    counters.noBuffer++;
    return DROPPED;
  }

  private copyIn(frame: Frame, ring: SubmissionRing): void {
    const { space, counters } = this.parts;
    const { offset, length } = ring.ranges;
    let at = 0;
    for (let range = 0; at < frame.length; range++)
      at += copyFrame(frame, at, space.memory, offset[range]!, Math.min(length[range]!, frame.length - at));
    counters.received++;
    counters.receivedBytes += frame.length;
    ring.complete(OK, frame.length);
  }

  private publish(): void {
    for (let id = 0; id < this.completionRings.length; id++) {
      const ring = this.completionRings[id];
      if (ring === undefined) continue;
      if (ring.publish()) this.notify(ring);
      this.judge(ring);
    }
  }

  private notify({ vector }: CompletionRing): void {
    if (vector !== VB_NO_VECTOR) this.parts.owner.interrupt(vector);
  }

  /** A ring that has just stopped is told of once: it is not there any more. */
  private judge(ring: SubmissionRing | CompletionRing): void {
    const { fault, place } = ring;
    if (fault === VB_FAULT.NONE) return;
    const rings: (SubmissionRing | CompletionRing | undefined)[] =
      'kind' in ring ? this.submissionRings : this.completionRings;
    if (rings[place.id] !== ring) return;
    rings[place.id] = undefined;
    // What completes into a ring that stopped has nowhere to go.
    for (const [id, one] of this.submissionRings.entries())
      if (one?.completions === ring) {
        one.stop();
        this.submissionRings[id] = undefined;
      }
    this.parts.owner.broke(fault, place.id);
  }
}
