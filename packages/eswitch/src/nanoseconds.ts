/** Time and amounts inside a card, as integers: 1 Mbit/s for 1 ns is 1 millibit. */

/** Millibits of a byte. */
export const BYTE_MILLIBITS = 8000;

/** A clock's µs as whole ns. A deadline that was made of ns comes back as the same ns, for 24 days at least. */
export const nanosecondsOf = (microseconds: number): number => Math.round(microseconds * 1000);

/** Whole ns as µs; Infinity stays. */
export const microsecondsOf = (nanoseconds: number): number => nanoseconds / 1000;
