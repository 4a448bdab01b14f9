import { ACCESS, type AddressSpace, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { VIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { ChainBurst } from './chain-burst.js';
import { CHAIN_FAULT } from './queue-fault.js';
import type { QueueLayout } from './queue-layout.js';

/** virtio 1.4 §2.7.5.2: a chain's buffers add up to at most this many bytes. */
export const CHAIN_BYTES_MAX: number = 2 ** 32;
/** In 32 bits, writable bytes + 1: stands for 2^32-2 writable bytes and for more. */
export const MOST_BYTES = 0xffff_ffff;
const WORDS = VIRTQ_DESC.SIZE >> 2;
/**
 * Guest address as an exact number, or -1 when it needs more than 53 bits: such an address is a fault, never an alias.
 * @param lo,hi the two little-endian words of a 64-bit address
 */
function addressOf(lo: number, hi: number): number {
  return hi < 0x20_0000 ? hi * 0x1_0000_0000 + lo : -1;
}

/**
 * One chain while it is being taken: appends checked and resolved elements to the burst's segments, and notes the
 * first thing that is wrong. Split and packed rings walk descriptors in their own way; what an element may be is the
 * same for both.
 */
export class DeviceChain {
  readonly #space: AddressSpace;
  #size: number = 0;
  /** Room for one indirect table, fetched whole before it is looked at; grows up to Queue Size entries. */
  #table = new Uint32Array(8 * WORDS);
  #tableBytes = new Uint8Array(this.#table.buffer);
  readonly #tableRanges = new RangeList();
  #segments: RangeList;
  #firstSegment = 0;
  #bytes = 0;
  #descriptors = 0;
  /** First device-writable segment, or -1 while there is none. */
  #firstWritable = -1;
  /** Device-writable bytes so far. */
  writable = 0;
  /** `CHAIN_FAULT` code. */
  fault = 0;

  constructor(layout: QueueLayout) {
    this.#space = layout.space;
    this.#size = layout.size;
    this.#segments = this.#tableRanges;
  }

  begin(burst: ChainBurst): void {
    this.#segments = burst.segments;
    this.#firstSegment = burst.segments.count;
    this.#bytes = 0;
    this.#descriptors = 0;
    this.#firstWritable = -1;
    this.writable = 0;
    this.fault = 0;
  }

  /**
   * Add one element of the buffer.
   * A zero-length element is passed over, its address unseen, as long as the chain has a byte elsewhere.
   * @returns false when the chain is to be given up
   */
  addElement(lo: number, hi: number, length: number, isWritable: boolean): boolean {
    if (++this.#descriptors > this.#size) return this.fail(CHAIN_FAULT.CHAIN_TOO_LONG);
    if (isWritable) {
      if (this.#firstWritable < 0) this.#firstWritable = this.#segments.count;
      this.writable += length;
    } else if (this.#firstWritable >= 0) return this.fail(CHAIN_FAULT.READABLE_AFTER_WRITABLE);
    if (length === 0) return true;
    this.#bytes += length;
    if (this.#bytes > CHAIN_BYTES_MAX) return this.fail(CHAIN_FAULT.TOTAL_LENGTH);
    const address = addressOf(lo, hi);
    const access = isWritable ? ACCESS.WRITE : ACCESS.READ;
    const offset = this.#space.resolve(address, length, access);
    if (offset >= 0) this.#segments.push(offset, length);
    else if (offset !== RESOLVE.SPLIT || !this.#space.resolveRanges(address, length, access, this.#segments))
      return this.fail(CHAIN_FAULT.ADDRESS);
    return true;
  }

  /**
   * Add the elements of an indirect table, after copying the whole table out of guest memory.
   * @param sequential packed: entries follow one another and only WRITE is looked at; split: `next` links them
   * @see virtio 1.4 §2.7.5.3, §2.8.7
   */
  addIndirect(lo: number, hi: number, length: number, sequential: boolean): boolean {
    const entries = length / VIRTQ_DESC.SIZE;
    if (length === 0 || !Number.isInteger(entries) || entries > this.#size)
      return this.fail(CHAIN_FAULT.INDIRECT_LENGTH);
    if (!this.#fetchTable(addressOf(lo, hi), length)) return this.fail(CHAIN_FAULT.INDIRECT_ADDRESS);
    const table = this.#table;
    let index = 0;
    for (;;) {
      const word = index * WORDS;
      // Word 3 is { flags, next } in a split ring's table and { id, flags } in a packed one's.
      const flags = sequential ? table[word + 3]! >>> 16 : table[word + 3]! & 0xffff;
      if (!sequential && (flags & VIRTQ_DESC_F.INDIRECT) !== 0) return this.fail(CHAIN_FAULT.INDIRECT_NESTED);
      if (!this.addElement(table[word]!, table[word + 1]!, table[word + 2]!, (flags & VIRTQ_DESC_F.WRITE) !== 0))
        return false;
      if (sequential) {
        if (++index === entries) return true;
      } else {
        if ((flags & VIRTQ_DESC_F.NEXT) === 0) return true;
        index = table[word + 3]! >>> 16;
        if (index >= entries) return this.fail(CHAIN_FAULT.NEXT_OUT_OF_RANGE);
      }
    }
  }

  /** Note why the chain is to be given up; the first reason stays. */
  fail(fault: number): false {
    if (this.fault === 0) this.fault = fault;
    return false;
  }

  /**
   * Close the chain in the burst. A faulty one keeps its place and its token, without segments.
   * @returns the fault code, 0 when the chain is good
   */
  finish(burst: ChainBurst, token: number): number {
    if (this.fault === 0 && this.#bytes === 0) this.fault = CHAIN_FAULT.NO_BYTES;
    if (this.fault !== 0) {
      burst.segments.truncate(this.#firstSegment);
      this.#firstWritable = -1;
      this.writable = 0;
    }
    const i = burst.count;
    burst.token[i] = token;
    burst.unsettle(i);
    if (this.fault !== 0) burst.markFault(i, this.fault);
    burst.firstWritable[i] = this.#firstWritable < 0 ? burst.segments.count : this.#firstWritable;
    burst.first[i + 1] = burst.segments.count;
    burst.count = i + 1;
    return this.fault;
  }

  /** Take the chain's segments out of the burst again: the ring is broken and the chain never was. */
  abandon(burst: ChainBurst): void {
    burst.segments.truncate(this.#firstSegment);
  }

  #fetchTable(address: number, length: number): boolean {
    if (length > this.#table.byteLength) {
      let bytes = this.#table.byteLength;
      while (bytes < length) bytes *= 2;
      this.#table = new Uint32Array(bytes >> 2);
      this.#tableBytes = new Uint8Array(this.#table.buffer);
    }
    const { memory } = this.#space;
    const offset = this.#space.resolve(address, length, ACCESS.READ);
    if (offset >= 0 && (offset & 3) === 0) {
      const from = offset >>> 2;
      const words = length >>> 2;
      for (let i = 0; i < words; i++) this.#table[i] = memory.u32[from + i]!;
      return true;
    }
    const ranges = this.#tableRanges;
    ranges.clear();
    if (!this.#space.resolveRanges(address, length, ACCESS.READ, ranges)) return false;
    let to = 0;
    for (let r = 0; r < ranges.count; r++) {
      const start = ranges.offset[r]!;
      const end = start + ranges.length[r]!;
      for (let from = start; from < end; from++) this.#tableBytes[to++] = memory.u8[from]!;
    }
    return true;
  }
}
