import type { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, type Frame, FrameQueue } from '@ringwire/net-backend';
import { BYTE_MILLIBITS } from '../nanoseconds.js';
import { type PauseFrames, quantaMillibits } from './mac-control.js';
import { wireBytes } from './wire-bytes.js';
import { type MediumLane, NEVER } from './wire-medium.js';

/** A PAUSE that was sent, and how many frames were before it. */
interface SentPause {
  readonly quanta: number;
  behind: number;
  readonly endNs: number;
}

/** Of frames in a lane: what an arbiter lets through at once, and the segments of the largest frames. */
export const LANE_BYTES = 0x4_0000;
const LANE_FRAMES = 4096;
const NO_PAUSE = -1;
/** Bytes on the wire of the shortest frame, which a PAUSE is. */
const PAUSE_COST = wireBytes(1, 0);

/**
 * Frames on their way into one direction of a wire, each as long as its bytes take at the wire's rate. A frame that has
 * begun ends; a PAUSE of one's own goes before all that wait, also while others are paused. IEEE 802.3 annex 31B.3
 */
export class WireLane implements MediumLane {
  startNs = 0;
  startPart = 0;
  /** Bytes on the wire of the frames that have not ended. */
  backlog = 0;
  /** How long a frame is on the cable behind its end, in ns. */
  delay = 0;
  /** When the frame of {@link peek} ended, in ns with a fraction: its last bit is at the other end after {@link delay}. */
  endedAt = 0;
  private readonly pauses: PauseFrames;
  private readonly queue: FrameQueue;
  /** Of each frame in the queue: its bytes on the wire, when it came, and when it ended. */
  private readonly cost: Float64Array = new Float64Array(LANE_FRAMES);
  private readonly cameAt: Float64Array = new Float64Array(LANE_FRAMES);
  private readonly endNs: Float64Array = new Float64Array(LANE_FRAMES);
  /** Index of the oldest frame, and how many from there on have ended. */
  private first = 0;
  private ended = 0;
  private taken = 0;
  /** Somebody has what {@link peek} found: it stays until {@link drop}, whatever happens to the link meanwhile. */
  private isInHand = false;
  private wantedPause = NO_PAUSE;
  private wantedAt = 0;
  private isPauseNext = false;
  /** The time of the PAUSE that has begun. */
  private sendingPause = NO_PAUSE;
  private readonly sentPauses: SentPause[] = [];
  /** Nothing but PAUSE begins from one time until another. */
  private pausedFrom = 0;
  private pausedUntilNs = 0;
  private pausedUntilPart = 0;

  /** @param at host offset of LANE_BYTES @param pauses its own ones */
  constructor(memory: HostMemory, at: number, pauses: PauseFrames) {
    this.queue = new FrameQueue(memory, at, LANE_BYTES, LANE_FRAMES);
    this.pauses = pauses;
  }

  /** Frames in it, ended or not. */
  get count(): number {
    return this.queue.count;
  }

  /** @param cost bytes on the wire @param now ns */
  push(frame: Frame, cost: number, now: number): Delivered {
    const { queue } = this;
    const index = (this.first + queue.count) % LANE_FRAMES;
    const delivered = queue.push(frame);
    if (delivered !== DELIVERED.ACCEPTED) return delivered;
    this.cost[index] = cost;
    this.cameAt[index] = now;
    this.backlog += cost;
    return delivered;
  }

  /** Have a PAUSE sent: the last one that is wanted before any begins. @param quanta 0 to 65535 */
  sendPause(quanta: number, now: number): void {
    if (this.wantedPause === NO_PAUSE) this.wantedAt = now;
    this.wantedPause = quanta;
  }

  /** The other end said PAUSE. @param quanta from now on; 0: go on @param rate Mbit/s */
  pause(quanta: number, rate: number, now: number): void {
    const isPaused = now >= this.pausedFrom && now < this.pausedUntilNs;
    if (!isPaused) this.pausedFrom = now;
    const millibits = quantaMillibits(quanta);
    this.pausedUntilPart = millibits % rate;
    this.pausedUntilNs = now + (millibits - this.pausedUntilPart) / rate;
  }

  /** When the pause ends, in whole ns; a time that has been when there is none. */
  get pausedUntil(): number {
    return this.pausedUntilPart > 0 ? this.pausedUntilNs + 1 : this.pausedUntilNs;
  }

