import { pieceSize } from './bar-region.js';
import type { Bar } from './bars.js';
import { allOnes } from './register-block.js';

/** Something that may be gone after a handler has run. */
interface Removable {
  readonly removed: boolean;
}

/** Whether an access of 1 to 4 bytes lies in a BAR. */
export const fits = (bar: Bar, offset: number, size: number): boolean =>
  Number.isInteger(offset) && offset >= 0 && offset + size <= bar.size;

/** Read 1 to 4 bytes that lie in the BAR, in aligned pieces; all ones when the function is gone meanwhile. */
export function readBar(bar: Bar, offset: number, size: number, owner: Removable): number {
  let value = 0;
  for (let done = 0; done < size; ) {
    const at = offset + done;
    const piece = pieceSize(at, size - done);
    const region = bar.regionAt(at);
    const part = region === undefined ? 0 : region.read(at - region.offset, piece) >>> 0;
    if (owner.removed) return allOnes(size);
    value += (part % 2 ** (piece * 8)) * 2 ** (done * 8);
    done += piece;
  }
  return value;
}

/** Write 1 to 4 bytes that lie in the BAR, in aligned pieces, until the function is gone. */
export function writeBar(bar: Bar, offset: number, size: number, value: number, owner: Removable): void {
  for (let done = 0; done < size && !owner.removed; ) {
    const at = offset + done;
    const piece = pieceSize(at, size - done);
    const region = bar.regionAt(at);
    region?.write(at - region.offset, piece, ((value >>> (done * 8)) >>> 0) % 2 ** (piece * 8));
    done += piece;
  }
}
