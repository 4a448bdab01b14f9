import { readFileSync } from 'node:fs';
import { readPcap } from '@ringwire/net-backend';
import type { FrameKind } from './case-plan.js';

/** Bytes at the start of every frame that the driver replaces with the frame's number. */
export const NUMBER_BYTES = 4;

/** The frames of a case, sent round and round: frame `n` is `frames[n % frames.length]` with its number put in front. */
export type FrameSet = readonly Uint8Array[];

/**
 * Simple IMIX: 7 frames of 40 IP bytes, 4 of 576, 1 of 1500, each with 14 bytes of Ethernet header and padded to 60.
 * As a NIC's driver sees them: without the 4 bytes of check sequence.
 */
const IMIX = [60, 60, 60, 60, 60, 60, 60, 590, 590, 590, 590, 1514];

const CAPTURE = new URL('../data/two-hosts.pcap', import.meta.url);

/** The same bytes for the same kind, in whichever thread. @param atLeast frames: as many as the ring has descriptors */
export function frameSet(kind: FrameKind, atLeast: number): FrameSet {
  const random = xorshift32(0x2545f491);
  if (kind === 'pcap') return readPcap(readFileSync(CAPTURE)).frames.map(({ bytes }) => bytes);
  const lengths: number[] = [];
  while (lengths.length < atLeast) lengths.push(...(kind === 'imix' ? shuffled(IMIX, random) : [Number(kind)]));
  return lengths.map((length) => Uint8Array.from({ length }, () => random() & 0xff));
}

/** Mean length in bytes. */
export function meanLength(frames: FrameSet): number {
  return frames.reduce((sum, { length }) => sum + length, 0) / frames.length;
}

/**
 * Ones'-complement sum of a frame whose number is 0, as RFC 1071 says: halfword by halfword, in plain JavaScript. The
 * sum of the frame that travels differs from it by the two halfwords of the number.
 */
export function sumWithoutNumber(frame: Uint8Array): number {
  let sum = 0;
  for (let at = NUMBER_BYTES; at < frame.length; at += 2) sum += frame[at]! | ((frame[at + 1] ?? 0) << 8);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function shuffled(lengths: readonly number[], random: () => number): number[] {
  const out = [...lengths];
  for (let i = out.length - 1; i > 0; i--) {
    const other = random() % (i + 1);
    [out[i], out[other]] = [out[other]!, out[i]!];
  }
  return out;
}

/** Seeded: every run sends the same bytes. */
function xorshift32(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
