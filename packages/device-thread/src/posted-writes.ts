// Words: the next slot to be written and the next to be done, each on a line of its own, then slots.
const WRITTEN = 0;
const DONE = 16;
const SLOTS = 32;
const SLOT_WORDS = 4;
const COUNT = 256;
/** In a slot. */
const BAR = 0;
const OFFSET = 1;
const SIZE = 2;
const VALUE = 3;

/** Words of shared memory that posted writes of one function take. */
export const POSTED_WORDS: number = SLOTS + COUNT * SLOT_WORDS;

/**
 * Writes to a function's BARs that nobody waits for, as on PCI: the driver's thread puts them, the function's thread does them in
 * their order, before any other access of that driver. One thread of each.
 */
export class PostedWrites {
  private readonly words: Int32Array;

  /** @param words `POSTED_WORDS` of them, zero at first */
  constructor(words: Int32Array) {
    this.words = words;
  }

  /** The driver's side. @returns false when there is no room */
  put(bar: number, offset: number, size: number, value: number): boolean {
    const { words } = this;
    const written = Atomics.load(words, WRITTEN);
    if (((written - Atomics.load(words, DONE)) | 0) >= COUNT) return false;
    const slot = SLOTS + (written & (COUNT - 1)) * SLOT_WORDS;
    words[slot + BAR] = bar;
    words[slot + OFFSET] = offset;
    words[slot + SIZE] = size;
    words[slot + VALUE] = value | 0;
    // Behind the slot: the other side looks at this first.
    Atomics.store(words, WRITTEN, (written + 1) | 0);
    return true;
  }

  /**
   * The function's side: do what was put. The other side's index is foreign: one ring of writes at most.
   * @returns whether there were any
   */
  serve(write: (bar: number, offset: number, size: number, value: number) => void): boolean {
    const { words } = this;
    const first = Atomics.load(words, DONE);
    const behind = Atomics.load(words, WRITTEN);
    for (let next = first, left = COUNT; next !== behind && left > 0; left--) {
      const slot = SLOTS + (next & (COUNT - 1)) * SLOT_WORDS;
      const bar = words[slot + BAR]!;
      const offset = words[slot + OFFSET]! >>> 0;
      const size = words[slot + SIZE]!;
      const value = words[slot + VALUE]! >>> 0;
      next = (next + 1) | 0;
      // The slot was read, and may be used anew.
      Atomics.store(words, DONE, next);
      write(bar, offset, size, value);
    }
    return first !== behind;
  }
}
