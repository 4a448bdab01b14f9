import type { LinkPlace } from '@ringwire/device-thread';
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
  /** Of a network device in a thread of its own. */
  readonly place: LinkPlace | undefined;
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

/** What the driver of a network device found, beside what every driver does. */
export interface NetReport {
  /** What was wrong with frames that came back to it, and those of which every byte was summed. */
  readonly faults: FrameFaults;
  readonly summed: number;
  readonly interrupts: number;
  /** Of a device that nobody wants anything of, in a second: times that its thread woke up, and cores used by the process. */
  readonly idle: { readonly wakeUps: number; readonly cores: number } | undefined;
}

export interface DriverReport {
  readonly rounds: readonly Round[];
  /** Of latency cases: one entry per round, and all rounds together. */
  readonly latency: { readonly rounds: readonly Percentiles[]; readonly all: Percentiles } | undefined;
  /** Frames of all rounds, warm-up included, and notifications that the device was owed for them. */
  readonly frames: number;
  readonly notifications: number;
  readonly missed: number;
  readonly net?: NetReport;
}

export interface DeviceReport {
  readonly faults: FrameFaults;
  readonly frames: number;
  /** Frames of which every byte was summed and compared. */
  readonly summed: number;
  readonly notifications: number;
  readonly missed: number;
  /** Notifications that reached a network device: its driver does not count them. */
  readonly kicks?: number;
}

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'driver'; readonly report: DriverReport }
  | { readonly type: 'device'; readonly report: DeviceReport };
