import { VirtioError } from '@ringwire/virtio-spec';
import { type Frame, FrameRun } from './frame.js';
import { DELIVERED, type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend } from './net-backend.js';

const HERE = 'LearningSwitch';
/** Addresses that are kept, a power of two. */
const ENTRIES = 4096;
/** Places that an address may have, one behind the other. */
const WAYS = 4;
const NOBODY = -1;
const ADDRESSES_BYTES = 12;
/** In the first byte of an address: it is a group's. */
const GROUP = 1;

/** What went into a switch at one port. */
export interface SwitchPortCounters {
  /** Frames to an address that was known. */
  forwarded: number;
  /** Frames to a group, or to an address that was not known: to all other ports. */
  flooded: number;
  /** Frames to an address at the very port they came from, and frames with nobody to go to. */
  filtered: number;
  /** Copies of flooded frames, and frames, that a device refused or had no room for. */
  lost: number;
}

/**
 * An Ethernet switch between devices of one thread. It learns from source addresses where each is, and sends frames for
 * the others to all. A frame is copied once, from the sender's memory into the receiver's buffers.
 *
 * A frame for one port that has no room is the sender's to keep (FULL); one for several is lost where there is none.
 */
export class LearningSwitch {
  /** What devices are plugged into. */
  readonly ports: readonly (NetBackend & { readonly counters: SwitchPortCounters })[];
  private readonly plugs: readonly SwitchPort[];
  // Known addresses, in two parts, and the port of each. A full set of places loses the address that was learnt first.
  private readonly high = new Uint16Array(ENTRIES);
  private readonly low = new Int32Array(ENTRIES);
  private readonly port = new Int16Array(ENTRIES).fill(NOBODY);
  private readonly turn = new Uint8Array(ENTRIES / WAYS);
  /** Goes on whenever an address is known elsewhere than before: then nothing holds that a port remembers. */
  private epoch = 0;
  /** Of a run, what goes to one address. */
  private part: FrameRun | undefined = undefined;
  private readonly bytes = new Uint8Array(ADDRESSES_BYTES);
  private readonly words = new Uint32Array(this.bytes.buffer);

  /** @param ports 1 to 1024 */
  constructor(ports: number) {
    if (!Number.isInteger(ports) || ports < 1 || ports > 1024)
      throw new VirtioError('ports', ports, 'an integer from 1 to 1024', HERE);
    this.plugs = Array.from({ length: ports }, (_, index) => new SwitchPort(this, index));
    this.ports = this.plugs;
  }

  /** What every device but one's takes: a frame may go to any of them. */
  offloadsBeyond(from: number): number {
    let offloads = EVERY_OFFLOAD;
    for (const plug of this.plugs)
      if (plug.index !== from && plug.device !== undefined) offloads &= plug.device.offloads;
    return offloads;
  }

  /** A frame from the device at a port. */
  forward(frame: Frame, from: SwitchPort): Delivered {
    const { ranges, first, skip, memory } = frame;
    const at = ranges.offset[first]! + skip;
    let words = memory.u32;
    let word = at >>> 2;
    if ((at & 3) !== 0 || Math.min(frame.length, ranges.length[first]! - skip) < ADDRESSES_BYTES) {
      if (!copyAddresses(frame, this.bytes)) {
        from.counters.lost++;
        return DELIVERED.DROPPED;
      }
      words = this.words;
      word = 0;
    }
    const to = this.lookUp(words[word]! | 0, words[(word + 1) | 0]! | 0, words[(word + 2) | 0]! | 0, from);
    if (to === from.index) {
      from.counters.filtered++;
      return DELIVERED.ACCEPTED;
    }
    const known = to === NOBODY ? undefined : this.plugs[to]!.device;
    if (known === undefined) return this.flood(frame, from);
    const delivered = known.receive(frame);
    if (delivered === DELIVERED.ACCEPTED) from.counters.forwarded++;
    else if (delivered === DELIVERED.DROPPED) from.counters.lost++;
    return delivered;
  }

