import { MemoryModule } from '@ringwire/guest-memory';
import { FRAME_LOOPS_WASM } from './frame-loops-wasm.js';

/** What frame-loops.wat exports, which says what the parameters are. */
export interface FrameLoops {
  findPlains(
    offset: number,
    length: number,
    max: number,
    headerBytes: number,
    shortest: number,
    longest: number,
    asks: number,
    said: number,
  ): number;
  placeFrames(
    offset: number,
    length: number,
    max: number,
    skip: number,
    to: number,
    room: number,
    written: number,
    shortest: number,
    longest: number,
    hasHeader: number,
    w0: number,
    w1: number,
    w2: number,
    type: number,
    said: number,
  ): number;
}

/** The loops of a network device, on shared memory. */
export const frameLoops: MemoryModule<FrameLoops> = new MemoryModule(FRAME_LOOPS_WASM);
