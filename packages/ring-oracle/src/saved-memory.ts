import { VirtioError } from '@ringwire/virtio-spec';
import { ADDRESS_END, hex, type MemoryReader, type Presence } from './memory-reader.js';

/** Bytes of guest memory from `address` on. The array may be shared memory that a guest is writing to. */
export interface MemoryPiece {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** A range of guest-physical addresses, in bytes. */
export interface MemoryRange {
  readonly address: bigint;
  readonly size: bigint;
}

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

const SAVED: Presence = { state: 'saved' };

/** Guest memory as far as somebody kept it: pages of a dump, or the whole of a live guest. */
export class SavedMemory implements MemoryReader {
  readonly #pieces: readonly MemoryPiece[];
  readonly #saved: readonly Range[];
  readonly #ram: readonly Range[] | null;

  /**
   * @param pieces in any order, without overlap; kept, not copied
   * @param ram all there is of RAM, when known: addresses outside are then `unmapped`. Without it nothing is.
   */
  constructor(pieces: readonly MemoryPiece[], ram?: readonly MemoryRange[]) {
    this.#pieces = [...pieces]
      .filter((piece) => piece.bytes.length > 0)
      .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    let end = 0n;
    for (const { address, bytes } of this.#pieces) {
      const last = address + BigInt(bytes.length);
      if (address < end) throw new VirtioError('piece address', hex(address), `${hex(end)} or above`, 'no overlap');
      if (last > ADDRESS_END) throw new VirtioError('piece end', hex(last), '2^64 at most', 'virtio 1.4 §2.7.5');
      end = last;
    }
    this.#saved = joined(this.#pieces.map(({ address, bytes }) => ({ address, size: BigInt(bytes.length) })));
    this.#ram = ram === undefined ? null : joined(ram);
  }

  read(address: bigint, length: number): Uint8Array | null {
    if (firstOutside(this.#saved, address, address + BigInt(length)) !== null) return null;
    const copy = new Uint8Array(length);
    let done = 0;
    for (let at = this.#pieceAt(address); done < length; at++) {
      const piece = this.#pieces[at]!;
      const from = Number(address + BigInt(done) - piece.address);
      const part = piece.bytes.subarray(from, from + length - done);
      copy.set(part, done);
      done += part.length;
    }
    return copy;
  }

  probe(address: bigint, length: bigint): Presence {
    const end = address + length;
    if (this.#ram !== null) {
      const at = firstOutside(this.#ram, address, end);
      if (at !== null) return { state: 'unmapped', at };
    }
    const at = firstOutside(this.#saved, address, end);
    return at === null ? SAVED : { state: 'unsaved', at };
  }

  /** Index of the last piece that starts at or before the address. */
  #pieceAt(address: bigint): number {
    return lastAtOrBefore(this.#pieces.length, (i) => this.#pieces[i]!.address <= address);
  }
}

/** Ranges in order, neighbours and overlaps made one. */
function joined(ranges: readonly MemoryRange[]): Range[] {
  const result: { start: bigint; end: bigint }[] = [];
  const inOrder = ranges.filter(({ size }) => size > 0n).sort((a, b) => (a.address < b.address ? -1 : 1));
  for (const { address, size } of inOrder) {
    const last = result.at(-1);
    const end = address + size;
    if (last === undefined || address > last.end) result.push({ start: address, end });
    else if (end > last.end) last.end = end;
  }
  return result;
}

/** The first address of [start, end) that no range covers; null when all of it is covered. */
function firstOutside(ranges: readonly Range[], start: bigint, end: bigint): bigint | null {
  if (start >= end) return null;
  const range = ranges[lastAtOrBefore(ranges.length, (i) => ranges[i]!.start <= start)];
  if (range === undefined || range.end <= start) return start;
  return range.end >= end ? null : range.end;
}

/** Binary search: the largest index for which `holds`, which holds up to some index and not after; -1 if none. */
function lastAtOrBefore(count: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
