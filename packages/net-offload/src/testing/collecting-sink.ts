import { DELIVERED, type Delivered, type Frame, type FrameSink, frameBytes } from '@ringwire/net-backend';

/** What a frame was when it was received. */
export interface CollectedFrame {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly hdrLen: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  readonly outerThOffset: number;
  readonly innerNhOffset: number;
  readonly pair: number;
  /** Host offset of each range. */
  readonly offsets: readonly number[];
}

/** Keeps a copy of every frame that it takes. */
export class CollectingSink implements FrameSink {
  readonly offloads: number;
  readonly frames: CollectedFrame[] = [];
  /** Answers to the first frames; ACCEPTED to all that follow. */
  readonly answers: Delivered[];

  constructor(offloads = 0, answers: Delivered[] = []) {
    this.offloads = offloads;
    this.answers = answers;
  }

  get bytes(): Uint8Array[] {
    return this.frames.map(({ bytes }) => bytes);
  }

  receive(frame: Frame): Delivered {
    const answer = this.answers.shift() ?? DELIVERED.ACCEPTED;
    if (answer !== DELIVERED.ACCEPTED) return answer;
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, outerThOffset, innerNhOffset, pair } = frame;
    const offsets = [...frame.ranges.offset.subarray(frame.first, frame.end)];
    this.frames.push({
      bytes: frameBytes(frame),
      flags,
      gsoType,
      gsoSize,
      hdrLen,
      csumStart,
      csumOffset,
      outerThOffset,
      innerNhOffset,
      pair,
      offsets,
    });
    return answer;
  }
}
