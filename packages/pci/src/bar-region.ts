/** Width of an access that a region sees: naturally aligned, so that it never straddles two 4-byte registers. */
export type PieceSize = 1 | 2 | 4;

/**
 * A part of a BAR and what answers there. `at` counts from the region's start, is a multiple of `size`, and
 * `at + size` lies in the region. Handlers are called with what a guest wrote: they never throw.
 */
export interface BarRegion {
  /** Bytes from the start of the BAR; a multiple of 4. */
  readonly offset: number;
  /** Bytes; a multiple of 4. */
  readonly size: number;
  read(at: number, size: PieceSize): number;
  write(at: number, size: PieceSize, value: number): void;
}

/**
 * The next piece of an access with `left` bytes to go at `at`: the widest that is naturally aligned. An access of 8
 * bytes becomes two of 4, low one first, as a host bridge does it; one that is not aligned becomes several.
 */
export const pieceSize = (at: number, left: number): PieceSize =>
  left >= 4 && at % 4 === 0 ? 4 : left >= 2 && at % 2 === 0 ? 2 : 1;
