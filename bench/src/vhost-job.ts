/** What the process behind the sockets is told. */
export type ToVhostServer =
  | {
      readonly type: 'serve';
      /** One device each; one counts what it gets, several are on a switch. */
      readonly paths: readonly string[];
      readonly core: number;
      /** Length that each frame is to have. */
      readonly bytes: number;
    }
  | { readonly type: 'ask' }
  | { readonly type: 'close' };

/** Its answer, each time. */
export interface VhostServerFigures {
  /** Frames taken so far. */
  readonly frames: number;
  /** When that was, in ms of its clock. */
  readonly at: number;
  /** Memory that is no front-end's. */
  readonly ownBytes: number;
  /** What is wrong with the frames so far. */
  readonly problem: string | null;
}
