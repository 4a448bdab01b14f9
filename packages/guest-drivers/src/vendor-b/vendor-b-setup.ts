import { VB_FRAME_MAX, VB_FRAME_MIN, VB_RING_ENTRIES } from '@ringwire/nic-spec/vendor-b';
import { VirtioError } from '@ringwire/virtio-spec';
import type { PciAccess } from '../access.js';
import type { Breakdown } from '../breakdown.js';
import type { DmaMemory } from '../dma-memory.js';
import type { Patience } from '../patience.js';
import type { ReceivedFrame } from '../received-frame.js';
import type { MsixMessage } from '../transport.js';

/**
 * What the driver tells its user, from within its own methods. What a handler throws comes out of `interrupt`, `poll`, `watch`
 * or `close`, whichever ends next, when the driver has done its work.
 */
export interface VendorBEvents {
  /** A frame came in. It is good during the call. */
  frame(frame: ReceivedFrame): void;
  /** There is room to send again, after FULL. */
  writable?(): void;
  /** The function was given up. */
  broken?(why: Breakdown): void;
}

/** Names of all events. */
export const VENDOR_B_EVENTS: Readonly<Record<keyof VendorBEvents, true>> = {
  frame: true,
  writable: true,
  broken: true,
};

/** What a driver of vendor B's card works with. */
export interface VendorBSetup {
  readonly access: PciAccess;
  readonly dma: DmaMemory;
  readonly events: VendorBEvents;
  /** Messages of the host for vector 0, events, and vector 1, completions; the same one may serve both. */
  readonly messages: readonly [MsixMessage, MsixMessage];
  readonly patience?: Patience;
  /** Entries of either submission ring, a power of two; 256 when left out. */
  readonly entries?: number;
  /** Bytes of each buffer, and so of the longest frame in either direction; 2048 when left out. */
  readonly bufferBytes?: number;
}

/** @throws VirtioError for what no driver can work with */
export function checkedSetup({ entries = 256, bufferBytes = 2048 }: VendorBSetup): {
  entries: number;
  bufferBytes: number;
} {
  // The completion ring is for both rings: twice as long.
  const most = VB_RING_ENTRIES.MAX / 2;
  if (!Number.isInteger(Math.log2(entries)) || entries < VB_RING_ENTRIES.MIN || entries > most)
    throw new VirtioError(
      'entries',
      entries,
      `a power of two from ${VB_RING_ENTRIES.MIN} to ${most}`,
      'vendor B datasheet §4',
    );
  if (!Number.isInteger(bufferBytes) || bufferBytes < VB_FRAME_MIN || bufferBytes > VB_FRAME_MAX)
    throw new VirtioError('bufferBytes', bufferBytes, `${VB_FRAME_MIN} to ${VB_FRAME_MAX}`, 'vendor B datasheet §4');
  return { entries, bufferBytes };
}
