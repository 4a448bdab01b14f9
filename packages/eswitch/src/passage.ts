import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { BroughtFrame, DELIVERED, type Delivered, Frame, FrameRun, type FrameSink } from '@ringwire/net-backend';
import { ETHERNET, OFFLOAD_AREA_BYTES, OFFLOAD_FAULT, OffloadEngine, VLAN_TAG } from '@ringwire/net-offload';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { Decision, FORM } from './decision.js';
import { FrameHead, HEAD_AREA_BYTES } from './frame-head.js';
import type { PortVlan } from './port-settings.js';

/** Longest frame: an IP packet of 65535 bytes, an Ethernet header and a tag. */
export const FRAME_BYTES_MAX = 65_553;
/** Bytes of memory that a passage works in: a head, two engines', and a frame of another memory. Multiples of 8. */
const ENTRY_AT = HEAD_AREA_BYTES;
const EXIT_AT = (ENTRY_AT + OFFLOAD_AREA_BYTES + 7) & ~7;
const FRAME_AT = (EXIT_AT + OFFLOAD_AREA_BYTES + 7) & ~7;
export const PASSAGE_BYTES: number = (FRAME_AT + FRAME_BYTES_MAX + 7) & ~7;

const WORK = VIRTIO_NET_HDR_F.NEEDS_CSUM | VIRTIO_NET_HDR_F.UDP_TUNNEL_CSUM;

/** One frame on its way through a switch, and what is done to it there. Reused. */
export class Passage {
  readonly head: FrameHead;
  readonly decision: Decision;
  /** Frames of a run that go the same way. */
  readonly part: FrameRun;
  /** Bytes of the longest frame that it becomes, how many those are, and all their bytes. */
  longest = 0;
  frames = 0;
  bytes = 0;
  private readonly memory: HostMemory;
  /** What is still to be done is checked as the frame comes in, and done as it goes out. */
  private readonly entry: OffloadEngine;
  private readonly exit: OffloadEngine;
  private readonly brought: BroughtFrame;
  /** Bytes that nobody sent: they lie where brought frames do. */
  private readonly given: Frame;
  /** A frame of a run. */
  private readonly one: Frame;
  private hasWork = false;
  /** `FORM` of the frame that the exit has, or -1. */
  private inExit = -1;

  /**
   * @param at host offset of PASSAGE_BYTES bytes, a multiple of 8
   * @param ports of the switch
   */
  constructor(memory: HostMemory, at: number, ports: number) {
    this.memory = memory;
    this.head = new FrameHead(memory, at);
    this.entry = new OffloadEngine(memory, at + ENTRY_AT);
    this.exit = new OffloadEngine(memory, at + EXIT_AT);
    this.decision = new Decision(ports);
    this.part = new FrameRun(memory);
    this.one = new Frame(memory);
    this.brought = new BroughtFrame(memory, at + FRAME_AT, FRAME_BYTES_MAX);
    this.given = new Frame(memory);
    this.given.ranges = new RangeList(1);
    this.given.ranges.push(at + FRAME_AT, 0);
    this.given.end = 1;
  }

  /**
   * Take a frame in: from here on its first bytes are a copy of its sender's.
   * @param frame of 14 to FRAME_BYTES_MAX bytes
   * @param headBytes that are looked into
   * @returns false when what is to be done to it does not fit it
   */
  enter(frame: Frame, headBytes: number): boolean {
    const own = this.brought.bring(frame);
    if (own === undefined) return false;
    this.hasWork = (own.flags & WORK) !== 0 || own.gsoType !== VIRTIO_NET_HDR_GSO.NONE;
    this.inExit = -1;
    this.longest = own.length;
    this.frames = 1;
    this.bytes = own.length;
    if (!this.hasWork) {
      this.head.load(own, headBytes);
      return true;
    }
    const { entry } = this;
    if (entry.take(own) !== OFFLOAD_FAULT.NONE) return false;
    this.head.load(entry.frame, headBytes);
    this.measure(entry.frame);
    return true;
  }

  /** The same for bytes that nobody sent. */
  enterBytes(bytes: Uint8Array, headBytes: number): void {
    const { given, memory } = this;
    memory.u8.set(bytes, given.ranges.offset[0]!);
    given.ranges.length[0] = bytes.length;
    given.length = bytes.length;
    given.clearOffloads();
    this.enter(given, headBytes);
  }

  /** Whether a frame could be one of a run. */
  isPlain({ memory, ranges, first, end, skip, length, flags, gsoType }: Frame): boolean {
    if (memory !== this.memory || end !== first + 1 || flags !== 0 || gsoType !== VIRTIO_NET_HDR_GSO.NONE) return false;
    return ((ranges.offset[first]! + skip) & 3) === 0 && ranges.length[first]! === skip + length;
  }

  /** Make such a frame the {@link part}. Its header is read once. */
  partOf({ ranges, first, skip, length, pair }: Frame): void {
    const { part, memory } = this;
    const { u32, u16 } = memory;
    const word = (ranges.offset[first]! + skip) >>> 2;
    part.ranges = ranges;
    part.first = first;
    part.count = 1;
    part.skip = skip;
    part.bytes = length;
    part.pair = pair;
    part.hasHeader = true;
    part.word0 = u32[word]! | 0;
    part.word1 = u32[word + 1]! | 0;
    part.word2 = u32[word + 2]! | 0;
    part.type16 = u16[2 * word + ETHERNET.type / 2]!;
  }

  /** A frame of a run whose header was read before. */
  enterOf(part: FrameRun, index: number): void {
    const { one } = this;
    const range = part.first + index;
    one.ranges = part.ranges;
    one.first = range;
    one.end = range + 1;
    one.skip = part.skip;
    one.length = part.ranges.length[range]! - part.skip;
    one.pair = part.pair;
    this.enter(one, ETHERNET.SIZE);
    this.head.setHeader(part.word0, part.word1, part.word2, part.type16);
  }

  /** The same, with the tag of its sender's port VLAN, which such a frame has none of. */
  enterTagged(part: FrameRun, index: number, portVlan: PortVlan | undefined): void {
    this.enterOf(part, index);
    if (portVlan !== undefined) this.head.setTag(portVlan.protocol, portVlan.id, portVlan.priority, false);
  }

  /** Hand the frame to a receiver, finished as far as that needs it. @param form a `FORM` */
  deliver(sink: FrameSink, form: number): Delivered {
    const { head, exit } = this;
    if (!this.hasWork) return sink.receive(form === FORM.WHOLE ? head.frame() : head.frameWithoutTag());
    if (this.inExit !== form) {
      // With one tag more than an engine looks behind, or headers that end further back, nothing can be done to a frame.
      this.inExit = -1;
      if (exit.take(form === FORM.WHOLE ? head.frame() : head.frameWithoutTag()) !== OFFLOAD_FAULT.NONE)
        return DELIVERED.DROPPED;
      this.inExit = form;
    }
    return exit.deliver(sink);
  }

  /** Bytes of the frame as it is in a `FORM`. */
  lengthIn(form: number): number {
    return form === FORM.WHOLE ? this.head.length : this.head.length - VLAN_TAG.SIZE;
  }

  private measure({ gsoType, gsoSize, hdrLen, length }: Frame): void {
    if (gsoType === VIRTIO_NET_HDR_GSO.NONE || gsoSize === 0) return;
    this.longest = this.entry.largestSegment();
    this.frames = Math.max(1, Math.ceil((length - hdrLen) / gsoSize));
    this.bytes = length + (this.frames - 1) * hdrLen;
  }
}
