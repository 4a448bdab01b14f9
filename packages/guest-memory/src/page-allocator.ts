import { VirtioError } from '@ringwire/virtio-spec';

const PAGE = 4096;
const HERE = 'PageAllocator';

interface Run {
  address: number;
  bytes: number;
}

/**
 * Hands out whole 4 KiB pages of an address range: two allocations never share a page, so each can be mapped and
 * protected for itself. First fit by address, so the same calls always give the same addresses. Whose addresses they
 * are – guest-physical, IOVA, host offsets – is the owner's business; the bytes are never touched.
 */
export class PageAllocator {
  /** Free runs by address; no two of them adjacent. */
  readonly #free: Run[];
  /** Bytes of each allocation, by address. */
  readonly #used: Map<number, number> = new Map();
  #inUse = 0;
  #available: number;

  /**
   * @param start a multiple of 4096
   * @param bytes a multiple of 4096, at least one page; the range ends at 2^53 at the latest
   */
  constructor(start: number, bytes: number) {
    if (!Number.isSafeInteger(start) || start < 0 || start % PAGE !== 0) {
      throw new VirtioError('start', start, 'a multiple of 4096 below 2^53', HERE);
    }
    if (!Number.isSafeInteger(bytes) || bytes < PAGE || bytes % PAGE !== 0 || bytes > 2 ** 53 - start) {
      throw new VirtioError('bytes', bytes, `a positive multiple of 4096 with start ${start} + bytes ≤ 2^53`, HERE);
    }
    this.#free = [{ address: start, bytes }];
    this.#available = bytes;
  }

  /** Bytes handed out, in whole pages. */
  get inUse(): number {
    return this.#inUse;
  }

  /** Bytes free, not necessarily in one run. */
  get available(): number {
    return this.#available;
  }

  /**
   * @param bytes at least 1, rounded up to whole pages
   * @param align a power of two; one below 4096 means 4096
   * @returns the lowest address that fits
   */
  allocate(bytes: number, align: number = PAGE): number {
    if (!Number.isSafeInteger(bytes) || bytes < 1) {
      throw new VirtioError('bytes', bytes, 'an integer from 1 on', HERE);
    }
    if (!Number.isSafeInteger(align) || align < 1 || 2 ** Math.round(Math.log2(align)) !== align) {
      throw new VirtioError('align', align, 'a power of two', HERE);
    }
    const step = Math.max(align, PAGE);
    const wanted = Math.ceil(bytes / PAGE) * PAGE;
    for (let at = 0; at < this.#free.length; at++) {
      const run = this.#free[at]!;
      const address = Math.ceil(run.address / step) * step;
      if (address - run.address > run.bytes - wanted) continue;
      this.#cut(at, address, wanted);
      return address;
    }
    const largest = this.#free.reduce((most, run) => Math.max(most, run.bytes), 0);
    const room = `${this.#available} available, ${largest} of them in one run`;
    throw new VirtioError('bytes', bytes, `no more than fits aligned to ${step} (${room})`, HERE);
  }

  /** @param address as `allocate` returned it */
  free(address: number): void {
    const bytes = this.#used.get(address);
    if (bytes === undefined) throw new VirtioError('address', address, 'the address of an allocation in use', HERE);
    this.#used.delete(address);
    this.#inUse -= bytes;
    this.#available += bytes;
    const found = this.#free.findIndex((run) => run.address > address);
    const at = found < 0 ? this.#free.length : found;
    const run = { address, bytes };
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsAfter = after !== undefined && address + bytes === after.address;
    if (joinsAfter) run.bytes += after.bytes;
    if (before !== undefined && before.address + before.bytes === address) {
      before.bytes += run.bytes;
      if (joinsAfter) this.#free.splice(at, 1);
    } else {
      this.#free.splice(at, joinsAfter ? 1 : 0, run);
    }
  }

  /** Take `bytes` at `address` out of the free run at index `at`, leaving what lies before and after. */
  #cut(at: number, address: number, bytes: number): void {
    const run = this.#free[at]!;
    const head: Run = { address: run.address, bytes: address - run.address };
    const tail: Run = { address: address + bytes, bytes: run.address + run.bytes - address - bytes };
    this.#free.splice(at, 1, ...[head, tail].filter((part) => part.bytes > 0));
    this.#used.set(address, bytes);
    this.#inUse += bytes;
    this.#available -= bytes;
  }
}
