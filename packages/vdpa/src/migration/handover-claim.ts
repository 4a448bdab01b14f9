/** The two sides of a move. */
export type MoveSide = 'source' | 'target';

/**
 * Who runs: one word that both sides ask before they touch the guest, whatever becomes of the connection between them. Messages
 * alone cannot decide it: whoever sent the last one never knows whether it arrived. Between hosts it is what they share anyway,
 * such as a file of the storage that the guest's disk lies on, made with O_EXCL.
 */
export interface HandoverClaim {
  /**
   * Have it, unless the other side has it. Asked again it answers the same.
   * @returns whether this side has it
   */
  take(side: MoveSide): boolean;
  /** The side that has it could not use it, has touched nothing, and lets the other one have it. */
  cede(side: MoveSide): void;
}

const NOBODY = 0;
const VALUE: Readonly<Record<MoveSide, number>> = { source: 1, target: 2 };

/** A claim in a word that threads share. @param words its word `at` is 0 when the move begins */
export function sharedClaim(words: Int32Array<SharedArrayBuffer>, at = 0): HandoverClaim {
  return {
    take(side) {
      const before = Atomics.compareExchange(words, at, NOBODY, VALUE[side]);
      return before === NOBODY || before === VALUE[side];
    },
    cede(side) {
      const other = side === 'source' ? VALUE.target : VALUE.source;
      Atomics.compareExchange(words, at, VALUE[side], other);
    },
  };
}
