import { BREAK, type Breakdown, breakdown, isBreakdown } from './breakdown.js';

/** What a virtio data plane behind a vendor's control plane has. */
export interface VdpaFacts {
  readonly mac: Uint8Array;
  readonly configBytes: number;
  readonly queues: number;
  readonly queueSizeMax: number;
}

/** Where a virtqueue is. Addresses are below 2^53. */
export interface VdpaRing {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  /** MSI-X vector of used buffers, where the vendor has one for each queue; without one the queue is polled. */
  readonly vector?: number;
}

/** What an answer has of something longer. */
export interface PartsPiece {
  /** Bytes of the whole, as the card claims. */
  readonly total: number;
  /** From where it was asked on, as many as an answer carries: those beyond the end are nobody's. Good until the next call. */
  readonly bytes: Uint8Array;
}

/**
 * Device parts from a card whose answers carry pieces of them.
 * @param most bytes that a function would take: one that claims more has none
 * @param ask the piece from an offset on
 */
export function gatherParts(
  most: number,
  ask: (at: number) => PartsPiece | Breakdown,
): Uint8Array<ArrayBuffer> | Breakdown {
  let parts = new Uint8Array(0);
  let at = 0;
  do {
    const piece = ask(at);
    if (isBreakdown(piece)) return piece;
    const { total, bytes } = piece;
    if (total > most || (at > 0 && total !== parts.length))
      return breakdown(BREAK.NOT_USABLE, `the device's parts have ${total} bytes, want the same each time`);
    if (at === 0) parts = new Uint8Array(total);
    parts.set(bytes.subarray(0, total - at), at);
    at += bytes.length;
  } while (at < parts.length);
  return parts;
}

/**
 * Device parts to a card whose messages carry pieces of them; without parts one that is empty.
 * @param most bytes that the function takes of all
 * @param pieceBytes bytes of a piece, the last one excepted
 */
export function giveParts(
  parts: Uint8Array,
  most: number,
  pieceBytes: number,
  give: (at: number, piece: Uint8Array) => Breakdown | undefined,
): Breakdown | undefined {
  if (parts.length > most)
    return breakdown(BREAK.NOT_USABLE, `the parts have ${parts.length} bytes, want at most ${most}`);
  let at = 0;
  do {
    const problem = give(at, parts.subarray(at, at + pieceBytes));
    if (problem !== undefined) return problem;
    at += pieceBytes;
  } while (at < parts.length);
  return undefined;
}
