import type { HostMemory } from '@ringwire/guest-memory';
import { RangeList } from '@ringwire/guest-memory';
import { copyFrame, Frame } from '@ringwire/net-backend';
import { ETHERNET, ETHERTYPE, FrameHeaders, HEADER_BYTES, parseFrame, VLAN_TAG } from '@ringwire/net-offload';
import { macHigh, macLow } from './mac-address.js';

const TAG = VLAN_TAG.SIZE;
/** Both addresses, two tags and the type behind them: what is decided by without looking into what a frame carries. */
export const LINK_HEADER_BYTES: number = ETHERNET.SIZE + 2 * TAG;
const ADDRESSES_BYTES = ETHERNET.type;
/** A tag's control information: the priority is above this. IEEE 802.1Q §9.6 */
const PRIORITY_SHIFT = 13;
const VLAN_ID = 0xfff;
/** Bytes of memory that a head lies in: room for a tag in front, and what is looked into. */
export const HEAD_AREA_BYTES: number = 16 + HEADER_BYTES;

const isTag = (type: number): boolean => type === ETHERTYPE.VLAN || type === ETHERTYPE.SERVICE_VLAN;

/**
 * The first bytes of one frame, in memory that no driver can write, and the frame made of them and of the rest of its
 * own ranges: what is decided on is what is handed on, whatever a driver does to its memory meanwhile.
 */
export class FrameHead {
  readonly u8: Uint8Array;
  /** Host offset of the first byte, and how many are here. */
  at = 0;
  bytes = 0;
  /** Of the whole frame. */
  length = 0;
  // Addresses as two numbers each; see mac-address.ts.
  toLow = 0;
  toHigh = 0;
  fromLow = 0;
  fromHigh = 0;
  /** Tags in front of the type: 0 to 2, and the first one's fields. */
  tags = 0;
  tagProtocol = 0;
  tci = 0;
  /** What the frame carries, or a third tag; -1 when a tag is cut off. */
  etherType = -1;
  private readonly memory: HostMemory;
  private readonly base: number;
  private readonly whole: Frame;
  private readonly bare: Frame;
  private isBareMade = false;
  private readonly parsed: FrameHeaders = new FrameHeaders();
  private isParsed = false;
  private source: Frame;
  /** How much further back everything in the frame lies than its sender says. */
  private shift = 0;
  private taken = 0;

  /** @param base host offset of HEAD_AREA_BYTES bytes, a multiple of 4 */
  constructor(memory: HostMemory, base: number) {
    this.memory = memory;
    this.u8 = memory.u8;
    this.base = base;
    this.whole = new Frame(memory);
    this.whole.ranges = new RangeList(32);
    this.bare = new Frame(memory);
    this.bare.ranges = new RangeList(32);
    this.source = this.whole;
  }

  /** The VLAN that the first tag says, 0 without one. */
  get vlan(): number {
    return this.tags === 0 ? 0 : this.tci & VLAN_ID;
  }

  /** Copy the first bytes of a frame. @param frame in the same memory, of 14 bytes at least */
  load(frame: Frame, bytes: number): void {
    this.source = frame;
    this.at = this.base + TAG;
    this.taken = copyFrame(frame, 0, this.memory, this.at, bytes);
    this.bytes = this.taken;
    this.length = frame.length;
    this.shift = 0;
    this.read();
  }

  /** Put 14 bytes that were read before in place of the first ones. As memory's words have them. */
  setHeader(word0: number, word1: number, word2: number, type16: number): void {
    const { u32, u16 } = this.memory;
    const word = this.at >>> 2;
    u32[word] = word0;
    u32[word + 1] = word1;
    u32[word + 2] = word2;
    u16[2 * word + ETHERNET.type / 2] = type16;
    this.read();
  }

