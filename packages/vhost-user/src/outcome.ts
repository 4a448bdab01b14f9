/** What became of a request: its answer's payload, nothing to say, or why it is refused. */
export type Outcome = Uint8Array | AnswerWithFile | undefined | string;

/** An answer that a descriptor goes with. It is closed here afterwards. */
interface AnswerWithFile {
  readonly payload: Uint8Array;
  readonly fd: number;
}
