/**
 * How far a frame got that is cut up. Its sender keeps it, and goes on with the rest when the receiver, which had no more
 * room, has some again: one for each place where a frame may be held.
 */
export class SegmentProgress {
  /** Segments that the receiver has dealt with; 0 when the next frame is a new one. */
  done = 0;
  /** Those of them that it took. */
  taken = 0;
  /** Of IPv6 fragments: the same in all that one datagram becomes. */
  identification = 0;

  /** The frame is over, or given up: the next one is a new one. */
  forget(): void {
    this.done = 0;
    this.taken = 0;
  }
}
