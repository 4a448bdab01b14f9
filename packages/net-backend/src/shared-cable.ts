import type { HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { type Frame, NO_ORIGIN, originsBetween } from './frame.js';
import { DELIVERED, type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend } from './net-backend.js';
import { pumpQueue } from './pump-queue.js';
import { FrameQueueReader, FrameQueueWriter, PUBLISH_FRAMES, type SharedQueuePlace } from './shared-frame-queue.js';

/** A range of host memory, zeros at first, that a cable between two threads takes. */
export interface CablePlace {
  /** Host offset, a multiple of 64. */
  readonly at: number;
  /** Half of it, less some lines, is for each direction: 64 for each frame that may wait, and the frames' bytes. */
  readonly bytes: number;
  /** Most frames that wait in each direction, a power of two from 1 to 65536. */
  readonly frames: number;
}

/** What went through one end of a cable. */
export interface CableCounters {
  /** Frames that are on their way to the other end. */
  sent: number;
  /** Frames lost because no driver runs the device at the other end. */
  noDevice: number;
  /** Frames that came from the other end, refused ones included. */
  received: number;
}

/** How an end of a cable is used. */
export interface CableOptions {
  /**
   * Every frame goes through once, also when the thread at this end is ended at any moment and another one goes on. What it
   * sends has to say its origin, its buffers are used behind {@link SharedCable.flush} alone, and what it is brought lies in
   * used buffers when it is pumped next. `frames` has to be 64 at least.
   */
  readonly exact?: boolean;
  /** Another thread was at this end, and was ended: what waits there is for the device that goes on. */
  readonly goesOn?: boolean;
}

const LINE = 64;
/** In the note of a frame whose origin is known, beside its pair. */
const HAS_ORIGIN = 1 << 30;
const PAIR = 0xffff;
/** Of the words where the thread at an end sleeps: whoever makes the threads says what is in them. */
const SPOT_BYTES = 2 * LINE;
/** Two lines of state, two spots. */
const HEAD_BYTES = 2 * LINE + 2 * SPOT_BYTES;
/** In an end's state, besides its `OFFLOAD` bits. */
const RUNS = 1 << 30;

/** Host offset of the 128 bytes in which the thread at an end of a cable may sleep. @param end 0 or 1 */
export const cableSpotAt = ({ at }: CablePlace, end: number): number => at + 2 * LINE + end * SPOT_BYTES;

/** Where frames for an end wait. */
function queueTo({ at, bytes, frames }: CablePlace, end: number): SharedQueuePlace {
  const half = Math.floor((bytes - HEAD_BYTES) / 2 / LINE) * LINE;
  return { at: at + HEAD_BYTES + end * half, bytes: half, frames };
}

/**
 * One end of a cable between devices of two threads. What one sends waits, copied, in shared memory until the other one's
 * thread brings it to its device. While that device runs and has no room, nothing more is taken; while it does not run,
 * frames are lost, as on a real cable.
 */
export class SharedCable implements NetBackend {
  readonly counters: CableCounters = { sent: 0, noDevice: 0, received: 0 };
  private readonly words: Int32Array;
  /** Element indexes of both ends' states. */
  private readonly own: number;
  private readonly other: number;
  private readonly writer: FrameQueueWriter;
  private readonly reader: FrameQueueReader;
  private readonly wake: () => void;
  private device: FrameSink | undefined = undefined;
  private runs = false;
  private shown = 0;
  /** Of `counters.sent`, when the other end was last told. */
  private flushed = 0;
  private readonly exact: boolean;
  /** The device that goes on does not run yet. */
  private goesOn: boolean;
  /** What the thread before this one sent last: until a later frame comes, they have gone through. */
  private sentBefore: FrameNote | undefined = undefined;
  private readonly last: FrameNote = { pair: -1, origin: NO_ORIGIN, ordinal: 0 };

  /**
   * @param end  0 or 1: each is for one thread
   * @param wake wakes the thread at the other end, which may sleep
   * @throws VirtioError for a place that is none
   */
  constructor(memory: HostMemory, place: CablePlace, end: 0 | 1, wake: () => void, options: CableOptions = {}) {
    if (end !== 0 && end !== 1) throw new VirtioError('end', end, '0 or 1', 'SharedCable');
    const { exact = false, goesOn = false } = options;
    if (exact && place.frames < 2 * PUBLISH_FRAMES)
      throw new VirtioError('frames', place.frames, `at least ${2 * PUBLISH_FRAMES} with exact`, 'SharedCable');
    this.exact = exact;
    this.goesOn = goesOn;
    this.writer = new FrameQueueWriter(memory, queueTo(place, 1 - end));
    this.reader = new FrameQueueReader(memory, queueTo(place, end), exact);
    const newest = exact && goesOn ? this.writer.newestWith(HAS_ORIGIN) : undefined;
    if (newest !== undefined)
      this.sentBefore = { pair: newest.note & PAIR, origin: newest.value, ordinal: newest.stamp };
    this.words = memory.i32;
    this.own = (place.at + end * LINE) >> 2;
    this.other = (place.at + (1 - end) * LINE) >> 2;
    this.wake = wake;
  }

  /** What the device at the other end takes. A frame that waited while that changed is for the device to finish. */
  get offloads(): number {
    return Atomics.load(this.words, this.other) & EVERY_OFFLOAD;
  }

  receive(frame: Frame): Delivered {
    const { counters } = this;
    if ((Atomics.load(this.words, this.other) & RUNS) === 0) {
      counters.noDevice++;
      return DELIVERED.DROPPED;
    }
    const delivered = this.exact ? this.pushOnce(frame) : this.writer.push(frame);
    if (delivered === DELIVERED.ACCEPTED) counters.sent++;
    return delivered;
  }

  /** Send a frame, unless the thread before this one did. */
  private pushOnce(frame: Frame): Delivered {
    const { last } = this;
    const { pair, origin } = frame;
    if (origin === NO_ORIGIN) return this.writer.push(frame);
    const ordinal = pair === last.pair && origin === last.origin ? last.ordinal + 1 : 0;
    const delivered = this.wasSent(pair, origin, ordinal)
      ? DELIVERED.ACCEPTED
      : this.writer.push(frame, (pair & PAIR) | HAS_ORIGIN, origin, ordinal);
    if (delivered !== DELIVERED.ACCEPTED) return delivered;
    last.pair = pair;
    last.origin = origin;
    last.ordinal = ordinal;
    return delivered;
  }

  private wasSent(pair: number, origin: number, ordinal: number): boolean {
    const { sentBefore } = this;
    if (sentBefore === undefined || sentBefore.pair !== (pair & PAIR)) return false;
    const behind = originsBetween(sentBefore.origin, origin);
    if (behind < 0 || (behind === 0 && ordinal <= sentBefore.ordinal)) return true;
    this.sentBefore = undefined;
    return false;
  }

  /** What was sent in this burst becomes visible to the other end. */
  flush(): void {
    // Frames of a long burst may have become visible before: the other end is woken for them as well.
    const { sent } = this.counters;
    if (sent === this.flushed) return;
    this.flushed = sent;
    this.writer.publish();
    this.wake();
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
    this.running(false);
  }

  running(isRunning: boolean): void {
    this.runs = isRunning && this.device !== undefined;
    if (!this.goesOn) this.reader.clear();
    else if (this.runs) this.goesOn = false;
    this.show();
  }

  pump(budget: number): number {
    const { device, reader } = this;
    if (device === undefined || !this.runs) return 0;
    this.show();
    if (this.exact) reader.release();
    const left = pumpQueue(reader, device, budget);
    if (!this.exact) reader.release();
    this.counters.received += left;
    return left;
  }

  /** Let the other end know what may be sent. */
  private show(): void {
    const state = this.runs ? RUNS | (this.device!.offloads & EVERY_OFFLOAD) : 0;
    if (state === this.shown) return;
    this.shown = state;
    Atomics.store(this.words, this.own, state);
  }
}

/** Which frame of what a device sent it is: several have one origin where a frame was cut up. */
interface FrameNote {
  pair: number;
  origin: number;
  ordinal: number;
}

/** The device at an end of a cable is no more, without a word of its own. Any thread. */
export function unplugCable(memory: HostMemory, { at }: CablePlace, end: 0 | 1): void {
  Atomics.store(memory.i32, (at + end * LINE) >> 2, 0);
}
