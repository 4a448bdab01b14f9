import { VirtioError } from '@ringwire/virtio-spec';
import { TokenBucket } from './token-bucket.js';
import { FRAME_KIND, type FrameKind } from './transmit-gate.js';

/** Most frames of a kind that a port may send, per second; what is more is dropped. What is left out has no limit. */
export interface StormLimits {
  readonly broadcast?: number;
  readonly multicast?: number;
  /** To stations that the switch does not know. */
  readonly unknown?: number;
}

/** A rate in Mbit/s of a bucket in which a frame counts as a byte. */
const FRAMES_PER_SECOND = 8e-6;
/** A bucket holds what comes in 10 ms. */
const BURST_PART = 0.01;

/** Storm control of one port: a bucket of frames for each kind. */
export class StormControl {
  private readonly buckets: (TokenBucket | undefined)[] = [];

  /** @param now ns @throws VirtioError for what is no rate */
  constructor({ broadcast, multicast, unknown }: StormLimits, now: number) {
    const limit = (kind: FrameKind, field: string, frames: number | undefined): void => {
      if (frames === undefined) return;
      if (!(Number.isSafeInteger(frames) && frames > 0))
        throw new VirtioError(field, frames, 'frames per second, 1 or more', 'StormLimits');
      const bucket = new TokenBucket(now);
      bucket.set(frames * FRAMES_PER_SECOND, Math.max(1, Math.floor(frames * BURST_PART)), now);
      this.buckets[kind] = bucket;
    };
    limit(FRAME_KIND.BROADCAST, 'broadcast', broadcast);
    limit(FRAME_KIND.MULTICAST, 'multicast', multicast);
    limit(FRAME_KIND.UNKNOWN, 'unknown', unknown);
  }

  /** Whether so many frames of a kind may go now. */
  allows(kind: FrameKind, frames: number, now: number): boolean {
    const bucket = this.buckets[kind];
    return bucket === undefined || bucket.readyAt(frames, now) <= now;
  }

  take(kind: FrameKind, frames: number): void {
    this.buckets[kind]?.take(frames);
  }
}
