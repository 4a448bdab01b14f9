import { type AddressSpace, type AddressWindow, NO_WINDOW } from '@ringwire/guest-memory';

const TWO_32 = 0x1_0000_0000;

/** The stretch of addresses that a space found last: what lies in it needs no call with a number above 2^31, which is an object. */
export const windowOf = (space: AddressSpace, access: number): AddressWindow => space.windowFor?.(access) ?? NO_WINDOW;

/**
 * Host offset of bytes that lie in a window.
 * @param hi,lo the address; `lo` as a signed number
 * @returns -1 for bytes that do not, or with access that is refused: the space is to be asked
 */
export function within(window: AddressWindow, hi: number, lo: number, length: number, access: number): number {
  const at = (lo - window.lo32) >>> 0;
  const isInside = hi === window.hi && (access & window.refused) === 0 && at <= window.bytes - length;
  return isInside ? (window.host32 + at) >>> 0 : -1;
}

/** Finds the entries of one ring. */
export class RingReach {
  private readonly space: AddressSpace;
  private readonly address: number;
  private readonly entryBytes: number;
  private readonly access: number;
  private readonly hi: number;
  private readonly lo: number;
  /** All of the ring has the same high word. */
  private readonly isPlain: boolean;

  constructor(space: AddressSpace, address: number, entries: number, entryBytes: number, access: number) {
    this.space = space;
    this.address = address;
    this.entryBytes = entryBytes;
    this.access = access;
    this.hi = Math.floor(address / TWO_32);
    this.lo = address | 0;
    this.isPlain = (address % TWO_32) + entries * entryBytes <= TWO_32;
  }

  /** In a burst. @returns the index in 32-bit words of host memory, or -1 for an entry that is out of reach */
  wordOf(index: number): number {
    const { entryBytes, access } = this;
    const at = index * entryBytes;
    let host = this.isPlain
      ? within(windowOf(this.space, access), this.hi, (this.lo + at) | 0, entryBytes, access)
      : -1;
    if (host < 0) host = this.space.resolve(this.address + at, entryBytes, access);
    return host < 0 || (host & 3) !== 0 ? -1 : host >>> 2;
  }
}
