import type { HostMemory } from './host-memory.js';
import type { RangeList } from './range-list.js';

/** What the device does to memory; a bit mask. A region or mapping has to allow every bit that is set. */
export const ACCESS = { READ: 1, WRITE: 2 } as const;

/** What `resolve` gives in place of a host offset. Both are negative, so `< 0` asks for "not one host range". */
export const RESOLVE = { FAULT: -1, SPLIT: -2 } as const;

/**
 * A stretch of addresses that is one range of host memory, for loops that compare before they call: bytes at
 * `hi · 2^32 + lo` that lie in it are at host offset `host32 + (lo - lo32)`. All numbers have 32 bits, `lo32` and `host32`
 * as signed ones, which JavaScript adds and subtracts without leaving them.
 */
export interface AddressWindow {
  /** High word that all addresses of the window have. */
  readonly hi: number;
  readonly lo32: number;
  /** At most 2^30; 0 in a window that holds no address. */
  readonly bytes: number;
  readonly host32: number;
  /** Bits of `ACCESS` that are refused, and all that mean nothing. */
  readonly refused: number;
}

/** No address lies in it: every one is to be resolved. */
export const NO_WINDOW: AddressWindow = { hi: 0, lo32: 0, bytes: 0, host32: 0, refused: -1 };

/**
 * The only way from an address that a driver wrote to bytes of host memory: identity with bounds, a guest's list of
 * regions, or an IOMMU domain. Addresses are numbers below 2^53 (virtio 1.4 §2.7.5 `addr` is 64 bits wide: one with
 * higher bits set is a fault, never an alias), lengths 0 … 2^32-1, host offsets 0 … 2^32-1.
 *
 * A device works in bursts, between `enter` and `leave`: host offsets hold until the burst in which they were resolved
 * ends. Behind an IOMMU whoever takes a mapping away waits for that end; other spaces never change and do nothing then.
 */
export interface AddressSpace {
  readonly memory: HostMemory;

  /**
   * A stretch around what `resolve` found last, for comparing before the next call; good like a host offset, until the burst
   * ends. A space that is to hear of every address has no such method.
   * @param access READ or WRITE: what the window is wanted for. Its `refused` says whether it serves
   */
  windowFor?(access: number): AddressWindow;

  /**
   * Begin a burst, which one `leave` ends before the next may begin. It must be short, and wait for nobody.
   * @returns a number that differs from the burst's before when host offsets resolved earlier may be void: who keeps
   *          some across bursts, as a queue does its ring's, resolves them anew then
   */
  enter(): number;

  /** End the burst: no host offset resolved in it is used any more. */
  leave(): void;

  /**
   * Host offset of `[address, address + length)`.
   *
   * A zero length resolves its address alone: the answer is the one for a single byte there.
   * @param access bits of `ACCESS`; 0 asks only whether the bytes are reachable
   * @returns the offset when all bytes are one contiguous host range;
   *          `RESOLVE.FAULT` when any byte is not reachable or not allowed – a hole, past the end, wrapping, or an
   *          address or length that is negative, fractional, NaN or out of its range;
   *          `RESOLVE.SPLIT` when the bytes are reachable but spread over several host ranges.
   *          Never throws, never allocates.
   */
  resolve(address: number, length: number, access: number): number;

  /**
   * Append the host ranges of `[address, address + length)` in order. A zero length appends none, and still faults
   * where `resolve` does.
   * @returns false, with `ranges` unchanged, on a fault
   */
  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean;
}
