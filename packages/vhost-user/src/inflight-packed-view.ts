import { PACKED_REGION, PACKED_STATE } from './inflight-layout.js';
import type { InflightRegion } from './inflight-record.js';

const TWO_32 = 0x1_0000_0000;

/** The fields of one packed ring's region, and of its entries. What is written here, and what is read, is a copy's. */
export class PackedView {
  readonly size: number;
  private readonly region: InflightRegion;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  private readonly at: number;

  constructor(region: InflightRegion) {
    const { u8, u16, u32 } = region.memory;
    this.region = region;
    this.size = region.size;
    this.u8 = u8;
    this.u16 = u16;
    this.u32 = u32;
    this.at = region.at;
  }

  /** A field of the region that has 16 bits. */
  get(field: number): number {
    return this.u16[(this.at + field) >>> 1]!;
  }

  /** The same, behind everything that was written before. */
  set(field: number, value: number): void {
    Atomics.store(this.u16, (this.at + field) >>> 1, value);
  }

  getWrap(field: number): number {
    return this.u8[this.at + field]!;
  }

  setWrap(field: number, value: number): void {
    Atomics.store(this.u8, this.at + field, value);
  }

  /** Zeros, but for the size. */
  clear(): void {
    this.region.memory.engine.fill(this.at, 0, PACKED_REGION.desc + this.size * PACKED_STATE.SIZE);
    this.set(PACKED_REGION.desc_num, this.size);
  }

  isInFlight(entry: number): boolean {
    return this.u8[this.stateAt(entry)] === 1;
  }

  setInFlight(entry: number, value: 0 | 1): void {
    this.u8[this.stateAt(entry)] = value;
  }

  /** A field of an entry that has 16 bits. */
  entry(entry: number, field: number): number {
    return this.u16[(this.stateAt(entry) + field) >>> 1]!;
  }

  setEntry(entry: number, field: number, value: number): void {
    this.u16[(this.stateAt(entry) + field) >>> 1] = value;
  }

  counter(entry: number): number {
    const word = (this.stateAt(entry) + PACKED_STATE.counter) >>> 2;
    return this.u32[word + 1]! * TWO_32 + this.u32[word]!;
  }

  setCounter(entry: number, value: number): void {
    const word = (this.stateAt(entry) + PACKED_STATE.counter) >>> 2;
    this.u32[word] = value;
    this.u32[word + 1] = value / TWO_32;
  }

  /** Copy a descriptor from the ring. @param desc32 index into words. @param flags in place of its own */
  keep(entry: number, desc32: number, flags: number): void {
    const { u32 } = this;
    const at32 = this.stateAt(entry) >>> 2;
    u32[at32 + ADDR32] = u32[desc32]!;
    u32[at32 + ADDR32 + 1] = u32[desc32 + 1]!;
    u32[at32 + LEN32] = u32[desc32 + 2]!;
    u32[at32 + ID_AND_FLAGS32] = (u32[desc32 + 3]! & 0xffff) | (flags << 16);
  }

  /** The other way round. */
  restore(entry: number, desc32: number, flags: number): void {
    const { u32 } = this;
    const at32 = this.stateAt(entry) >>> 2;
    u32[desc32] = u32[at32 + ADDR32]!;
    u32[desc32 + 1] = u32[at32 + ADDR32 + 1]!;
    u32[desc32 + 2] = u32[at32 + LEN32]!;
    u32[desc32 + 3] = (u32[at32 + ID_AND_FLAGS32]! & 0xffff) | (flags << 16);
  }

  private stateAt(entry: number): number {
    return this.at + PACKED_REGION.desc + entry * PACKED_STATE.SIZE;
  }
}

const ADDR32 = PACKED_STATE.addr >> 2;
const LEN32 = PACKED_STATE.len >> 2;
const ID_AND_FLAGS32 = PACKED_STATE.id >> 2;
