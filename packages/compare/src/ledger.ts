import type { PciAccess } from '@ringwire/guest-drivers';
import { ACCESS, type AddressSpace, type HostMemory, type RangeList } from '@ringwire/guest-memory';
import type { OwnedSpace } from '@ringwire/sriov-nic';
import { milliseconds } from './clock.js';

const LINE = 64;

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
  /** Interrupt messages that software of the host sent to guests; a card's go there by themselves. */
  injections: number;
  /** Frames that a processor of the host copied, and their bytes. */
  copies: number;
  copiedBytes: number;
  /** Buffers, or pieces of them, that a device asked for by address. */
  buffers: number;
  /** Of those that it read: bytes, and cache lines that they lie in. */
  readBytes: number;
  readLines: number;
}

export const newLedger = (): Ledger => ({
  traps: 0,
  trapMs: 0,
  kicks: 0,
  interrupts: 0,
  injections: 0,
  copies: 0,
  copiedBytes: 0,
  buffers: 0,
  readBytes: 0,
  readLines: 0,
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
    if (!this.isTrapped) return this.access.barRead(bar, offset, size);
    const begun = milliseconds();
    const value = this.access.barRead(bar, offset, size);
    trapped(this.ledger, begun);
    return value;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    this.ledger.kicks++;
    if (!this.isTrapped) {
      this.access.barWrite(bar, offset, size, value);
      return;
    }
    const begun = milliseconds();
    this.access.barWrite(bar, offset, size, value);
    trapped(this.ledger, begun);
  }
}

/** A register access ended in the host. @param begun when it began, as `milliseconds` says */
export function trapped(ledger: Ledger, begun: number): void {
  ledger.traps++;
  ledger.trapMs += milliseconds() - begun;
}

/** A device's way to memory, on which every buffer that it asks for is counted. It shows no window: it hears of all. */
export class CountedSpace implements OwnedSpace {
  readonly memory: HostMemory;
  private readonly space: AddressSpace & Partial<OwnedSpace>;
  private readonly ledger: Ledger;

  constructor(space: AddressSpace & Partial<OwnedSpace>, ledger: Ledger) {
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
    if (host >= 0) this.count(address, length, access);
    return host;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const isReachable = this.space.resolveRanges(address, length, access, ranges);
    if (isReachable) this.count(address, length, access);
    return isReachable;
  }

  close(): void {
    this.space.close?.();
  }

  private count(address: number, length: number, access: number): void {
    const { ledger } = this;
    // Both ways at once is a ring that is looked up, not a transfer.
    if (access === (ACCESS.READ | ACCESS.WRITE)) return;
    ledger.buffers++;
    if (access !== ACCESS.READ) return;
    ledger.readBytes += length;
    ledger.readLines += Math.floor((address + length - 1) / LINE) - Math.floor(address / LINE) + 1;
  }
}
