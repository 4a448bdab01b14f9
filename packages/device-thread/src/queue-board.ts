import { NET_DROP, RX_STAT, SHARED_COMMAND_BYTES_MAX, TX_STAT } from '@ringwire/virtio-device';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import { milliseconds, sleepWhile } from './platform.js';

/**
 * Where the control thread of a network device and its queue threads meet: 32-bit words of a SharedArrayBuffer, next to
 * the control block, which is the drivers'. What different threads write lies on different cache lines, 16 words.
 */
const LINE = 16;

/** What the control thread has all queue threads do. */
export const ORDER = {
  /** DRIVER_OK: features, then the registers of all queues. */
  START: 1,
  /** Reset or breakdown: no queue is touched any more. */
  STOP: 2,
  /** A queue came or went: its index, then its registers. */
  QUEUE: 3,
  /** Whether queues may be touched now. */
  LIVE: 4,
  /** Use up what was taken and tell of it; then no queue may be touched. */
  SUSPEND: 5,
  /** A control command: how many bytes, then class, command and data. */
  COMMAND: 6,
  /** Statistics and, as JSON, a snapshot into the thread's report. */
  REPORT: 7,
} as const;

/** Life of a queue thread. */
export const LANE = {
  STARTING: 0,
  RUNNING: 1,
  DEAD: 2,
  /** Dead, and a driver's reset asks for another one. */
  WANTED: 3,
  /** It left, because the control thread did. */
  CLOSED: 4,
} as const;

/** Words of one queue's registers in an order: enabled, size, three addresses. */
export const QUEUE_WORDS = 8;
/** Counters of a pair. */
const PAIR_COUNTERS = Object.keys(RX_STAT).length + Object.keys(TX_STAT).length;
/** JSON of a queue's snapshot, and of the rest. */
const QUEUE_TEXT_BYTES = 2048;
const TEXT_BYTES = 8192 + 64 * Object.keys(NET_DROP).length;
/** Of the flow table that all threads share. */
const FLOW_WORDS = 2 * 4096;

export interface BoardSize {
  /** Queue threads. */
  readonly lanes: number;
  /** Pairs that the device has at most. */
  readonly pairs: number;
}

/** Indexes of words. */
export interface BoardLayout extends BoardSize {
  /** Counted up by one with each order; what it is, and its data. */
  readonly sequence: number;
  readonly kind: number;
  readonly order: number;
  readonly flows: number;
  readonly flowWords: number;
  /** Of the first queue thread, and from one to the next. */
  readonly lane: number;
  readonly laneWords: number;
  readonly words: number;
}

/** Words from a queue thread's first one. */
export const LANE_WORD = {
  /** A `LANE`; whether it broke down, for the reason in its report. */
  STATE: 0,
  BROKE: 1,
  /** The last order that it carried out. */
  DONE: 16,
  /** 1 when any queue's bit is set behind it: the driver is to be notified. */
  RAISED: 32,
  RAISED_BITS: 33,
} as const;

export function boardLayout({ lanes, pairs }: BoardSize): BoardLayout {
  const upTo = (words: number): number => Math.ceil(words / LINE) * LINE;
  const order = 2 * LINE;
  const orderWords = Math.max(FEATURE_WORDS + 1 + 2 * pairs * QUEUE_WORDS, 2 + SHARED_COMMAND_BYTES_MAX / 4);
  const flows = order + upTo(orderWords);
  const lane = flows + FLOW_WORDS;
  const raised = upTo(LANE_WORD.RAISED_BITS + Math.ceil((2 * pairs) / 32)) - LANE_WORD.RAISED;
  const report = 1 + pairs * PAIR_COUNTERS * 2 + (TEXT_BYTES + 2 * pairs * QUEUE_TEXT_BYTES) / 4;
  const laneWords = LANE_WORD.RAISED + upTo(raised) + upTo(report);
  const words = lane + lanes * laneWords;
  return { lanes, pairs, sequence: 0, kind: LINE, order, flows, flowWords: FLOW_WORDS, lane, laneWords, words };
}

/** First word of a queue thread. */
export const laneAt = (layout: BoardLayout, lane: number): number => layout.lane + lane * layout.laneWords;

/** First word of a queue thread's report: its statistics, then bytes of text and the text. */
export function reportAt(layout: BoardLayout, lane: number): number {
  const bits = Math.ceil((2 * layout.pairs) / 32);
  return laneAt(layout, lane) + Math.ceil((LANE_WORD.RAISED_BITS + bits) / LINE) * LINE;
}

/** Words of statistics of both queues of all pairs, in a report. */
const statisticsWords = ({ pairs }: BoardSize): number => pairs * PAIR_COUNTERS * 2;

/** Put a text into a report. */
export function writeText(board: Int32Array, layout: BoardLayout, lane: number, text: string): void {
  const at = reportAt(layout, lane) + statisticsWords(layout);
  const room = (laneAt(layout, lane) + layout.laneWords - at - 1) * 4;
  // A text that was cut is none: whoever reads it says so.
  const bytes = new TextEncoder().encode(text);
  const count = bytes.length <= room ? bytes.length : 0;
  new Uint8Array(board.buffer, board.byteOffset + (at + 1) * 4, count).set(bytes.subarray(0, count));
  board[at] = count;
}

/** The text of a report. */
export function readText(board: Int32Array, layout: BoardLayout, lane: number): string {
  const at = reportAt(layout, lane) + statisticsWords(layout);
  // Decoders take no shared memory.
  const bytes = new Uint8Array(board.buffer, board.byteOffset + (at + 1) * 4, board[at]!).slice();
  return new TextDecoder().decode(bytes);
}

/** A queue thread, to whoever cleans up after it. */
export interface LanePlace {
  readonly board: Int32Array;
  readonly layout: BoardLayout;
  readonly lane: number;
  /** Nobody waits any more for its burst. */
  readonly leaveBus: () => void;
}

/**
 * A queue thread is no more: nobody waits for it, and the control thread finds out.
 * @param wake the control thread
 */
export function declareLaneDead({ board, layout, lane, leaveBus }: LanePlace, wake: () => void): void {
  const at = laneAt(layout, lane);
  const isFirst =
    Atomics.compareExchange(board, at + LANE_WORD.STATE, LANE.RUNNING, LANE.DEAD) === LANE.RUNNING ||
    Atomics.compareExchange(board, at + LANE_WORD.STATE, LANE.STARTING, LANE.DEAD) === LANE.STARTING;
  if (!isFirst) return;
  leaveBus();
  Atomics.notify(board, at + LANE_WORD.DONE);
  Atomics.notify(board, at + LANE_WORD.STATE);
  wake();
}

/** Wait until a queue thread has carried out an order, or is dead. @returns false when it did neither in time */
export function waitForLane(board: Int32Array, layout: BoardLayout, lane: number, order: number, ms: number): boolean {
  const at = laneAt(layout, lane);
  const end = milliseconds() + ms;
  for (;;) {
    const done = Atomics.load(board, at + LANE_WORD.DONE);
    if (done === order || Atomics.load(board, at + LANE_WORD.STATE) !== LANE.RUNNING) return true;
    const left = end - milliseconds();
    if (left <= 0) return false;
    // Whoever declares it dead changes another word, and notifies this one: a notification that came too early is found
    // within a moment.
    sleepWhile(board, at + LANE_WORD.DONE, done, Math.min(left, 20));
  }
}