  /** Frames from the device at a port, as many of the first ones as go to a known address whose device takes runs. */
  forwardRun(run: FrameRun, from: SwitchPort): number {
    const part = this.part ?? new FrameRun(run.memory);
    this.part = part;
    part.memory = run.memory;
    part.ranges = run.ranges;
    part.skip = run.skip;
    part.pair = run.pair;
    part.hasHeader = run.hasHeader;
    let done = 0;
    while (done < run.count) {
      const to = this.findAlike(run, done, part, from);
      const device = to === NOBODY || to === from.index ? undefined : this.plugs[to]!.device;
      const accepted = device?.receiveRun?.(part) ?? 0;
      from.counters.forwarded += accepted;
      done += accepted;
      if (accepted < part.count || accepted === 0) break;
    }
    return done;
  }

  /**
   * Find how many frames from one on have its addresses: they make a run of their own.
   * @returns where they go: a port, or NOBODY, for none of them in particular
   */
  private findAlike(run: FrameRun, at: number, part: FrameRun, from: SwitchPort): number {
    if (run.hasHeader) return this.takeAll(run, at, part, from);
    const { offset, length } = run.ranges;
    const { u32 } = run.memory;
    const { skip } = run;
    const start = run.first + at;
    const end = run.first + run.count;
    const word = (offset[start]! + skip) >>> 2;
    const w0 = u32[word]! | 0;
    const w1 = u32[word + 1]! | 0;
    const w2 = u32[word + 2]! | 0;
    let bytes = 0;
    let i = start;
    for (; i < end; i = (i + 1) | 0) {
      const begin = offset[i]! + skip;
      const frameBytes = length[i]! - skip;
      const its = begin >>> 2;
      if ((begin & 3) !== 0 || frameBytes < ADDRESSES_BYTES) break;
      if ((u32[its]! | 0) !== w0 || (u32[its + 1]! | 0) !== w1 || (u32[its + 2]! | 0) !== w2) break;
      bytes += frameBytes;
    }
    part.first = start;
    part.count = i - start;
    part.bytes = bytes;
    return i === start ? NOBODY : this.lookUp(w0, w1, w2, from);
  }

  /** A run whose frames are known to have the same addresses. */
  private takeAll(run: FrameRun, at: number, part: FrameRun, from: SwitchPort): number {
    part.first = run.first + at;
    part.count = run.count - at;
    part.bytes = run.ranges.bytes(part.first, part.count) - part.count * run.skip;
    part.word0 = run.word0;
    part.word1 = run.word1;
    part.word2 = run.word2;
    part.type16 = run.type16;
    return this.lookUp(run.word0, run.word1, run.word2, from);
  }

  /** The end of a burst from a port, for all that frames went to. */
  flush(from: number): void {
    for (const { index, device } of this.plugs) if (index !== from) device?.flush?.();
  }

  /** What was learnt of a port whose device went. */
  forget(port: number): void {
    for (let at = 0; at < ENTRIES; at++) if (this.port[at] === port) this.port[at] = NOBODY;
    this.epoch++;
  }

  /**
   * Learn whom a frame is from, and find whom it is for. Most frames have the addresses of the one before.
   * @param w0,w1,w2 both addresses, destination first, as three words
   * @returns a port, or NOBODY for a group or an address that is not known
   */
  private lookUp(w0: number, w1: number, w2: number, from: SwitchPort): number {
    if (w0 === from.w0 && w1 === from.w1 && w2 === from.w2 && from.epoch === this.epoch) return from.to;
    // A group's address is nobody's source. Each address is its last two bytes, and its first four.
    if ((w1 & (GROUP << 16)) === 0) this.learn(w2 >>> 16, (w1 >>> 16) | (w2 << 16), from.index);
    const to = (w0 & GROUP) !== 0 ? NOBODY : this.find(w1 & 0xffff, w0);
    from.w0 = w0;
    from.w1 = w1;
    from.w2 = w2;
    from.to = to;
    from.epoch = this.epoch;
    return to;
  }

