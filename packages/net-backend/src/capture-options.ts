import type { CaptureClock } from './capture-clock.js';

/** What both capture writers may be told. */
export interface CaptureOptions {
  readonly clock: CaptureClock;
  /** Whole seconds since 1970 when the clock shows 0; 0 unless given. */
  readonly startSeconds?: number;
  /** Most bytes of a frame that are kept; 262144 unless given. */
  readonly snapLength?: number;
}

/** The most that libpcap keeps of a frame. */
export const MOST_CAPTURED = 262_144;
/** LINKTYPE_ETHERNET. */
export const LINKTYPE_ETHERNET = 1;

/** Takes the bytes of a capture, in order. They are good during the call: whoever keeps them copies them. */
export type CaptureOutput = (bytes: Uint8Array) => void;
