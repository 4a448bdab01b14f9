/**
 * Why a device gave one chain up. The chain's head can be trusted, so it is completed with used length 0 and the queue
 * goes on. Values are stable: they index {@link QueueCounters.chainFaults}.
 */
export const CHAIN_FAULT = {
  NONE: 0,
  /** `next` ≥ Queue Size, or ≥ the entries of the indirect table. */
  NEXT_OUT_OF_RANGE: 1,
  /** More descriptors than Queue Size: a loop, or a list longer than allowed. */
  CHAIN_TOO_LONG: 2,
  /** A byte of a buffer is outside what the device may reach, or the address needs more than 53 bits. */
  ADDRESS: 3,
  /** The buffer lengths add up to more than 2^32. */
  TOTAL_LENGTH: 4,
  /** A device-readable element behind a device-writable one. */
  READABLE_AFTER_WRITABLE: 5,
  /** INDIRECT without INDIRECT_DESC negotiated. */
  INDIRECT_NOT_NEGOTIATED: 6,
  /** INDIRECT together with NEXT, or inside a NEXT-linked list of a packed ring. */
  INDIRECT_WITH_NEXT: 7,
  /** INDIRECT inside an indirect table. */
  INDIRECT_NESTED: 8,
  /** Indirect table length 0, not a multiple of 16, or more entries than Queue Size. */
  INDIRECT_LENGTH: 9,
  /** The indirect table is (partly) out of reach. */
  INDIRECT_ADDRESS: 10,
  /** No element of the chain has a byte. */
  NO_BYTES: 11,
} as const;

/**
 * Why a device stopped using a ring: its bookkeeping cannot be trusted. The queue touches guest memory no more; the
 * device sets DEVICE_NEEDS_RESET.
 */
export const RING_FAULT = {
  NONE: 0,
  /** Split: an available ring entry ≥ Queue Size. */
  HEAD_OUT_OF_RANGE: 1,
  /** Split: a head that is in flight already was made available again. */
  HEAD_IN_FLIGHT: 2,
  /** Split: the available index moved by more than Queue Size, or backwards. */
  AVAIL_INDEX: 3,
  /** Packed: NEXT on as many slots as the ring has; the slot count of the chain cannot be told. */
  ENDLESS_CHAIN: 4,
  /** Packed: slots made available again that the device has not given back. */
  SLOTS_REUSED: 5,
  /** The ring's own memory is out of reach, or not contiguous on the host any more. */
  UNREACHABLE: 6,
} as const;

/** What a device queue counted since it started. Each fault raises exactly one element. */
export interface QueueCounters {
  /** Chains taken, faulty ones included. */
  taken: number;
  /** Used elements put. */
  used: number;
  /** Used buffer notifications that the driver was owed. */
  notifications: number;
  /** Per `CHAIN_FAULT` code. */
  readonly chainFaults: Float64Array;
  /** Per `RING_FAULT` code. */
  readonly ringFaults: Float64Array;
}

export function newQueueCounters(): QueueCounters {
  return {
    taken: 0,
    used: 0,
    notifications: 0,
    chainFaults: new Float64Array(Object.keys(CHAIN_FAULT).length),
    ringFaults: new Float64Array(Object.keys(RING_FAULT).length),
  };
}

/** The name of a `CHAIN_FAULT` or `RING_FAULT` code, for messages. */
export function faultName(table: Readonly<Record<string, number>>, code: number): string {
  return Object.keys(table).find((name) => table[name] === code) ?? `unknown (${code})`;
}