  private flood(frame: Frame, from: SwitchPort): Delivered {
    const { counters } = from;
    let others = 0;
    let only: FrameSink | undefined;
    for (const { index, device } of this.plugs) {
      if (index === from.index || device === undefined) continue;
      others++;
      only = device;
    }
    if (only === undefined) {
      counters.filtered++;
      return DELIVERED.ACCEPTED;
    }
    if (others === 1) {
      const delivered = only.receive(frame);
      if (delivered === DELIVERED.ACCEPTED) counters.flooded++;
      else if (delivered === DELIVERED.DROPPED) counters.lost++;
      return delivered;
    }
    for (const { index, device } of this.plugs)
      if (index !== from.index && device !== undefined && device.receive(frame) !== DELIVERED.ACCEPTED) counters.lost++;
    counters.flooded++;
    return DELIVERED.ACCEPTED;
  }

  private learn(high: number, low: number, port: number): void {
    const first = placeOf(high, low);
    let free = NOBODY;
    for (let at = first; at < first + WAYS; at++) {
      if (this.port[at] === NOBODY) free = at;
      else if (this.low[at] === low && this.high[at] === high) {
        if (this.port[at] === port) return;
        this.port[at] = port;
        this.epoch++;
        return;
      }
    }
    const set = first / WAYS;
    const at = free === NOBODY ? first + (this.turn[set]!++ & (WAYS - 1)) : free;
    this.high[at] = high;
    this.low[at] = low;
    this.port[at] = port;
    this.epoch++;
  }

  private find(high: number, low: number): number {
    const first = placeOf(high, low);
    for (let at = first; at < first + WAYS; at++)
      if (this.low[at] === low && this.high[at] === high && this.port[at] !== NOBODY) return this.port[at]!;
    return NOBODY;
  }
}

/** One port of a switch: the far end of a device's cable. */
class SwitchPort implements NetBackend {
  readonly index: number;
  readonly counters: SwitchPortCounters = { forwarded: 0, flooded: 0, filtered: 0, lost: 0 };
  device: FrameSink | undefined = undefined;
  /** Addresses of the last frame, which port they lead to, and since when: see {@link LearningSwitch}. */
  w0 = 0;
  w1 = 0;
  w2 = 0;
  to: number = NOBODY;
  epoch = -1;
  private readonly home: LearningSwitch;

  constructor(home: LearningSwitch, index: number) {
    this.home = home;
    this.index = index;
  }

  get offloads(): number {
    return this.home.offloadsBeyond(this.index);
  }

  receive(frame: Frame): Delivered {
    return this.home.forward(frame, this);
  }

  receiveRun(run: FrameRun): number {
    return this.home.forwardRun(run, this);
  }

  flush(): void {
    this.home.flush(this.index);
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
    this.home.forget(this.index);
  }

  /** Frames are handed on when they come; none waits here. */
  pump(_budget: number): number {
    return 0;
  }
}

/** Both addresses, through however many ranges they lie in. @returns false when the frame is shorter */
function copyAddresses(frame: Frame, into: Uint8Array): boolean {
  if (frame.length < ADDRESSES_BYTES) return false;
  const { u8 } = frame.memory;
  const { ranges } = frame;
  let range = frame.first;
  let at = frame.skip;
  for (let byte = 0; byte < ADDRESSES_BYTES; byte++) {
    while (at >= ranges.length[range]!) {
      range++;
      at = 0;
    }
    into[byte] = u8[ranges.offset[range]! + at++]!;
  }
  return true;
}

/** First of the places of an address. */
function placeOf(high: number, low: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x9e37_79b1), 0x85eb_ca6b);
  return ((mixed >>> 16) & (ENTRIES / WAYS - 1)) * WAYS;
}
