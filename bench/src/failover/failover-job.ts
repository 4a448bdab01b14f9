import type { LinkPlace } from '@ringwire/device-thread';
import type { WasmMemory } from '@ringwire/guest-memory';
import type { Layout, Timing } from '../case-plan.js';
import type { FrameFaults } from '../frame-check.js';
import type { Round } from '../worker-job.js';
import type { FailoverDriver } from './failover-layout.js';

/** What the guest's worker and whoever has the device tell each other by words: see `failover-worker.ts`. */
export const FAILOVER_WORD = {
  /** Takeovers so far. */
  TAKEOVERS: 0,
  /** 1 while another thread stands by. */
  PROTECTED: 16,
} as const;
const WORDS = 32;
export const newFailoverWords = (): Int32Array => new Int32Array(new SharedArrayBuffer(WORDS * 4));

/** What a guest's worker is to do: end threads and measure gaps, or measure a rate. */
export type FailoverTask =
  | { readonly type: 'gaps'; readonly kills: number }
  | { readonly type: 'rate'; readonly timing: Timing };

export interface FailoverJob {
  readonly layout: Layout;
  readonly driver: FailoverDriver;
  readonly task: FailoverTask;
  readonly place: LinkPlace;
  readonly memory: WasmMemory;
  readonly words: Int32Array;
}

/** Pauses in ms: for each, the longest time in which no frame came, in either direction. */
export interface GapReport {
  /** Around a thread that is ended. */
  readonly gaps: readonly number[];
  /** Around one that leaves the device to a fresh one. */
  readonly planned: readonly number[];
  /** As many frames long, with nothing happening: what the machine does by itself. */
  readonly quiet: readonly number[];
  /** Fewest frames that were on their way when a thread was ended. */
  readonly leastInFlight: number;
}

/** What all tasks report: frames of both directions, and what was wrong with them. */
export interface FailoverReport {
  readonly frames: number;
  readonly toPeer: FrameFaults;
  readonly toGuest: FrameFaults;
  readonly gaps?: GapReport;
  readonly rounds?: readonly Round[];
}

/** From the guest's worker. */
export type FromGuest = { readonly type: 'kill' | 'back' } | { readonly type: 'done'; readonly report: FailoverReport };
