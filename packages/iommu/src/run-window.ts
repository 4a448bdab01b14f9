import type { AddressWindow } from '@ringwire/guest-memory';

/** No window goes across a multiple of this, so that its addresses have one high word. */
const WINDOW_BYTES = 0x4000_0000;

/** An {@link AddressWindow} that moves. */
export interface RunWindow extends AddressWindow {
  hi: number;
  lo32: number;
  bytes: number;
  host32: number;
}

/** @param access the one `ACCESS` bit that the window is for */
export const newRunWindow = (access: number): RunWindow => ({ hi: 0, lo32: 0, bytes: 0, host32: 0, refused: ~access });

/**
 * Make a window of what a run has around an address.
 * @param start,end the run's first address and the one behind its last, `address` between them
 * @param host      host offset of `start`
 */
export function placeWindow(window: RunWindow, address: number, start: number, end: number, host: number): void {
  const block = address - (address % WINDOW_BYTES);
  const from = Math.max(start, block);
  window.hi = Math.floor(from / 0x1_0000_0000);
  window.lo32 = from | 0;
  window.bytes = Math.min(end, block + WINDOW_BYTES) - from;
  window.host32 = (host + from - start) | 0;
}
