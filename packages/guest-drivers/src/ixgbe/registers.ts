import type { PciAccess } from '../access.js';

const BAR = 0;
const ONES = 0xffff_ffff;

/** Registers of 32 bits in BAR 0. */
export class Registers {
  private readonly access: PciAccess;

  constructor(access: PciAccess) {
    this.access = access;
  }

  read(at: number): number {
    return this.access.barRead(BAR, at, 4) >>> 0;
  }

  write(at: number, value: number): void {
    this.access.barWrite(BAR, at, 4, value >>> 0);
  }

  /** Set and clear bits, the others left as they are. */
  change(at: number, set: number, clear: number): void {
    this.write(at, (this.read(at) & ~clear) | set);
  }

  /** A function that is gone answers with all ones, which a register with reserved bits never holds. */
  isGone(at: number): boolean {
    return this.read(at) === ONES;
  }
}