  /** The oldest frame that is at the other end by `now`, in an object that is reused; undefined when there is none. */
  peek(now: number): Frame | undefined {
    const endedAt = this.nextEnd();
    if (endedAt + this.delay > now) return undefined;
    this.endedAt = endedAt;
    this.isInHand = true;
    const { pauseTime } = this;
    return pauseTime === NO_PAUSE ? this.queue.peek() : this.pauses.of(pauseTime);
  }

  /** When {@link peek} finds a frame, in whole ns; NEVER when none has ended. */
  deadline(): number {
    return Math.ceil(this.nextEnd() + this.delay);
  }

  /** Take it away. */
  drop(): void {
    this.isInHand = false;
    if (this.pauseTime !== NO_PAUSE) {
      this.sentPauses.shift();
      return;
    }
    this.queue.drop();
    this.first = (this.first + 1) % LANE_FRAMES;
    this.ended--;
    this.taken++;
  }

  /** The time of the oldest frame that has ended, if it is a PAUSE; -1 for any other. */
  get pauseTime(): number {
    const pause = this.sentPauses[0];
    return pause !== undefined && pause.behind === this.taken ? pause.quanta : NO_PAUSE;
  }

  /** Everything is gone, but for what is in somebody's hand. @returns frames that are gone */
  clear(): number {
    const { queue, sentPauses } = this;
    const { count } = queue;
    const isPause = this.isInHand && this.pauseTime !== NO_PAUSE;
    const kept = this.isInHand && !isPause ? 1 : 0;
    if (kept === 1) queue.keepOldest();
    else queue.clear();
    sentPauses.length = isPause ? 1 : 0;
    if (isPause) sentPauses[0]!.behind = 0;
    this.ended = kept;
    this.taken = 0;
    this.backlog = 0;
    this.wantedPause = NO_PAUSE;
    this.sendingPause = NO_PAUSE;
    this.pausedUntilNs = 0;
    this.pausedUntilPart = 0;
    return count - kept;
  }

  findStart(ns: number, part: number): void {
    this.isPauseNext = false;
    this.startNs = NEVER;
    this.startPart = 0;
    if (this.ended < this.queue.count) {
      this.startBehind(this.cameAt[(this.first + this.ended) % LANE_FRAMES]!, ns, part);
      if (this.startNs >= this.pausedFrom && this.isBeforePauseEnd()) {
        this.startNs = this.pausedUntilNs;
        this.startPart = this.pausedUntilPart;
      }
    }
    if (this.wantedPause === NO_PAUSE) return;
    const { startNs, startPart } = this;
    this.startBehind(this.wantedAt, ns, part);
    this.isPauseNext = this.startNs < startNs || (this.startNs === startNs && this.startPart <= startPart);
    if (this.isPauseNext) return;
    this.startNs = startNs;
    this.startPart = startPart;
  }

  begin(): number {
    if (!this.isPauseNext) return this.cost[(this.first + this.ended) % LANE_FRAMES]! * BYTE_MILLIBITS;
    this.sendingPause = this.wantedPause;
    this.wantedPause = NO_PAUSE;
    return PAUSE_COST * BYTE_MILLIBITS;
  }

  end(endNs: number): void {
    if (this.sendingPause !== NO_PAUSE) {
      this.sentPauses.push({ quanta: this.sendingPause, behind: this.taken + this.ended, endNs });
      this.sendingPause = NO_PAUSE;
      return;
    }
    const index = (this.first + this.ended) % LANE_FRAMES;
    this.endNs[index] = endNs;
    this.backlog -= this.cost[index]!;
    this.ended++;
  }

  /** When the oldest frame that has ended did so. */
  private nextEnd(): number {
    if (this.pauseTime !== NO_PAUSE) return this.sentPauses[0]!.endNs;
    return this.ended === 0 ? NEVER : this.endNs[this.first]!;
  }

  /** The later one of a time and the end of what is before. */
  private startBehind(at: number, ns: number, part: number): void {
    const isLater = at > ns;
    this.startNs = isLater ? at : ns;
    this.startPart = isLater ? 0 : part;
  }

  private isBeforePauseEnd(): boolean {
    if (this.startNs !== this.pausedUntilNs) return this.startNs < this.pausedUntilNs;
    return this.startPart < this.pausedUntilPart;
  }
}