  /** Put a tag in front of whatever is there, or in place of the first one. */
  setTag(protocol: number, id: number, priority: number, replaces: boolean): void {
    const { u8 } = this;
    if (!replaces) {
      u8.copyWithin(this.at - TAG, this.at, this.at + ADDRESSES_BYTES);
      this.at -= TAG;
      this.bytes += TAG;
      this.length += TAG;
      this.shift += TAG;
    }
    const tag = this.at + ADDRESSES_BYTES;
    const tci = (priority << PRIORITY_SHIFT) | id;
    u8[tag] = protocol >>> 8;
    u8[tag + 1] = protocol;
    u8[tag + 2] = tci >>> 8;
    u8[tag + 3] = tci;
    this.read();
  }

  /** What it carries, as far as that was copied. Offsets count from {@link at}. */
  headers(): FrameHeaders {
    if (!this.isParsed) {
      parseFrame(this.u8, this.at, this.bytes, this.parsed);
      this.isParsed = true;
    }
    return this.parsed;
  }

  /** The frame. Good until the next change of the head. */
  frame(): Frame {
    const { whole } = this;
    if (whole.ranges.count === 0) {
      whole.ranges.push(this.at, this.bytes);
      this.finish(whole, this.shift);
    }
    return whole;
  }

  /** The frame without its first tag, which it has. */
  frameWithoutTag(): Frame {
    const { bare } = this;
    if (!this.isBareMade) {
      this.isBareMade = true;
      bare.ranges.clear();
      bare.ranges.push(this.at, ADDRESSES_BYTES);
      bare.ranges.push(this.at + ADDRESSES_BYTES + TAG, this.bytes - ADDRESSES_BYTES - TAG);
      this.finish(bare, this.shift - TAG);
    }
    return bare;
  }

  private read(): void {
    this.whole.ranges.clear();
    this.isBareMade = false;
    this.isParsed = false;
    this.toLow = macLow(this.u8, this.at);
    this.toHigh = macHigh(this.u8, this.at);
    this.fromLow = macLow(this.u8, this.at + ETHERNET.source);
    this.fromHigh = macHigh(this.u8, this.at + ETHERNET.source);
    this.readTags();
  }

  private readTags(): void {
    const { u8, at, bytes } = this;
    this.tags = 0;
    let typeAt = ADDRESSES_BYTES;
    let type = (u8[at + typeAt]! << 8) | u8[at + typeAt + 1]!;
    while (this.tags < 2 && isTag(type)) {
      if (typeAt + TAG + 2 > bytes) {
        this.etherType = -1;
        return;
      }
      const tci = (u8[at + typeAt + 2]! << 8) | u8[at + typeAt + 3]!;
      if (this.tags === 0) {
        this.tagProtocol = type;
        this.tci = tci;
      }
      this.tags++;
      typeAt += TAG;
      type = (u8[at + typeAt]! << 8) | u8[at + typeAt + 1]!;
    }
    this.etherType = type;
  }

  /** Behind the head, the rest of the sender's own ranges, and what is still to be done. */
  private finish(frame: Frame, shift: number): void {
    const { source, taken } = this;
    const { ranges } = source;
    let skip = source.skip + taken;
    let left = source.length - taken;
    for (let range = source.first; range < source.end && left > 0; range++) {
      const length = Math.min(ranges.length[range]! - skip, left);
      if (length > 0) {
        frame.ranges.push(ranges.offset[range]! + skip, length);
        left -= length;
      }
      skip = Math.max(0, skip - ranges.length[range]!);
    }
    frame.end = frame.ranges.count;
    frame.length = source.length + shift;
    frame.pair = source.pair;
    frame.flags = source.flags;
    frame.gsoType = source.gsoType;
    frame.gsoSize = source.gsoSize;
    frame.hdrLen = moved(source.hdrLen, shift);
    frame.csumStart = moved(source.csumStart, shift);
    frame.csumOffset = source.csumOffset;
    frame.outerThOffset = moved(source.outerThOffset, shift);
    frame.innerNhOffset = moved(source.innerNhOffset, shift);
  }
}

/** Zero is "none". */
const moved = (offset: number, shift: number): number => (offset === 0 ? 0 : offset + shift);
