/**
 * What is kept of a device that goes on in another thread when its own ends, in host memory that no driver reaches. Bytes from
 * its start on. Whatever is written in several words is written beside what holds, and then chosen by one word.
 */
const LINE = 64;

/** In the first line. */
export const KEEP = {
  /** Which of two places has the function's state: 0 for none, 1, 2. */
  FUNCTION: 0,
  /** The state did not fit: nobody can go on with the device. */
  OVERFLOW: 4,
} as const;

/** A queue's record: the place that holds, 0 for none, 1, 2, and the two places. Words. */
export const RECORD = { PLACE: 0, FIRST: 16, SECOND: 32, WORDS: 48 } as const;

/** Words of a place. What is put and not published counts once the ring says that it is. */
export const STAND = {
  /** Where used elements have been published up to: a split ring's index; of a packed ring the slot, and its wrap counter. */
  POSITION: 0,
  WRAP: 1,
  /** Put since: by how much the position moves on (elements, slots), and chains. */
  PUT: 2,
  PUT_CHAINS: 3,
  /** Chains used, modulo 2^31. */
  CHAINS: 4,
  /** Receive queues: origin of the last frame in used buffers, -1 for none, and how many frames of that origin there were. */
  FRAME: 5,
  PARTS: 6,
  /** The same once what was put is published. */
  PUT_FRAME: 7,
  PUT_PARTS: 8,
  WORDS: 9,
} as const;

/** A function's state has its length in front of it. */
const STATE_HEAD = LINE;
/** Without what each queue and vector adds. */
const STATE_BYTES = 0x1_0000;
const STATE_QUEUE_BYTES = 512;
const DESC_BYTES = 16;

/** Host offsets. */
export interface KeepLayout {
  readonly at: number;
  readonly bytes: number;
  /** Of the two places of a function's state, and how long it may be. */
  readonly states: readonly [number, number];
  readonly stateBytes: number;
  /** By queue: its record; and room for as many descriptors as it may have. */
  readonly records: readonly number[];
  readonly descriptors: readonly number[];
}

/** @param at a multiple of 64 */
export function keepLayout(at: number, queueSizes: readonly number[]): KeepLayout {
  let end = at;
  const put = (bytes: number): number => {
    const start = end;
    end += Math.ceil(bytes / LINE) * LINE;
    return start;
  };
  put(LINE);
  const stateBytes = STATE_BYTES + queueSizes.length * STATE_QUEUE_BYTES;
  const states = [put(STATE_HEAD + stateBytes), put(STATE_HEAD + stateBytes)] as const;
  const records = queueSizes.map(() => put(RECORD.WORDS * 4));
  const descriptors = queueSizes.map((size) => put(size * DESC_BYTES));
  return { at, bytes: end - at, states, stateBytes, records, descriptors };
}

/** Where a state begins behind its length. */
export const stateAt = (place: number): number => place + STATE_HEAD;
