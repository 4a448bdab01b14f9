import { fstatSync, type Stats } from 'node:fs';
import { ACCESS, type HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { addressOf, BusGuard, mapFileAt, mapZerosAt, SystemError } from '@ringwire/linux';
import { VirtioError } from '@ringwire/virtio-spec';

/** A part of a peer's file that is part of the host memory. */
export interface Mapping {
  /** Host offset of the byte that was asked for. */
  readonly host: number;
  /** Process address and length of the whole pages around it. */
  readonly address: number;
  readonly bytes: number;
  /** Names it to the guard, where there is one. */
  readonly watch: number | undefined;
}

const PAGE = 4096;
/** Huge pages of 2 MiB want their multiples; larger ones say so themselves. */
const ALIGN = 0x20_0000;

/**
 * A stretch of host memory that peers' files are laid over, so that devices reach their bytes as they do all others. Only
 * shared WebAssembly memory lies still enough for it.
 */
export class PeerMemory {
  readonly memory: HostMemory;
  private readonly base: number;
  private readonly pages: PageAllocator;
  private readonly guard: BusGuard | undefined;

  /**
   * @param start,bytes the stretch, which is the peers' alone; its ends are cut to multiples of 2 MiB of the process's
   *                    addresses
   * @throws VirtioError for a stretch that is none
   */
  constructor(memory: HostMemory, start: number, bytes: number) {
    if (memory.wasm === undefined)
      throw new VirtioError('memory', 'wrapped', 'memory that was made or adopted', 'PeerMemory');
    if (!Number.isInteger(start) || start < 0 || !Number.isInteger(bytes) || bytes < 1 || start + bytes > memory.size)
      throw new VirtioError('bytes', bytes, `a stretch from ${start} on in ${memory.size} bytes`, 'PeerMemory');
    this.memory = memory;
    this.base = addressOf(memory.u8);
    this.guard = newGuard();
    const first = up(this.base + start, ALIGN);
    this.pages = new PageAllocator(first, down(this.base + start + bytes, ALIGN) - first);
  }

  /** Bytes that files lie over now. */
  get inUse(): number {
    return this.pages.inUse;
  }

  /** Whether a file that is cut short while it is mapped leaves the process alive: on x86-64, where memory may hold code. */
  get survivesCuts(): boolean {
    return this.guard !== undefined;
  }

  /** Files that were found cut short, all in all. */
  get cuts(): number {
    return this.guard?.cuts ?? 0;
  }

  /** Whether the file behind a mapping was cut short, and somebody touched what is gone: zeros are there since. */
  wasCut({ watch }: Mapping): boolean {
    return watch !== undefined && this.guard!.wasCut(watch);
  }

  /**
   * Lay a part of a file over free memory. The descriptor may be closed afterwards.
   * @param offset,bytes the part, at most 2^53
   * @returns the mapping, or why there can be none
   */
  map(fd: number, offset: number, bytes: number): Mapping | string {
    let stats: Stats;
    try {
      stats = fstatSync(fd);
    } catch {
      return 'no such descriptor';
    }
    if (!stats.isFile()) return 'the descriptor is no file';
    // Before anything is mapped: touching what lies past a file's end would end the process.
    if (offset + bytes > stats.size) return `${bytes} bytes from ${offset} on are more than the file's ${stats.size}`;
    return this.lay(fd, offset, bytes, Math.max(PAGE, stats.blksize), ACCESS.READ | ACCESS.WRITE);
  }

  /**
   * The same of what the kernel itself vouches for, which may be no file and need have no size: memory that a kernel's driver
   * gave to a device. Where nothing is behind it, zeros are found in place of the whole mapping, which {@link wasCut} says.
   * @param access `ACCESS` bits, READ among them, that the descriptor is open for: what may not be written is not
   * @returns the mapping, or why there can be none
   */
  mapVouched(fd: number, offset: number, bytes: number, access: number): Mapping | string {
    let stats: Stats;
    try {
      stats = fstatSync(fd);
    } catch {
      return 'no such descriptor';
    }
    return this.lay(fd, offset, bytes, stats.isFile() ? Math.max(PAGE, stats.blksize) : PAGE, access);
  }

  /** Nothing reaches the file through this mapping any more: zeros are there. */
  unmap({ address, bytes, watch }: Mapping): void {
    mapZerosAt(address, bytes);
    if (watch !== undefined) this.guard!.unwatch(watch);
    this.pages.free(address);
  }

  private lay(fd: number, offset: number, bytes: number, page: number, access: number): Mapping | string {
    const start = down(offset, page);
    const length = up(offset + bytes, page) - start;
    let address: number;
    try {
      address = this.pages.allocate(length, Math.max(page, ALIGN));
    } catch (error) {
      if (error instanceof VirtioError) return `no room for ${length} bytes: ${error.message}`;
      throw error;
    }
    try {
      mapFileAt(address, length, fd, start, (access & ACCESS.WRITE) !== 0);
    } catch (error) {
      this.pages.free(address);
      if (error instanceof SystemError) return error.message;
      throw error;
    }
    const mapping = { host: address - this.base + (offset - start), address, bytes: length, watch: undefined };
    if (this.guard === undefined) return mapping;
    const watch = this.guard.watch(address, length);
    if (watch !== undefined) return { ...mapping, watch };
    this.unmap(mapping);
    return 'too many files are mapped';
  }
}

function newGuard(): BusGuard | undefined {
  try {
    return BusGuard.get();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

function down(value: number, step: number): number {
  return value - (value % step);
}

function up(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
