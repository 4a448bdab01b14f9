import { type HostMemory, RangeList } from '@ringwire/guest-memory';

const NO_RANGES = new RangeList(1);

/** Of a frame that nobody has to recognize: see {@link Frame.origin}. */
export const NO_ORIGIN = -1;
/** Origins are counted modulo this. */
export const ORIGIN_MASK = 0x7fff_ffff;

/** How far an origin lies behind another one; negative when it lies before it. */
export const originsBetween = (from: number, to: number): number => ((to - from) << 1) >> 1;

/**
 * A frame on its way through a device: where its bytes lie, and what is still to be done to it. One object is reused for
 * every frame, so it is good during the call that hands it on; whoever wants the frame later copies it.
 */
export class Frame {
  /** What the ranges are offsets into. */
  memory: HostMemory;
  /** Its bytes are the ranges `first` ≤ r < `end`, without the first `skip` bytes of `first`. */
  ranges: RangeList = NO_RANGES;
  first = 0;
  end = 0;
  /** Below the length of range `first`, or 0. */
  skip = 0;
  /** Bytes from the destination address on, without frame check sequence. */
  length = 0;
  /** Queue pair that it came from. */
  pair = 0;
  /**
   * Which one of a stream it is, for whoever goes on with the stream when its thread has ended: of a transmit queue, chains
   * used before it; of a cable, frames that came before it; modulo 2^31. Frames that are made of one have its origin.
   */
  origin: number = NO_ORIGIN;
  // The offload fields of virtio 1.4 §5.1.9, struct virtio_net_hdr, checked against the frame by whoever set them:
  // zero in a frame that is complete.
  flags = 0;
  gsoType = 0;
  hdrLen = 0;
  gsoSize = 0;
  csumStart = 0;
  csumOffset = 0;
  outerThOffset = 0;
  innerNhOffset = 0;

  constructor(memory: HostMemory) {
    this.memory = memory;
  }

  /** Take the offload fields away: the frame is complete as it is. */
  clearOffloads(): void {
    this.flags = 0;
    this.gsoType = 0;
    this.hdrLen = 0;
    this.gsoSize = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
    this.outerThOffset = 0;
    this.innerNhOffset = 0;
  }
}

/**
 * Frames on their way together, each in one range and complete: nothing is left to be done to them. One object is reused;
 * it is good during the call that hands it on.
 */
export class FrameRun {
  /** What the ranges are offsets into. */
  memory: HostMemory;
  /** Frame `i` is range `first` + i, for i below `count`, without its first `skip` bytes. */
  ranges: RangeList = NO_RANGES;
  first = 0;
  count = 0;
  /** Below the length of every one of these ranges. */
  skip = 0;
  /** Bytes of all frames, from the destination addresses on. */
  bytes = 0;
  /** Queue pair that they came from. */
  pair = 0;
  /**
   * All of them begin with the same 14 bytes, which somebody checked: whoever copies a frame puts these in their place, for
   * the sender may have changed its own since. As memory's words have them: the addresses in three, the type in half of one.
   */
  hasHeader = false;
  word0 = 0;
  word1 = 0;
  word2 = 0;
  type16 = 0;
  /** Of words that were read ahead of their use. It means nothing: a word that nobody keeps would not be read. */
  touched = 0;

  constructor(memory: HostMemory) {
    this.memory = memory;
  }
}
