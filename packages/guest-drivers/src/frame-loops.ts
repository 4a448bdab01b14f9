import { MemoryModule } from '@ringwire/guest-memory';
import { FRAME_LOOPS_WASM } from './frame-loops-wasm.js';

/** What frame-loops.wat exports, which says what the parameters are. */
export interface FrameLoops {
  describe(
    frames: number,
    max: number,
    pool: number,
    buffers: number,
    headerBytes: number,
    longest: number,
    words: number,
    total: number,
  ): number;
  take(stack: number, top: number, count: number, pool: number, frames: number, lengths: number): void;
  lend(frames: number, count: number, pool: number, headerBytes: number, bytes: number, words: number): void;
  receive(
    token: number,
    written: number,
    outcome: number,
    max: number,
    pool: number,
    buffers: number,
    headerBytes: number,
    frames: number,
    lengths: number,
    total: number,
  ): number;
  put(stack: number, top: number, frames: number, max: number, pool: number, buffers: number): number;
}

/** The loops of a poll-mode driver, on shared memory. */
export const frameLoops: MemoryModule<FrameLoops> = new MemoryModule(FRAME_LOOPS_WASM);
