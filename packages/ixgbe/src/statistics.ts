import type { FrameFacts } from './frame-facts.js';

const CRC_BYTES = 4;
/** Upper bounds of the size classes that frames are counted in, with check sequence. 82599 datasheet §8.2.3.23 */
const SIZES: readonly number[] = [64, 127, 255, 511, 1023, Number.POSITIVE_INFINITY];

/** Counts of one direction, as exact numbers; registers show their lower bits. */
export class DirectionCounts {
  frames = 0;
  /** With check sequences. */
  bytes = 0;
  multicast = 0;
  broadcast = 0;
  /** By size class: 64 bytes, 65 to 127, …, 1024 and more. */
  readonly sizes: Float64Array = new Float64Array(SIZES.length);

  /** @param bytes of each, without check sequence @param frames of that length */
  count(bytes: number, isGroup: boolean, isBroadcast: boolean, frames: number): void {
    const whole = bytes + CRC_BYTES;
    this.frames += frames;
    this.bytes += whole * frames;
    if (isBroadcast) this.broadcast += frames;
    else if (isGroup) this.multicast += frames;
    let size = 0;
    while (whole > SIZES[size]!) size++;
    this.sizes[size]! += frames;
  }
}

/** Counts of the whole card: of all its functions. */
export class CardStatistics {
  readonly rx: DirectionCounts = new DirectionCounts();
  /** Frames and bytes sent: what they are is known to the switch. */
  txFrames = 0;
  txBytes = 0;
  /** Frames given up for want of a descriptor, or of a queue. */
  missed = 0;
  /** Longer than MAXFRS, and shorter than a header. */
  oversize = 0;
  undersize = 0;
  /** Queues that were stopped because of what was in them. */
  misbehaviors = 0;
  /** Settings that the switch refused. */
  refusedSettings = 0;
}

/** Counts of one virtual function: they wrap, and no reset clears them. 82599 datasheet §8.3 */
export class FunctionStatistics {
  rxFrames = 0;
  rxBytes = 0;
  rxMulticast = 0;
  txFrames = 0;
  txBytes = 0;
  /** Frames given up for want of a descriptor, a queue, or leave to receive. */
  missed = 0;
  /** Queues that were stopped because of what was in them. */
  misbehaviors = 0;

  /** @param bytes of each, without check sequence @param frames of that length */
  received(bytes: number, facts: FrameFacts, frames: number): void {
    this.rxFrames += frames;
    this.rxBytes += (bytes + CRC_BYTES) * frames;
    if (facts.isGroup && !facts.isBroadcast) this.rxMulticast += frames;
  }

  transmitted(frames: number, bytes: number): void {
    this.txFrames += frames;
    this.txBytes += bytes + frames * CRC_BYTES;
  }
}
