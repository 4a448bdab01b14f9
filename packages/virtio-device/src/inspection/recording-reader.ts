import type { MemoryReader, Presence } from '@ringwire/ring-oracle';

export const PAGE_BYTES = 4096;
const PAGE = BigInt(PAGE_BYTES);
/** 64 MiB: a ring of hostile indirect tables, each in a page of its own, costs no more. What is beyond is not saved. */
const PAGES_MAX = 16384;

/** One page by its address, a multiple of `PAGE_BYTES`. */
export interface SavedPage {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/**
 * Memory that keeps what is read through it: whole pages as they were at the first read, and addresses that could not be
 * reached. Who reads the same from these later comes to the same conclusions, whatever the guest does meanwhile.
 */
export class RecordingReader implements MemoryReader {
  readonly #memory: MemoryReader;
  readonly #pages = new Map<bigint, Uint8Array>();
  /** Pages of which not all can be read: they hold what was read of them, and zeros. */
  readonly #partial = new Set<bigint>();
  readonly #unreachable = new Set<bigint>();

  constructor(memory: MemoryReader) {
    this.#memory = memory;
  }

  /** In ascending order. */
  get pages(): SavedPage[] {
    return inOrder([...this.#pages.keys()]).map((address) => ({ address, bytes: this.#pages.get(address)! }));
  }

  get unreachable(): bigint[] {
    return inOrder([...this.#unreachable]);
  }

  read(address: bigint, length: number): Uint8Array | null {
    const bytes = this.#memory.read(address, length);
    if (bytes === null) return null;
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const start = at - (at % PAGE);
      const from = Number(at - start);
      const count = Math.min(PAGE_BYTES - from, length - done);
      const page = this.#page(start);
      if (this.#partial.has(start)) page?.set(bytes.subarray(done, done + count), from);
      else if (page !== undefined) bytes.set(page.subarray(from, from + count), done);
      done += count;
    }
    return bytes;
  }

  probe(address: bigint, length: bigint): Presence {
    const presence = this.#memory.probe(address, length);
    if (presence.state === 'unmapped') this.#unreachable.add(presence.at);
    return presence;
  }

  /** @returns undefined when there are enough */
  #page(start: bigint): Uint8Array | undefined {
    const known = this.#pages.get(start);
    if (known !== undefined || this.#pages.size === PAGES_MAX) return known;
    const whole = this.#memory.read(start, PAGE_BYTES);
    if (whole === null) this.#partial.add(start);
    const page = whole ?? new Uint8Array(PAGE_BYTES);
    this.#pages.set(start, page);
    return page;
  }
}

/** What `RecordingReader` kept, read again: saved bytes, and addresses at which there is nothing. */
export class RecordedMemory implements MemoryReader {
  readonly #saved: MemoryReader;
  readonly #unreachable: readonly bigint[];

  constructor(saved: MemoryReader, unreachable: readonly bigint[]) {
    this.#saved = saved;
    this.#unreachable = inOrder(unreachable);
  }

  read(address: bigint, length: number): Uint8Array | null {
    return this.#firstHole(address, BigInt(length)) === undefined ? this.#saved.read(address, length) : null;
  }

  probe(address: bigint, length: bigint): Presence {
    const at = this.#firstHole(address, length);
    return at === undefined ? this.#saved.probe(address, length) : { state: 'unmapped', at };
  }

  #firstHole(address: bigint, length: bigint): bigint | undefined {
    let low = 0;
    let high = this.#unreachable.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#unreachable[middle]! < address) low = middle + 1;
      else high = middle;
    }
    const hole = this.#unreachable[low];
    return hole !== undefined && hole < address + length ? hole : undefined;
  }
}

const inOrder = (addresses: readonly bigint[]): bigint[] => [...addresses].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
