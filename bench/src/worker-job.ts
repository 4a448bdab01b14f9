import type { WasmMemory } from '@ringwire/guest-memory';
import type { CasePlan, Timing } from './case-plan.js';
import type { FrameFaults } from './frame-check.js';

/** What the driver does wrong on purpose, to show that the checks notice: flip one bit, leave a frame out, send one twice. */
export type Sabotage = 'damaged' | 'lost' | 'repeated';
export const SABOTAGES: readonly Sabotage[] = ['damaged', 'lost', 'repeated'];

/** What a worker of a case is started with. */
export interface WorkerJob {
  readonly plan: CasePlan;
  readonly timing: Timing;
  readonly memory: WasmMemory;
  readonly control: Int32Array;
  readonly sabotage: Sabotage | undefined;
}

/** One measured round. */
export interface Round {
  readonly frames: number;
  /** From before the first frame was written until the last buffer was taken back. */
  readonly ns: number;
}

/** Round trips of a latency case, in ns. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface DriverReport {
  readonly rounds: readonly Round[];
  /** Of latency cases: one entry per round, and all rounds together. */
  readonly latency: { readonly rounds: readonly Percentiles[]; readonly all: Percentiles } | undefined;
  /** Frames of all rounds, warm-up included, and notifications that the device was owed for them. */
  readonly frames: number;
  readonly notifications: number;
  readonly missed: number;
}

export interface DeviceReport {
  readonly faults: FrameFaults;
  readonly frames: number;
  /** Frames of which every byte was summed and compared. */
  readonly summed: number;
  readonly notifications: number;
  readonly missed: number;
}

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'driver'; readonly report: DriverReport }
  | { readonly type: 'device'; readonly report: DeviceReport };
