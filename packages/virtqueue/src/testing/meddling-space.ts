import type { AddressSpace, HostMemory, RangeList } from '@ringwire/guest-memory';

/**
 * A guest that acts at the worst moment: right after the device had an address looked up, which is between the check of
 * what it read from the ring and its use.
 */
export class MeddlingSpace implements AddressSpace {
  readonly memory: HostMemory;
  /** What the guest does then; nothing while undefined. */
  meddle: (() => void) | undefined;
  /** Addresses looked up while the guest meddled, with length and `ACCESS` bits. */
  readonly asked: [address: number, length: number, access: number][] = [];
  private readonly inner: AddressSpace;

  constructor(inner: AddressSpace) {
    this.inner = inner;
    this.memory = inner.memory;
  }

  enter(): number {
    return this.inner.enter();
  }

  leave(): void {
    this.inner.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const answer = this.inner.resolve(address, length, access);
    this.afterwards(address, length, access);
    return answer;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const answer = this.inner.resolveRanges(address, length, access, ranges);
    this.afterwards(address, length, access);
    return answer;
  }

  private afterwards(address: number, length: number, access: number): void {
    if (this.meddle === undefined) return;
    this.asked.push([address, length, access]);
    this.meddle();
  }
}
