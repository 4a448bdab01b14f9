/** IEEE 802.3 §3.2, §4.4.2: bytes that a frame takes on the wire besides those from its destination address on. */
export const WIRE = {
  PREAMBLE: 7,
  SFD: 1,
  FCS: 4,
  /** Interframe gap: 96 bit times. */
  IFG: 12,
  /** minFrameSize, check sequence included. */
  MIN_FRAME: 64,
} as const;

const AROUND = WIRE.PREAMBLE + WIRE.SFD + WIRE.FCS + WIRE.IFG;
const PADDED = WIRE.MIN_FRAME - WIRE.FCS;

/**
 * Byte times that frames of like length take on the wire.
 * @param bytes of all of them, from the destination addresses on, without check sequences
 */
export function wireBytes(frames: number, bytes: number): number {
  return Math.max(bytes, frames * PADDED) + frames * AROUND;
}
