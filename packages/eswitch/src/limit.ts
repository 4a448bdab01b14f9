/** Something that frames have to get past: a rate, or room on a wire. Times are whole ns. */
export interface Limit {
  /**
   * When so many bytes may pass: `now`, or when to ask again.
   * @param bytes on the wire
   */
  readyAt(bytes: number, now: number): number;
  /** So many bytes pass, at the time of the last {@link readyAt}. */
  take(bytes: number): void;
}

/** Nothing has to wait. */
export const UNLIMITED: Limit = { readyAt: (_bytes, now) => now, take: () => {} };
