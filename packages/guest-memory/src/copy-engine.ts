/**
 * Moves and sums bytes of one host memory, by host offset. Offsets and lengths are integers in bytes; a range that
 * does not lie in the memory throws a `VirtioError` and changes nothing: it is never clamped and never ignored.
 *
 * Sums are RFC 1071's ones'-complement sum of 16-bit halfwords loaded little-endian, an odd last byte padded with a
 * zero, folded to 0 … 0xffff and not inverted. Halfwords count from the start of the range, whatever its alignment.
 * On the wire the checksum is big-endian: because the sum commutes with swapping bytes, storing the result
 * little-endian puts its bytes where they belong.
 */
export interface CopyEngine {
  /** Copy as `memmove` does: right for overlapping ranges too. */
  copy(to: number, from: number, length: number): void;
  /** Set each byte to `value & 0xff`. */
  fill(to: number, value: number, length: number): void;
  checksum(from: number, length: number): number;
  /**
   * Copy and sum in one pass: each byte is read once, so what is summed is what was written even while another thread
   * changes the source. Overlapping ranges are copied as `copy` does and summed at the destination.
   */
  copyChecksum(to: number, from: number, length: number): number;

  /**
   * Count halfwords that another thread has set to what is waited for: those at `from`, `from + stride`, … are loaded
   * atomically until one, masked, is not `wanted`. What that thread wrote before it set a counted one atomically is
   * visible afterwards. In WebAssembly a plain load; `Atomics.load` costs several ns each.
   * @param from   even host offset
   * @param stride bytes from one halfword to the next, even
   * @param most   how many to look at; all of them lie in the memory
   * @returns 0 … most
   */
  countRun16(from: number, stride: number, most: number, mask: number, wanted: number): number;
}
