import type { HostMemory } from '@ringwire/guest-memory';
import { copyAcross, type Frame } from '@ringwire/net-backend';

/** Reads a frame from its first byte on, each byte once, in pieces of any size. */
export class FrameCursor {
  private frame: Frame | undefined;
  private range = 0;
  private at = 0;

  start(frame: Frame): void {
    this.frame = frame;
    this.range = frame.first;
    this.at = frame.skip;
  }

  /** Copy the next bytes of the frame to a range of a memory; the frame has as many. */
  copyTo(memory: HostMemory, to: number, length: number): void {
    const frame = this.frame!;
    const { offset, length: lengths } = frame.ranges;
    while (length > 0) {
      const left = lengths[this.range]! - this.at;
      if (left === 0) {
        this.range++;
        this.at = 0;
        continue;
      }
      const take = Math.min(left, length);
      copyBetween(frame.memory, offset[this.range]! + this.at, memory, to, take);
      this.at += take;
      to += take;
      length -= take;
    }
  }
}

/** Copy bytes from one memory to the same or another one. */
export function copyBetween(source: HostMemory, from: number, target: HostMemory, to: number, bytes: number): void {
  if (source === target) target.engine.copy(to, from, bytes);
  else copyAcross(source.u8, from, target.u8, to, bytes);
}

/**
 * Copy the frame's first bytes into an array of our own, so that what is looked at is looked at once.
 * @returns bytes copied: as many as the array and the frame have
 */
export function peekFrame(frame: Frame, out: Uint8Array, most: number): number {
  const want = Math.min(most, frame.length, out.length);
  const { offset, length } = frame.ranges;
  const u8 = frame.memory.u8;
  let done = 0;
  let skip = frame.skip;
  for (let range = frame.first; done < want && range < frame.end; range++) {
    const from = offset[range]! + skip;
    const take = Math.min(length[range]! - skip, want - done);
    for (let i = 0; i < take; i++) out[done + i] = u8[from + i]!;
    done += take;
    skip = 0;
  }
  return done;
}

/** IEEE 802.1Q: types of a VLAN tag, the customer's and the service's. */
const TPID_CUSTOMER = 0x8100;
const TPID_SERVICE = 0x88a8;
/** Bytes up to a VLAN tag's end. */
const TAGGED_BYTES = 16;
const tag = new Uint8Array(TAGGED_BYTES);

/** @returns the VLAN id of a tagged frame, -1 when there is no tag, or not all of it */
export function vlanIdOf(frame: Frame): number {
  if (frame.length < TAGGED_BYTES) return -1;
  const at = frame.ranges.offset[frame.first]! + frame.skip;
  let bytes = frame.memory.u8;
  let from = at;
  if (frame.ranges.length[frame.first]! - frame.skip < TAGGED_BYTES) {
    peekFrame(frame, tag, TAGGED_BYTES);
    bytes = tag;
    from = 0;
  }
  const type = (bytes[from + 12]! << 8) | bytes[from + 13]!;
  if (type !== TPID_CUSTOMER && type !== TPID_SERVICE) return -1;
  return ((bytes[from + 14]! << 8) | bytes[from + 15]!) & 0xfff;
}
