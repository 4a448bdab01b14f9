import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';

/** Which table an entry was read from, in a trace of a walk. */
export type VtdTable = 'root' | 'context' | 'pasid-directory' | 'pasid-table' | 'first-stage' | 'second-stage' | 'irte';

/** Told of every entry that a walk reads, in order. */
export interface VtdTrace {
  /**
   * @param level   of a paging entry, else 0
   * @param address physical
   * @param words   the entry's 32-bit words; reused by the walk
   */
  entry(table: VtdTable, level: number, address: number, words: Uint32Array, count: number): void;
  /** An entry that lies outside memory. */
  unreadable(table: VtdTable, level: number, address: number): void;
}

const READ = ACCESS.READ;
/** Looks at an entry that changes each time: then it is whatever was seen last. */
const TRIES = 4;
const READ_WRITE = ACCESS.READ | ACCESS.WRITE;

/** Reads entries of tables in physical memory into its own words: each is fetched once, and the copy is what is used. */
export class VtdTableReader {
  /** The entry read last. */
  readonly words: Uint32Array;
  /** Entries read since it was last set to 0. */
  entriesRead: number;
  trace: VtdTrace | undefined;
  /** Accessed and dirty bits stay as they are: for tools that only look. */
  readOnly: boolean;

  private readonly space: AddressSpace;
  private readonly u32: Uint32Array;
  private readonly i32: Int32Array;

  constructor(space: AddressSpace) {
    this.words = new Uint32Array(16);
    this.entriesRead = 0;
    this.trace = undefined;
    this.readOnly = false;
    this.space = space;
    this.u32 = space.memory.u32;
    this.i32 = space.memory.i32;
  }

  /**
   * @param address physical; one past 2^53 is outside memory like any other hole
   * @param bytes   8, 16, 32 or 64
   * @returns whether all of it is readable
   */
  read(table: VtdTable, level: number, address: number, bytes: number): boolean {
    const offset = this.space.resolve(address, bytes, READ);
    if (offset < 0 || (offset & 3) !== 0) {
      if (this.trace !== undefined) this.trace.unreadable(table, level, address);
      return false;
    }
    const at = offset >>> 2;
    const count = bytes >>> 2;
    const { words, u32 } = this;
    words[0] = u32[at]!;
    words[1] = u32[at + 1]!;
    for (let i = 2; i < count; i += 2) {
      words[i] = u32[at + i]!;
      words[i + 1] = u32[at + i + 1]!;
    }
    this.entriesRead++;
    if (this.trace !== undefined) this.trace.entry(table, level, address, this.words, count);
    return true;
  }

  /**
   * The same for an entry of 8 bytes that software or another unit may be writing: both halves are of one moment.
   * @param address physical
   */
  readQuad(table: VtdTable, level: number, address: number): boolean {
    const { i32, words } = this;
    const offset = this.space.resolve(address, 8, READ);
    if (offset < 0 || (offset & 3) !== 0) {
      if (this.trace !== undefined) this.trace.unreadable(table, level, address);
      return false;
    }
    const at = offset >>> 2;
    let low = Atomics.load(i32, at);
    words[1] = Atomics.load(i32, at + 1);
    for (let tries = 0; tries < TRIES; tries++) {
      const again = Atomics.load(i32, at);
      if (again === low) break;
      low = again;
      words[1] = Atomics.load(i32, at + 1);
    }
    words[0] = low;
    this.entriesRead++;
    if (this.trace !== undefined) this.trace.entry(table, level, address, words, 2);
    return true;
  }

  /**
   * Set bits in the low word of an entry, if that is still what it was.
   * @param address as it was read from
   * @param was     low word as it was read
   * @returns SET, CHANGED when software wrote it meanwhile, or REFUSED when it cannot be written
   */
  setBits(address: number, was: number, bits: number): BitUpdate {
    if ((was & bits) === bits || this.readOnly) return BIT_UPDATE.SET;
    const offset = this.space.resolve(address, 8, READ_WRITE);
    if (offset < 0) return BIT_UPDATE.REFUSED;
    const found = Atomics.compareExchange(this.i32, offset >>> 2, was | 0, was | bits);
    return found === (was | 0) ? BIT_UPDATE.SET : BIT_UPDATE.CHANGED;
  }
}

export const BIT_UPDATE = { SET: 0, CHANGED: 1, REFUSED: 2 } as const;
export type BitUpdate = (typeof BIT_UPDATE)[keyof typeof BIT_UPDATE];
