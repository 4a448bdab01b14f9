/**
 * Vendor B datasheet §7: a function's native data plane, saved. Byte offsets; little-endian. Another vendor's card, and another
 * major version of this one, cannot use it.
 */
export const SAVED_STATE = {
  /** `VB_MAGIC`. */
  magic: 0,
  version: 4,
  mac: 8,
  receiveMode: 14,
  /** Completion rings, then submission rings: {@link SAVED_RING} each. */
  rings: 16,
  SIZE: 112,
} as const;

/** One ring in a saved state. */
export const SAVED_RING = {
  /** 0: there is no such ring, and the rest is zero. */
  entries: 0,
  generation: 2,
  /** Vector of a completion ring; the completion ring of a submission ring. */
  partner: 4,
  /** `RING_KIND` of a submission ring; bit 0, of a completion ring: it is armed. */
  kind: 6,
  /** Producer and consumer index. */
  produced: 8,
  consumed: 10,
  /** 48 bits behind each other: low word, then the rest. */
  address: 12,
  addressHigh: 16,
  SIZE: 24,
} as const;
