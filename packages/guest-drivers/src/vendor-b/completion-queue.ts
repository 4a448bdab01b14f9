import { COMPLETION, COMPLETION_TAIL } from '@ringwire/nic-spec/vendor-b';
import type { DmaArena } from '../dma-arena.js';

const ENTRY_WORDS = COMPLETION.SIZE / 4;
const { PHASE, STATUS_SHIFT, STATUS_MASK, HEAD_SHIFT } = COMPLETION_TAIL;

/** The driver's side of a completion ring: each completion is copied once, into the fields here. */
export class CompletionQueue {
  readonly entries: number;
  readonly address: number;
  /** 16 bits, runs free. */
  consumed = 0;
  // The completion that was taken last.
  ring = 0;
  cookie = 0;
  length = 0;
  status = 0;
  head = 0;
  private readonly i32: Int32Array;
  private readonly ring32: number;

  /** @param entries a power of two */
  constructor(arena: DmaArena, entries: number) {
    const bytes = entries * COMPLETION.SIZE;
    this.entries = entries;
    this.address = arena.allocate(bytes);
    this.i32 = arena.dma.space.memory.i32;
    const host = arena.hostOf(this.address, bytes);
    this.ring32 = host >>> 2;
    // The first pass has phase 1: what lay here before must not look like it.
    arena.dma.space.memory.engine.fill(host, 0, bytes);
  }

  /** @returns whether there was one more */
  take(): boolean {
    const word = this.ring32 + (this.consumed & (this.entries - 1)) * ENTRY_WORDS;
    const tail = Atomics.load(this.i32, word + 3);
    const phase = (this.consumed & this.entries) === 0 ? PHASE : 0;
    if ((tail & PHASE) !== phase) return false;
    const first = this.i32[word]!;
    this.cookie = first & 0xffff;
    this.ring = first >>> 16;
    this.length = this.i32[word + 1]! >>> 0;
    this.status = (tail >>> STATUS_SHIFT) & STATUS_MASK;
    this.head = tail >>> HEAD_SHIFT;
    this.consumed = (this.consumed + 1) & 0xffff;
    return true;
  }
}
