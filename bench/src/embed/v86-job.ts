/** A guest of v86's with two network cards, ours and v86's own, and what both are made to do in turns. */
export interface V86Plan {
  /** Such as `embed/v86/tx/64`. */
  readonly name: string;
  /** Frames from the guest, frames to it, or a file from one guest to another. */
  readonly task: 'tx' | 'rx' | 'tcp';
  /** Of a frame, without its check sequence; of the file. */
  readonly bytes: number;
}

/** What the process with the machines is started with. */
export interface V86Job {
  readonly plan: V86Plan;
  /** Rounds of each card. */
  readonly rounds: number;
  /** Frames of a round. */
  readonly frames: number;
}

/** One card's turn. */
export interface V86Round {
  /** Frames, or bytes of the file, per µs: million frames or megabytes per second. */
  readonly rate: number;
  /** Frames that were offered and did not come. */
  readonly lost: number;
}

/** What the process says at its end. */
export interface V86Answer {
  readonly ours: readonly V86Round[];
  readonly own: readonly V86Round[];
  /** Of the processor time while ours was at work once more: the part in code of ours. */
  readonly share: number;
  /** What was wrong with the frames or the file. */
  readonly problem: string | null;
}
