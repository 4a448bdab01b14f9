import type { PciAccess } from '@ringwire/guest-drivers';
import { ACCESS, type AddressSpace, type HostMemory, type RangeList } from '@ringwire/guest-memory';
import { milliseconds } from './clock.js';

/** What frames cost on their way, counted where it happens. */
export interface Ledger {
  /** Register accesses of guests that end in the host: each one is a VM exit. */
  traps: number;
  /** Time in the host for them, in ms. */
  trapMs: number;
  /** Doorbells: register writes that say that there is work. */
  kicks: number;
  /** Interrupts that guests took. */
  interrupts: number;
  /** Frames that a processor of the host copied, and their bytes. */
  copies: number;
  copiedBytes: number;
  /** Buffers, or pieces of them, that a device asked for by address; rings apart. */
  dmaAccesses: number;
}

export const newLedger = (): Ledger => ({
  traps: 0,
  trapMs: 0,
  kicks: 0,
  interrupts: 0,
  copies: 0,
  copiedBytes: 0,
  dmaAccesses: 0,
});

/** A guest's way to its function, on which every register access is counted. */
export class CountedAccess implements PciAccess {
  private readonly access: PciAccess;
  private readonly ledger: Ledger;
  private readonly isTrapped: boolean;

  /** @param isTrapped accesses end in the host; otherwise the function answers them itself */
  constructor(access: PciAccess, ledger: Ledger, isTrapped: boolean) {
    this.access = access;
    this.ledger = ledger;
    this.isTrapped = isTrapped;
  }

  configRead(offset: number, size: number): number {
    return this.access.configRead(offset, size);
  }

  configWrite(offset: number, size: number, value: number): void {
    this.access.configWrite(offset, size, value);
  }

  barRead(bar: number, offset: number, size: number): number {
    return this.isTrapped
      ? this.trap(() => this.access.barRead(bar, offset, size))
      : this.access.barRead(bar, offset, size);
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    this.ledger.kicks++;
    if (this.isTrapped) this.trap(() => this.access.barWrite(bar, offset, size, value));
    else this.access.barWrite(bar, offset, size, value);
  }

  private trap<T>(access: () => T): T {
    const { ledger } = this;
    const begun = milliseconds();
    const answer = access();
    ledger.traps++;
    ledger.trapMs += milliseconds() - begun;
    return answer;
  }
}

/** A device's way to memory, on which every address that it asks for is counted. It shows no window: it hears of all. */
export class CountedSpace implements AddressSpace {
  readonly memory: HostMemory;
  private readonly space: AddressSpace;
  private readonly ledger: Ledger;

  constructor(space: AddressSpace, ledger: Ledger) {
    this.memory = space.memory;
    this.space = space;
    this.ledger = ledger;
  }

  enter(): number {
    return this.space.enter();
  }

  leave(): void {
    this.space.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const host = this.space.resolve(address, length, access);
    if (host >= 0) this.count(access);
    return host;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const isReachable = this.space.resolveRanges(address, length, access, ranges);
    if (isReachable) this.count(access);
    return isReachable;
  }

  close(): void {}

  private count(access: number): void {
    if (isBuffer(access)) this.ledger.dmaAccesses++;
  }
}

/** Both ways at once is a ring that is looked up, not a transfer. */
export const isBuffer = (access: number): boolean => access !== (ACCESS.READ | ACCESS.WRITE);
