/** What became of a request: its answer's payload, nothing to say, or why it is refused. */
export type Outcome = Uint8Array | undefined | string;
