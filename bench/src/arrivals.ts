import type { CopyEngine, HostMemory } from '@ringwire/guest-memory';
import { FrameCheck } from './frame-check.js';
import type { NetFrames } from './net-layout.js';

/** Frames as they arrive at the end of their way, compared with what was sent: number and length, and the sum when asked for. */
export class Arrivals {
  readonly check: FrameCheck = new FrameCheck();
  /** Whether every byte is summed from here on. */
  summing = false;
  count = 0;
  /** Of these, frames that were summed. */
  summed = 0;

  private readonly engine: CopyEngine;
  private readonly i32: Int32Array;
  private readonly lengths: Uint32Array;
  private readonly sums: Uint32Array;
  private slot = 0;
  /** Number of the frame that is due. */
  private due = 0;

  constructor(memory: HostMemory, { lengths, sums }: NetFrames) {
    this.engine = memory.engine;
    this.i32 = memory.i32;
    this.lengths = lengths;
    this.sums = sums;
  }

  /** The next frame arrived. @param at host offset of its first byte, a multiple of 4 */
  add(at: number, length: number): void {
    const { slot, due, lengths } = this;
    const number = this.i32[at >>> 2]!;
    if (number !== due) this.check.wrongNumber(number, due);
    if (length !== lengths[slot]) this.check.wrongBytes(number, `${length} bytes`, `${lengths[slot]}`);
    if (this.summing) this.compareSum(at, length, number);
    this.due = (number + 1) | 0;
    this.slot = slot + 1 === lengths.length ? 0 : slot + 1;
    this.count++;
  }

  private compareSum(at: number, length: number, number: number): void {
    this.summed++;
    const sum = this.engine.checksum(at, length);
    let wanted = this.sums[this.slot]! + (number & 0xffff) + (number >>> 16);
    wanted = (wanted & 0xffff) + (wanted >>> 16);
    wanted = (wanted & 0xffff) + (wanted >>> 16);
    if (sum !== wanted) this.check.wrongBytes(number, `${length} bytes of sum ${sum}`, `sum ${wanted}`);
  }
}
