import { MSS, TCP_HEADERS } from '../claims/station.js';
import { type Found, findTaint } from './taint.js';
import { PAGE, type TaintedGuest, type WatchedRam } from './tainted-guest.js';

/** Where a frame's taint begins: behind addresses, two tags and a type, and a multiple of 4. */
export const TAINT_AT = 24;
/** The length that hardware makes frames. */
export const PADDED = 60;
/** Where a message's taint begins, and bytes of its segments before and behind whole words of taint. */
export const MESSAGE_TAINT_AT = 56;
const ODD = 4;
/** What is in front of a frame as it was sent: virtio 1.4 §5.1.6, struct virtio_net_hdr, and tags of the switch's. */
const IN_FRONT: number = 12 + 2 * 4;
/** The longest segment's frame. */
export const SEGMENT: number = TCP_HEADERS + MSS;

/** Something that was sent: its bytes, and the ports that the switch decided on. */
interface Sent {
  readonly bytes: Uint8Array;
  readonly ports: ReadonlySet<number>;
  /** It is cut up into segments of its payload. */
  readonly isCut: boolean;
}

/** Knows what was sent to whom, and says of bytes whether they may be where they are. Violations are noted in words. */
export class TaintJudge {
  readonly violations: string[] = [];
  /** By the number that is in their taint. */
  readonly sent: Sent[] = [];
  /** Frames that drivers, and whoever is beyond the wire, were given. */
  received = 0;
  /** Which guest does as it likes; -1: none. */
  hostile = -1;

  /** Look at what became of a guest's RAM. @param came frames that the switch handed to it meanwhile */
  check(guest: TaintedGuest, came: number): void {
    const { before, now, uses } = guest;
    const { vf } = guest.of;
    let known = 0;
    const changed = guest.changedPages();
    for (const from of changed)
      if (vf !== this.hostile && uses[from / PAGE] === 'never')
        this.violations.push(`guest ${vf}: page ${from / PAGE}, which its driver never had, was written`);
    const explained = new Uint8Array(now.length);
    for (const from of changed) known += this.judge(guest, now, from, from + PAGE, 'its RAM', explained);
    // What a hostile guest sent to it says nothing of itself.
    if (vf === this.hostile || came > known) return;
    for (const from of changed)
      for (let at = from; at < from + PAGE && uses[from / PAGE] === 'frames'; at++)
        if (now[at] !== before[at] && explained[at] === 0) {
          this.violations.push(`guest ${vf}: byte ${at.toString(16)} was written, which is no frame's`);
          break;
        }
  }

  /** The same of a host's. */
  checkHost(host: WatchedRam): void {
    const { port } = host.of;
    for (const page of host.changedPages())
      for (const { owner, frame } of findTaint(host.now, page, page + PAGE))
        if (!this.isHostiles(owner) && (frame < 0 || !this.mayHave(port.number, frame)))
          this.violations.push(`host at port ${port.number}: bytes of owner ${owner}, frame ${frame}`);
  }

  /** A driver, or whoever is beyond the wire, was given a frame: it is one that was sent, but for tags and padding. */
  take(bytes: Uint8Array, port: number, who: string): void {
    const [found] = findTaint(bytes, 0, bytes.length);
    this.received++;
    if (found === undefined) {
      if (this.hostile < 0) this.violations.push(`${who}: a frame that nobody sent`);
      return;
    }
    const { frame } = found;
    if (!this.mayHave(port, frame)) {
      if (!this.isHostiles(found.owner)) this.violations.push(`${who}: frame ${frame}, which is not for it`);
      return;
    }
    const { bytes: sent, isCut } = this.sent[frame]!;
    if (isCut) {
      this.takeSegment(untagged(bytes), sent, found, who);
      return;
    }
    const [got, want] = [untagged(bytes), untagged(sent)];
    const isSame = got.length >= want.length && want.every((byte, at) => byte === got[at]);
    const rest = got.slice(want.length);
    if (!isSame || rest.some((byte) => byte !== 0) || got.length > Math.max(PADDED, want.length))
      this.violations.push(`${who}: frame ${frame} is not as it was sent`);
  }

  /** Bytes that somebody was shown: registers, or a saved state. @param what in words */
  look(guest: TaintedGuest, bytes: Uint8Array, what: string): void {
    this.judge(guest, bytes, 0, bytes.length, what);
  }

  /** Look for bytes of others. @returns frames that begin there, by right */
  private judge(
    { owner: own, of }: TaintedGuest,
    u8: Uint8Array,
    from: number,
    end: number,
    what: string,
    explained?: Uint8Array,
  ): number {
    let frames = 0;
    for (const found of findTaint(u8, from, end)) {
      const { owner, frame, offset, at, bytes } = found;
      const isOwn = owner === own && (frame < 0 || this.sent[frame] !== undefined);
      if (frame < 0 ? isOwn : this.mayHave(of.port.number, frame) || isOwn) {
        if (frame >= 0 && (offset === 0 || this.sent[frame]!.isCut)) frames++;
        if (frame >= 0 && explained !== undefined) this.explain(explained, u8, found);
        continue;
      }
      // What a hostile guest writes may look like anything.
      if (this.isHostiles(owner)) continue;
      const whose = frame < 0 ? `memory at ${offset.toString(16)}` : `frame ${frame} at ${offset}`;
      this.violations.push(`guest ${of.vf}, ${what} at ${at.toString(16)}: ${bytes} bytes of owner ${owner}, ${whose}`);
    }
    return frames;
  }

  /** Headers in front of the taint, the rest of its last word, and the padding of a short frame, which has to be zeros. */
  private explain(explained: Uint8Array, u8: Uint8Array, found: Found): void {
    const { bytes, isCut } = this.sent[found.frame]!;
    const until = found.at + found.bytes;
    if (isCut) {
      explained.fill(1, Math.max(0, found.at - ODD - TCP_HEADERS - IN_FRONT), until + ODD);
      return;
    }
    const start = found.at - found.offset - TAINT_AT;
    explained.fill(1, Math.max(0, start - IN_FRONT), Math.max(until, start + bytes.length));
    for (let at = start + bytes.length; at < start + PADDED; at++) if (u8[at] === 0) explained[at] = 1;
  }

  /** A segment's payload is a part of its message's; headers are made for it. */
  private takeSegment(got: readonly number[], sent: Uint8Array, found: Found, who: string): void {
    const [first] = findTaint(Uint8Array.from(got), 0, got.length);
    const from = MESSAGE_TAINT_AT + found.offset - (first!.at - TCP_HEADERS);
    const isPart = got.slice(TCP_HEADERS).every((byte, at) => byte === (sent[from + at] ?? 0));
    const isWhole =
      got.length <= SEGMENT && from >= TCP_HEADERS && from + got.length - TCP_HEADERS <= Math.max(sent.length, PADDED);
    if (!isPart || !isWhole) this.violations.push(`${who}: a segment of frame ${found.frame} is not as it was sent`);
  }

  private mayHave(port: number, frame: number): boolean {
    return this.sent[frame]?.ports.has(port) ?? false;
  }

  private isHostiles(owner: number): boolean {
    return this.hostile >= 0 && owner === this.hostile + 1;
  }
}

/** A frame without its tags. */
function untagged(bytes: Uint8Array): number[] {
  const all = [...bytes];
  while ((all[12] === 0x81 && all[13] === 0) || (all[12] === 0x88 && all[13] === 0xa8)) all.splice(12, 4);
  return all;
}
