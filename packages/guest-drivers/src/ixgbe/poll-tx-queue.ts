import { TX_CMD, TX_OLINFO } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import { FRAME, type FrameBurst, type FramePool, LAST } from '../frame-pool.js';
import { NetOffload } from '../net-offload.js';
import type { FrameBytes } from '../tx-header.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { LEAST_FRAME, TxPlan } from './tx-plan.js';
import type { TxRing } from './tx-ring.js';

const BURST = 32;
const ETHERNET = 14;
const VLAN_TAG = 4;
// Plain module constants: a hot loop reads an imported object's member from memory.
const { EOP } = TX_CMD;
const { SHIFT, DATA, LENGTH, IS_SPECIAL, DELTA_LO, ADDRESS_HI } = FRAME;
const { PAYLEN_SHIFT } = TX_OLINFO;
const PLAIN = TX_CMD.DTYP_DATA | TX_CMD.DEXT | TX_CMD.IFCS | EOP;
const NO_TOKEN = -1;
const WORD = 0x1_0000_0000;
/** Most buffers of a frame: so many fetches the card at most for one (82599 datasheet §7.2.1.1). */
const BUFFERS_MAX = 38;

/** Transmit queue of a poll-mode driver: frames of the pool, one report for a burst. */
export class IxgbePollTxQueue implements FrameBytes {
  readonly ring: TxRing;
  private readonly pool: FramePool;
  private readonly counters: IxgbeCounters;
  /** Bytes of a frame without segmentation and tag. */
  private frameMax: number;
  private readonly plan: TxPlan = new TxPlan();
  private readonly offload: NetOffload = new NetOffload();
  private readonly tokens: Int32Array = new Int32Array(BURST);
  // What byteAt looks into.
  private current = LAST;

  /** @param mtu bytes behind the Ethernet header */
  constructor(ring: TxRing, pool: FramePool, mtu: number, counters: IxgbeCounters) {
    this.ring = ring;
    this.pool = pool;
    this.frameMax = mtu + ETHERNET;
    this.counters = counters;
  }

  /**
   * Send frames of a burst, from `from` on: those that the ring has room for are the driver's.
   * @returns frames taken
   * @throws VirtioError for a frame that may not be sent; those before it are sent
   */
  burst(frames: FrameBurst, from: number): number {
    const { ring } = this;
    if (ring.room < frames.count - from || ring.room * 2 <= ring.size) this.reclaim();
    let at = from;
    try {
      while (at < frames.count) {
        const plain = this.addPlain(frames, at);
        at += plain;
        if (at === frames.count || (plain > 0 && ring.room === 0)) break;
        if (!this.addOther(frames.frame[at]!, frames.length[at]!)) break;
        at++;
      }
    } finally {
      if (at > from) {
        // A report of the last one is one of all before it.
        ring.askReport();
        ring.publish();
      }
    }
    return at - from;
  }

  /** Put frames that the card has sent back into the pool. @returns how many */
  reclaim(): number {
    const { ring, pool, tokens } = this;
    let done = 0;
    for (;;) {
      const count = ring.reclaim(tokens);
      pool.putBurst(tokens, count);
      done += count;
      if (count < BURST) return done;
    }
  }

  /** The card let go of the ring: all frames go back into the pool. */
  abandon(): void {
    for (;;) {
      const count = this.ring.takeBack(this.tokens);
      this.pool.putBurst(this.tokens, count);
      this.counters.txLost += count;
      if (count < BURST) return;
    }
  }

  /** @param mtu bytes behind the Ethernet header */
  setMtu(mtu: number): void {
    this.frameMax = mtu + ETHERNET;
  }

  byteAt(offset: number): number {
    const { pool } = this;
    let at = offset;
    for (let buffer = this.current; buffer !== LAST; buffer = pool.nextOf(buffer)) {
      const length = pool.lengthOf(buffer);
      if (at < length) return pool.memory.u8[pool.dataOf(buffer) + at]!;
      at -= length;
    }
    return 0;
  }

