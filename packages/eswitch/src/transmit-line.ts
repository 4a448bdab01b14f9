import { VirtioError } from '@ringwire/virtio-spec';
import type { Limit } from './limit.js';
import { BYTE_MILLIBITS } from './nanoseconds.js';

/** Bytes on the wire that wait to be sent, unless given. */
const LINE_BUFFER_BYTES = 16_384;

/**
 * What a wire has still to send: it does so at its rate, without a gap, but for pauses. Counted in whole millibits and ns.
 *
 * A frame finds room while less than the buffer waits, so that the last one may be longer than what is left. Who found
 * none is to ask again when half of it was sent: then the wire never runs dry, and not every frame costs a question.
 */
export class TransmitLine implements Limit {
  private rate = 0;
  private readonly size: number;
  private waiting = 0;
  private at = 0;
  private pausedFrom = 0;
  private pausedUntil = 0;

  /** @param buffer bytes on the wire @throws VirtioError for what is no size */
  constructor(buffer: number = LINE_BUFFER_BYTES) {
    if (!(Number.isSafeInteger(buffer) && buffer > 0))
      throw new VirtioError('buffer', buffer, 'bytes, 1 or more', 'TransmitLine');
    this.size = buffer * BYTE_MILLIBITS;
  }

  /** @param rate Mbit/s, from now on; 0: what comes is sent at once */
  setRate(rate: number, now: number): void {
    if (!(rate >= 0 && Number.isFinite(rate))) throw new VirtioError('rate', rate, 'Mbit/s, 0 or more', 'TransmitLine');
    this.settle(now);
    this.rate = rate;
    this.settle(now);
  }

  /** Nothing leaves between two times; a pause from before ends with `from`, one that was to come is forgotten. ns */
  pause(from: number, until: number, now: number): void {
    this.settle(now);
    this.pausedFrom = this.isPaused(now) ? this.pausedFrom : from;
    this.pausedUntil = until;
  }

  private isPaused(now: number): boolean {
    return now >= this.pausedFrom && now < this.pausedUntil;
  }

  readyAt(_bytes: number, now: number): number {
    this.settle(now);
    return this.waiting < this.size ? now : this.sentAt(this.waiting - this.size / 2, now);
  }

  take(bytes: number): void {
    this.waiting += bytes * BYTE_MILLIBITS;
    this.settle(this.at);
  }

  /** When so many of the millibits that wait now were sent; for the last {@link settle}'s time, or a later one. ns */
  private sentAt(millibits: number, now: number): number {
    if (millibits <= 0) return now;
    const { pausedFrom, pausedUntil } = this;
    const end = now + Math.ceil(millibits / this.rate);
    if (end <= pausedFrom || now >= pausedUntil) return end;
    return pausedUntil + (end - Math.max(now, pausedFrom));
  }

  /** What was not sent is gone. */
  clear(now: number): void {
    this.settle(now);
    this.waiting = 0;
  }

  /** Send what could be sent up to now. */
  private settle(now: number): void {
    const { at, pausedFrom, pausedUntil } = this;
    if (now > at) this.at = now;
    if (this.rate === 0) {
      this.waiting = 0;
      return;
    }
    if (now <= at || this.waiting === 0) return;
    const paused = Math.max(0, Math.min(now, pausedUntil) - Math.max(at, pausedFrom));
    this.waiting -= Math.min(this.waiting, this.rate * (now - at - paused));
  }
}
