import { ACCESS, type HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { Frame } from '@ringwire/net-backend';
import { MISBEHAVIOR, RING, TX_CMD, TX_OLINFO } from '@ringwire/nic-spec/ixgbe';
import type { DescriptorRing } from './descriptor-ring.js';
import { addressFrom, type DmaBurst } from './dma-burst.js';

const { DEXT, DTYP_MASK, DTYP_CONTEXT, DTYP_DATA, DTALEN_MASK, EOP, RS, TSE } = TX_CMD;
const WORDS = RING.DESC_SIZE >> 2;
/** 82599 datasheet §7.2.1: most buffers of a packet. */
const BUFFERS_MOST = 40;

/** What {@link TxPacket.fetch} found. */
export const FETCHED = {
  /** The packet's end is not there yet. */
  INCOMPLETE: 0,
  PACKET: 1,
  /** A context descriptor: its {@link TxPacket.words}. */
  CONTEXT: 2,
  /** {@link TxPacket.cause} says why the queue is to be stopped. */
  BAD: 3,
} as const;

/** The descriptors of one packet, each read once. */
export class TxPacket {
  /** The packet's bytes, where the driver has them. */
  readonly frame: Frame;
  /** Descriptors that it takes. */
  descriptors = 0;
  isLegacy = false;
  /** Command and type of the first descriptor and `olinfo_status` of an advanced one: what holds for the packet. */
  command = 0;
  options = 0;
  /** The same words of the last descriptor, which a legacy packet's commands are in. */
  lastCommand = 0;
  lastOptions = 0;
  /** Of `MISBEHAVIOR`. */
  cause: number = MISBEHAVIOR.NONE;
  /** Words of the descriptor that was read last. */
  readonly words: Uint32Array = new Uint32Array(WORDS);
  /** Word index of each descriptor whose status is to be reported, and whether it is a legacy one. */
  readonly reports: Uint32Array = new Uint32Array(BUFFERS_MOST);
  reportCount = 0;
  private readonly memory: HostMemory;
  private readonly dma: DmaBurst;

  constructor(dma: DmaBurst) {
    this.dma = dma;
    this.memory = dma.space.memory;
    this.frame = new Frame(this.memory);
    this.frame.ranges = new RangeList(64);
  }

  /** Read the packet, or the context, at a sound ring's head. @returns a `FETCHED` */
  fetch(ring: DescriptorRing): number {
    const { frame, words } = this;
    frame.ranges.clear();
    frame.length = 0;
    frame.first = 0;
    frame.skip = 0;
    this.descriptors = 0;
    this.reportCount = 0;
    for (let index = ring.head; index !== ring.tail; index = ring.behind(index, 1)) {
      const at = ring.locate(index);
      if (at < 0) return this.bad(MISBEHAVIOR.DMA);
      this.load(at >>> 2);
      const command = words[2]!;
      if (this.descriptors === 0 && (command & (DEXT | DTYP_MASK)) === (DEXT | DTYP_CONTEXT)) {
        this.descriptors = 1;
        return FETCHED.CONTEXT;
      }
      if (!this.belongs(command)) return this.bad(MISBEHAVIOR.DESCRIPTOR);
      if (!this.addBuffer(command & DTALEN_MASK)) return FETCHED.BAD;
      if ((command & RS) !== 0) this.reports[this.reportCount++] = at >>> 2;
      this.descriptors++;
      if ((command & EOP) === 0) continue;
      this.lastCommand = command;
      this.lastOptions = words[3]!;
      frame.end = frame.ranges.count;
      return FETCHED.PACKET;
    }
    return FETCHED.INCOMPLETE;
  }

  /** The descriptor is data of the kind that the packet began with. */
  private belongs(command: number): boolean {
    const isLegacy = (command & DEXT) === 0;
    if (!isLegacy && (command & DTYP_MASK) !== DTYP_DATA) return false;
    if (this.descriptors > 0) return isLegacy === this.isLegacy && this.descriptors < BUFFERS_MOST;
    this.isLegacy = isLegacy;
    this.command = isLegacy ? command & ~TSE : command;
    this.options = this.words[3]!;
    return true;
  }

  /** A legacy descriptor of no bytes transfers none. An advanced one has some. */
  private addBuffer(bytes: number): boolean {
    const { frame, dma, words } = this;
    if (bytes === 0) {
      if (this.isLegacy) return true;
      this.cause = MISBEHAVIOR.DESCRIPTOR;
      return false;
    }
    const low = words[0]! | 0;
    const high = words[1]! | 0;
    const host = dma.reach(low, high, bytes, ACCESS.READ);
    if (host >= 0) frame.ranges.push(host, bytes);
    else if (
      host !== RESOLVE.SPLIT ||
      !dma.space.resolveRanges(addressFrom(low, high), bytes, ACCESS.READ, frame.ranges)
    ) {
      this.cause = MISBEHAVIOR.DMA;
      return false;
    }
    frame.length += bytes;
    return true;
  }

  private load(word: number): void {
    const { words } = this;
    const { u32 } = this.memory;
    for (let i = 0; i < WORDS; i++) words[i] = u32[word + i]!;
  }

  private bad(cause: number): number {
    this.cause = cause;
    return FETCHED.BAD;
  }

  /** Bytes that the first descriptor promises: all, or those behind the headers. */
  get payloadBytes(): number {
    return this.options >>> TX_OLINFO.PAYLEN_SHIFT;
  }
}
