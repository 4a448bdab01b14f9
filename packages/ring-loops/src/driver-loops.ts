import { MemoryModule } from '@ringwire/guest-memory';
import { DRIVER_LOOPS_WASM } from './driver-loops-wasm.js';

/** What driver-loops.wat exports, which says what the parameters are. */
export interface DriverLoops {
  addSplit(
    desc: number,
    ring: number,
    mask: number,
    avail: number,
    count: number,
    readable: number,
    words: number,
    own: number,
    order: number,
    index: number,
  ): number;
  takeUsedSplit(
    ring: number,
    mask: number,
    used: number,
    max: number,
    own: number,
    tail: number,
    token: number,
    written: number,
    outcome: number,
    state: number,
  ): number;
  takeSkippedSplit(
    order: number,
    mask: number,
    used: number,
    max: number,
    own: number,
    tail: number,
    token: number,
    written: number,
    outcome: number,
    state: number,
  ): number;
  addPacked(
    desc: number,
    size: number,
    slot: number,
    marks: number,
    from: number,
    end: number,
    readable: number,
    words: number,
    own: number,
    ids: number,
    idMask: number,
    tail: number,
  ): void;
  takeUsedPacked(
    desc: number,
    slot: number,
    max: number,
    size: number,
    own: number,
    ids: number,
    idMask: number,
    head: number,
    token: number,
    written: number,
    outcome: number,
  ): number;
  takeSkippedPacked(
    max: number,
    size: number,
    own: number,
    ids: number,
    idMask: number,
    head: number,
    token: number,
    written: number,
    outcome: number,
  ): number;
}

/** The loops of driver queues, on shared memory. */
export const driverLoops: MemoryModule<DriverLoops> = new MemoryModule(DRIVER_LOOPS_WASM);
