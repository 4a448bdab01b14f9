import {
  ACCESS,
  type AddressSpace,
  GuestMemory,
  type HostMemory,
  type RangeList,
  RESOLVE,
} from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { BurstBus, ForgetTarget, InvalidationBus } from './invalidation-bus.js';

const HERE = 'SystemMap';

/** Memory: what devices may read, and write unless it is read-only. */
export interface MemoryRegion {
  readonly kind: 'memory';
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  /** Host offset of the first byte. */
  readonly host: number;
  readonly readOnly?: boolean;
}

/** Registers of a device, a BAR for one: the CPU's accesses act, a device's never arrive. */
export interface WindowRegion {
  readonly kind: 'window';
  readonly address: number;
  readonly size: number;
  /** @param bytes 1, 2 or 4 */
  read(offset: number, bytes: number): number;
  write(offset: number, bytes: number, value: number): void;
}

/** Where writes of devices are interrupts: on a PC 0xfee00000 to 0xfeefffff. */
export interface InterruptRegion {
  readonly kind: 'interrupt';
  readonly address: number;
  readonly size: number;
}

/** A stretch of the machine's address space, and what answers there. */
export type SystemRegion = MemoryRegion | WindowRegion | InterruptRegion;

/** Requests of devices that ended at something else than memory, or at memory that they may not write. */
export interface SystemMapCounters {
  window: number;
  interrupt: number;
  readOnly: number;
  nothing: number;
}

/** What a {@link SystemMap} shows to devices. */
export interface SystemMapConfig {
  readonly memory: HostMemory;
  readonly regions: readonly SystemRegion[];
  /** This thread's bus: who unplugs memory waits for the bursts of all threads. */
  readonly bus: BurstBus & Pick<InvalidationBus, 'all' | 'inBurst'>;
  /** A word for each region, shared between the threads, zero at first. Without it the map is this thread's alone. */
  readonly unplugged?: Int32Array;
}

/**
 * What a machine's physical addresses lead to: memory, registers of devices, the interrupt window, or nothing. The CPU
 * reaches all of it. A device reaches memory: whatever it asks of a window or the interrupt window is refused and
 * counted, so that no register sees a read or a write that a descriptor asked for, and no handler is entered from inside
 * another. There is no peer-to-peer traffic.
 *
 * Memory can be unplugged: once that returns, no DMA of any thread reaches it.
 */
export class SystemMap implements AddressSpace {
  readonly memory: HostMemory;
  /** As given, by address. */
  readonly regions: readonly SystemRegion[];
  readonly blocked: SystemMapCounters = { window: 0, interrupt: 0, readOnly: 0, nothing: 0 };

  private readonly bus: SystemMapConfig['bus'];
  private readonly unplugged: Int32Array;
  private readonly target: ForgetTarget;
  private ram: GuestMemory;

  constructor(config: SystemMapConfig) {
    this.memory = config.memory;
    this.regions = [...config.regions].sort((a, b) => a.address - b.address);
    checkRegions(this.regions);
    this.unplugged = config.unplugged ?? new Int32Array(this.regions.length);
    if (this.unplugged.length < this.regions.length)
      throw new VirtioError('unplugged', this.unplugged.length, `${this.regions.length} words or more`, HERE);
    this.bus = config.bus;
    this.ram = this.pluggedMemory();
    const reload = (): void => {
      this.ram = this.pluggedMemory();
    };
    this.target = { all: reload, domain() {}, pages() {}, requester() {} };
    this.bus.join(this.target);
  }

  enter(): number {
    return this.bus.enter();
  }

  leave(): void {
    this.bus.leave();
  }

  /** Give up the place on the bus. */
  close(): void {
    this.bus.quit(this.target);
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.ram.resolve(address, length, access);
    if (offset === RESOLVE.FAULT) this.count(address, length, access);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    if (this.ram.resolveRanges(address, length, access, ranges)) return true;
    this.count(address, length, access);
    return false;
  }

  /** Take a memory region away, as if its module were pulled; caches of the bus forget everything. */
  unplug(region: MemoryRegion): void {
    this.setPlugged(region, 1);
  }

  /** Put a memory region back. */
  plug(region: MemoryRegion): void {
    this.setPlugged(region, 0);
  }

  /** The CPU reads. @param bytes 1, 2 or 4 @returns all ones where nothing answers */
  read(address: number, bytes: 1 | 2 | 4): number {
    const region = this.regionOf(address, bytes);
    if (region?.kind === 'window') return region.read(address - region.address, bytes);
    const offset = region === undefined ? RESOLVE.FAULT : this.ram.resolve(address, bytes, ACCESS.READ);
    if (offset < 0) return 2 ** (8 * bytes) - 1;
    const { view } = this.memory;
    if (bytes === 1) return view.getUint8(offset);
    return bytes === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true);
  }

  /** The CPU writes; where nothing answers, and into read-only memory, without effect. */
  write(address: number, bytes: 1 | 2 | 4, value: number): void {
    const region = this.regionOf(address, bytes);
    if (region?.kind === 'window') {
      region.write(address - region.address, bytes, value);
      return;
    }
    const offset = region === undefined ? RESOLVE.FAULT : this.ram.resolve(address, bytes, ACCESS.WRITE);
    if (offset < 0) return;
    const { view } = this.memory;
    if (bytes === 1) view.setUint8(offset, value);
    else if (bytes === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }

  private setPlugged(region: MemoryRegion, word: 0 | 1): void {
    const index = this.regions.indexOf(region);
    if (index < 0) throw new VirtioError('region', region.address, 'one of the map’s', HERE);
    if (this.bus.inBurst) throw new VirtioError('burst', 1, 'no unplugging inside this thread’s own burst', HERE);
    Atomics.store(this.unplugged, index, word);
    this.ram = this.pluggedMemory();
    this.bus.all();
  }

  private pluggedMemory(): GuestMemory {
    const present: { gpa: number; size: number; host: number; readOnly: boolean }[] = [];
    this.regions.forEach((region, index) => {
      if (region.kind !== 'memory' || Atomics.load(this.unplugged, index) !== 0) return;
      const { address, size, host, readOnly = false } = region;
      present.push({ gpa: address, size, host, readOnly });
    });
    return new GuestMemory(this.memory, present);
  }

  /** The region that has all bytes of an access. */
  private regionOf(address: number, bytes: number): SystemRegion | undefined {
    return this.regions.find((region) => address >= region.address && address + bytes <= region.address + region.size);
  }

  /** Count what the first byte is that a device could not have. */
  private count(address: number, length: number, access: number): void {
    let at = address;
    for (const region of this.regions) {
      if (at < region.address || at >= region.address + region.size) continue;
      if (region.kind !== 'memory') {
        this.blocked[region.kind]++;
        return;
      }
      if (region.readOnly === true && (access & ACCESS.WRITE) !== 0) {
        this.blocked.readOnly++;
        return;
      }
      if (this.ram.resolve(at, 1, 0) < 0) break;
      at = region.address + region.size;
      if (at >= address + length) break;
    }
    this.blocked.nothing++;
  }
}

function checkRegions(sorted: readonly SystemRegion[]): void {
  let end = 0;
  for (const { address, size } of sorted) {
    if (!Number.isSafeInteger(address) || address < end)
      throw new VirtioError('address', address, `an integer from ${end} on, where the region before ends`, HERE);
    if (!Number.isSafeInteger(size) || size < 1 || !Number.isSafeInteger(address + size))
      throw new VirtioError('size', size, '1 or more bytes, up to 2^53', HERE);
    end = address + size;
  }
}
