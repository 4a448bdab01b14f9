import { BREAK } from './breakdown.js';

/** What happened to frames of one direction of one queue pair, or of all. */
export interface NetCounters {
  txFrames: number;
  txBytes: number;
  /** Frames that found the ring full. */
  txFull: number;
  /** Frames that were on their way when a queue or the device was reset. */
  txLost: number;
  rxFrames: number;
  rxBytes: number;
  // Received frames that were given up, by reason; their buffers went back into the ring.
  /** A buffer was said to hold more than it can. */
  rxTooLong: number;
  /** Shorter than its header and an Ethernet header. */
  rxShort: number;
  /** `num_buffers` is 0, or more than the largest frame fills. */
  rxNumBuffers: number;
  /** Fewer buffers than `num_buffers` were used. */
  rxMissing: number;
  /** A buffer behind the first one is empty, or all of them hold more than the largest frame has. */
  rxMerge: number;
  /** The header asks for what must not be accepted or does not fit the frame. */
  rxOffload: number;
  interrupts: number;
  /** Interrupts that came while nobody could have one: before the driver ran, or after. */
  strayInterrupts: number;
  /** Commands that the device refused. */
  commandsRefused: number;
  /** The device's address was none for a station, and a random one took its place. */
  macReplaced: number;
  /** Times that the device was brought up again. */
  restarts: number;
  /** Per `BREAK` code. */
  readonly breaks: Float64Array;
}

export function newNetCounters(): NetCounters {
  return {
    txFrames: 0,
    txBytes: 0,
    txFull: 0,
    txLost: 0,
    rxFrames: 0,
    rxBytes: 0,
    rxTooLong: 0,
    rxShort: 0,
    rxNumBuffers: 0,
    rxMissing: 0,
    rxMerge: 0,
    rxOffload: 0,
    interrupts: 0,
    strayInterrupts: 0,
    commandsRefused: 0,
    macReplaced: 0,
    restarts: 0,
    breaks: new Float64Array(Object.keys(BREAK).length),
  };
}
