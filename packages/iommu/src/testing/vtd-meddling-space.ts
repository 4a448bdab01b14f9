import { type AddressSpace, RESOLVE } from '@ringwire/guest-memory';

/** Counts how often each address is resolved, and lets software in right after that. */
export class MeddlingSpace implements AddressSpace {
  readonly reads: Map<number, number> = new Map();
  private readonly inner: AddressSpace;
  private readonly after: (address: number, access: number) => void;

  constructor(inner: AddressSpace, after: (address: number, access: number) => void) {
    this.inner = inner;
    this.after = after;
  }

  get memory(): AddressSpace['memory'] {
    return this.inner.memory;
  }

  enter(): number {
    return this.inner.enter();
  }

  leave(): void {
    this.inner.leave();
  }

  resolve(address: number, length: number, access: number): number {
    this.reads.set(address, (this.reads.get(address) ?? 0) + 1);
    const offset = this.inner.resolve(address, length, access);
    if (offset !== RESOLVE.FAULT) this.after(address, access);
    return offset;
  }

  resolveRanges(): boolean {
    return false;
  }
}