  /** Frames of one buffer that are complete: a descriptor each. Stops at the first other one. @returns how many */
  private addPlain(frames: FrameBurst, from: number): number {
    const { ring, frameMax } = this;
    const { words } = this.pool;
    const { frame } = frames;
    const end = from + Math.min(frames.count - from, ring.room);
    let bytes = 0;
    let at = from;
    for (; at < end; at = (at + 1) | 0) {
      const buffer = frame[at]!;
      const word = buffer << SHIFT;
      const length = words[(word + LENGTH) | 0]!;
      if (words[(word + IS_SPECIAL) | 0] !== 0 || length < LEAST_FRAME || length > frameMax) break;
      const low = (words[(word + DATA) | 0]! + words[(word + DELTA_LO) | 0]!) | 0;
      ring.putData(low, words[(word + ADDRESS_HI) | 0]!, PLAIN | length, length << PAYLEN_SHIFT, buffer);
      bytes = (bytes + length) | 0;
    }
    const added = at - from;
    this.counters.txFrames += added;
    this.counters.txBytes += bytes;
    return added;
  }

  /** A frame of several buffers, with an offload or a tag. @returns whether there was room */
  private addOther(first: number, length: number): boolean {
    const { pool, plan, ring } = this;
    this.current = first;
    const buffers = this.check(first, length);
    plan.make(this, length, this.offloadOf(first));
    if (plan.headers === 0 && length > this.frameMax) this.checkTagged(length);
    const { vlanMacip, tucmd, mss } = plan;
    const needsContext = ring.needsContext(vlanMacip, tucmd, mss);
    if (buffers + (needsContext ? 1 : 0) > ring.room) return false;
    if (plan.headers > pool.lengthOf(first))
      throw new VirtioError('headers', plan.headers, 'all of them in the first buffer', 'IxgbePollTxQueue');
    if (plan.headers !== 0) plan.prepareHeaders(pool.memory.view, pool.dataOf(first));
    if (needsContext) ring.putContext(vlanMacip, tucmd, mss);
    for (let buffer = first; buffer !== LAST; buffer = pool.nextOf(buffer)) {
      const address = pool.addressOf(buffer);
      const isLast = pool.nextOf(buffer) === LAST;
      const bits = plan.cmd | pool.lengthOf(buffer) | (isLast ? EOP : 0);
      ring.putData((address % WORD) | 0, Math.floor(address / WORD), bits, plan.olinfo, isLast ? first : NO_TOKEN);
    }
    this.counters.txFrames++;
    this.counters.txBytes += length;
    return true;
  }

  /** @returns buffers of the frame */
  private check(first: number, length: number): number {
    const { pool } = this;
    if (length !== pool.frameBytes(first) || length < LEAST_FRAME)
      throw new VirtioError('length', length, `that of the frame, ${LEAST_FRAME} bytes or more`, 'FrameBurst');
    let buffers = 0;
    for (let buffer = first; buffer !== LAST; buffer = pool.nextOf(buffer)) buffers++;
    if (buffers > BUFFERS_MAX)
      throw new VirtioError('buffers', buffers, `at most ${BUFFERS_MAX}`, '82599 datasheet §7.2.1.1');
    return buffers;
  }

  private checkTagged(length: number): void {
    const isTagged = this.byteAt(12) === 0x81 && this.byteAt(13) === 0;
    if (!isTagged || length > this.frameMax + VLAN_TAG)
      throw new VirtioError('length', length, `at most ${this.frameMax}, MTU and Ethernet header`, 'IxgbePollTxQueue');
  }

  private offloadOf(first: number): NetOffload {
    const { pool, offload } = this;
    offload.flags = pool.flagsOf(first);
    offload.gsoType = pool.gsoTypeOf(first);
    offload.gsoSize = pool.gsoSize[first]!;
    offload.csumStart = pool.csumStart[first]!;
    offload.csumOffset = pool.csumOffset[first]!;
    return offload;
  }
}
