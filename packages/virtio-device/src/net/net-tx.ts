import { DELIVERED, type Delivered, Frame, FrameRun, type NetBackend, ORIGIN_MASK } from '@ringwire/net-backend';
import { SegmentProgress } from '@ringwire/net-offload';
import { privateArrays } from '@ringwire/ring-loops';
import { VIRTIO_NET_HDR_F } from '@ringwire/virtio-spec/net';
import { ChainBurst, type DeviceQueue } from '@ringwire/virtqueue';
import { vlanIdOf } from './frame-bytes.js';
import { type FrameLoops, frameLoops } from './frame-loops.js';
import { NET_DROP } from './net-drop.js';
import { NetQueue } from './net-queue.js';
import { ETHERNET_HEADER_BYTES, type NetState, VLAN_TAG_BYTES } from './net-state.js';
import { newTxStatistics, TX_STAT } from './net-statistics.js';
import type { Steering } from './steering.js';
import { TxHeader } from './tx-header.js';
import type { TxOffload } from './tx-offload.js';

/** Most chains in hand at once. */
const BURST = 64;
/** How soon a backend without room that cannot say when is asked again, in µs. */
const RETRY_USECS = 50;
/** A header without any of these, and without gso_type, asks for nothing: both are in its first halfword. */
const ASKS = 0xff00 | VIRTIO_NET_HDR_F.NEEDS_CSUM | VIRTIO_NET_HDR_F.UDP_TUNNEL_CSUM;
const { ACCEPTED, FULL } = DELIVERED;
const SAID_WORDS = 2;
const NEVER = Number.POSITIVE_INFINITY;

/** One transmit queue: frames of its chains go to the backend where they lie. */
export class TxQueue extends NetQueue {
  private readonly burst: ChainBurst;
  private readonly frame: Frame;
  /** Frames of the burst that ask for nothing, for a backend that takes several at once. */
  private readonly run: FrameRun;
  private readonly loops: FrameLoops | undefined;
  /** What a loop says besides how far it came. */
  private readonly said: Uint32Array;
  /** In place of a frame that a chain does not have. */
  private readonly noFrame: Frame;
  private readonly header: TxHeader = new TxHeader();
  private readonly backend: NetBackend;
  private readonly offload: TxOffload;
  private readonly steering: Steering;
  /** The backend has no room, or the device was stopped from within: the chain in hand and those behind it stay. */
  private isHeld = false;
  /** Of the frame that stays first in the ring because there was no room for all of its segments. */
  private readonly progress: SegmentProgress = new SegmentProgress();
  /** When to ask the backend again after it had no room. */
  retryAt: number = NEVER;

  private readonly pollTurns: number;
  /** Of the burst's first chain, where somebody wants to know. */
  private origin = 0;
  /** Turns in vain since the last frame, up to `pollTurns`. */
  private idleTurns = 0;

  /** @param pollTurns turns without a frame before the driver is asked to notify */
  constructor(
    state: NetState,
    pair: number,
    backend: NetBackend,
    offload: TxOffload,
    steering: Steering,
    pollTurns: number,
  ) {
    super(state, 2 * pair + 1, newTxStatistics(), TX_STAT.tx_interrupts);
    this.backend = backend;
    this.offload = offload;
    this.steering = steering;
    this.pollTurns = pollTurns;
    const arrays = privateArrays(state.memory);
    this.burst = new ChainBurst(BURST, arrays);
    this.said = arrays.u32(SAID_WORDS);
    this.loops = arrays.holds(this.said) ? frameLoops.on(state.memory.wasm!) : undefined;
    this.noFrame = new Frame(state.memory);
    this.frame = new Frame(state.memory);
    this.frame.pair = pair;
    this.frame.ranges = this.burst.segments;
    this.run = new FrameRun(state.memory);
    this.run.pair = pair;
    this.run.ranges = this.burst.segments;
  }

  protected override open(queue: DeviceQueue): void {
    super.open(queue);
    // The first turn looks at the ring anyway, and asks to be told of more where it finds nothing.
    queue.disableNotifications();
  }

  override close(): void {
    super.close();
    this.progress.forget();
    this.retryAt = NEVER;
  }

  /**
   * Transmit at most `budget` chains.
   * @returns chains that were used; 1 at least while more are waiting, or may come without a notification
   */
  turn(budget: number): number {
    const queue = this.queue;
    if (queue === undefined) return 0;
    this.retryAt = NEVER;
    let done = 0;
    while (done < budget) {
      this.burst.clear();
      const taken = queue.takeBurst(this.burst, budget - done);
      if (taken === 0) break;
      const { journal } = this.state;
      if (journal !== undefined) this.origin = journal.nextOrigin(this.index);
      const sent = this.sendBurst(taken);
      // The device was stopped from within: what it had in hand is no longer its.
      if (this.queue !== queue) return done;
      for (let i = taken - 1; i >= sent; i--) queue.untake(this.burst.token[i]!);
      if (journal !== undefined) this.backend.flush?.();
      queue.putUsedBurst(this.burst, 0, sent);
      this.publish(sent);
      done += sent;
      if (sent < taken) {
        this.retryAt = this.whenRoom();
        return done;
      }
    }
    if (done > 0) {
      this.idleTurns = 0;
      this.stopListening();
      return done;
    }
    if (this.idleTurns < this.pollTurns) {
      this.idleTurns++;
      return 1;
    }
    return this.listen() ? 1 : 0;
  }

  /** When to ask a backend again that had no room, in µs. */
  private whenRoom(): number {
    const at = this.backend.deadline?.() ?? NEVER;
    return at < NEVER ? at : this.state.port!.now() + RETRY_USECS;
  }

  /** @returns chains dealt with, fewer than taken when the backend has no more room or the device was stopped */
  private sendBurst(taken: number): number {
    this.isHeld = false;
    let i = 0;
    while (i < taken) {
      i = this.sendPlains(i, taken);
      if (i === taken || this.isHeld) break;
      this.sendOther(i);
      if (this.isHeld) break;
      i++;
    }
    return i;
  }

  /**
   * Send frames that lie with their header in one range and ask for nothing, which is what nearly every frame does, up to
   * the first other one.
   * @returns the first chain that was not dealt with
   */
  private sendPlains(from: number, taken: number): number {
    const { queue, backend, run } = this;
    this.findPlains(from, taken);
    if (run.count > 0) this.progress.forget();
    const end = from + run.count;
    let i = from;
    if (i < end && backend.receiveRun !== undefined) {
      const accepted = backend.receiveRun(run);
      i += accepted;
      if (i === end) this.count(accepted, run.bytes);
      else this.countFirst(accepted);
      if (this.queue !== queue) this.isHeld = true;
    }
    return this.isHeld || i === end ? i : this.sendEach(i, end);
  }

  /**
   * Find how many such frames follow one another from a chain on: they make {@link run}. Header and first bytes of each are
   * read here, one right behind the other: what has to come from another core's cache then comes for many frames at once,
   * rather than for each when it is sent.
   */
  private findPlains(from: number, taken: number): void {
    const { burst, state, steering, run, loops, said } = this;
    const { headerBytes, memory, mtu } = state;
    run.first = from;
    run.count = 0;
    run.skip = headerBytes;
    if (!state.linkUp || steering.learns) return;
    // There chain `i` is range `i`.
    const end = Math.min(taken, burst.plainReadable);
    const { offset, length } = burst.segments;
    const { u32 } = memory;
    const shortest = headerBytes + ETHERNET_HEADER_BYTES;
    const longest = shortest + mtu;
    if (loops !== undefined && burst.segments.home !== undefined) {
      run.count = loops.findPlains(
        offset.byteOffset + (from << 2),
        length.byteOffset + (from << 2),
        Math.max(0, end - from),
        headerBytes,
        shortest,
        longest,
        ASKS,
        said.byteOffset,
      );
      run.bytes = said[0]! - run.count * headerBytes;
      return;
    }
    let bytes = 0;
    let touched = 0;
    let i = from;
    for (; i < end; i = (i + 1) | 0) {
      const at = offset[i]!;
      const readable = length[i]!;
      if ((at & 3) !== 0 || readable < shortest || readable > longest) break;
      const header = u32[at >>> 2]!;
      touched ^= u32[(at + headerBytes) >>> 2]!;
      if ((header & ASKS) !== 0) break;
      bytes = (bytes + readable) | 0;
    }
    run.count = i - from;
    run.bytes = bytes - run.count * headerBytes;
    run.touched = touched;
  }

  private countFirst(packets: number): void {
    const { first, skip } = this.run;
    this.count(packets, this.burst.segments.bytes(first, packets) - packets * skip);
  }

  /** Send such frames one by one. @returns the first that was not dealt with */
  private sendEach(from: number, end: number): number {
    const { frame, burst, backend, queue, run } = this;
    const { length } = burst.segments;
    frame.skip = run.skip;
    let packets = 0;
    let bytes = 0;
    let i = from;
    for (; i < end; i++) {
      frame.first = i;
      frame.end = i + 1;
      frame.length = length[i]! - run.skip;
      frame.origin = (this.origin + i) & ORIGIN_MASK;
      const delivered = backend.receive(frame);
      if (delivered === ACCEPTED) {
        packets++;
        bytes += frame.length;
      } else if (delivered === DELIVERED.DROPPED) this.drop(NET_DROP.TX_REFUSED);
      if (delivered === FULL || this.queue !== queue) {
        this.isHeld = true;
        break;
      }
    }
    this.count(packets, bytes);
    return i;
  }

  /** Send any frame, or give it up. */
  private sendOther(i: number): void {
    const { queue, header, frame, progress } = this;
    const isThere = this.locate(i);
    const asks = isThere && (header.words[0]! & ASKS) !== 0;
    if (!asks) progress.forget();
    if (!isThere) return;
    frame.origin = (this.origin + i) & ORIGIN_MASK;
    const delivered = asks ? this.sendOffloaded(header) : this.sendPlain();
    if (delivered === ACCEPTED && !asks) this.count(1, frame.length);
    if (delivered === FULL || this.queue !== queue) this.isHeld = true;
    // Stopped from within: it is not the same ring that comes next.
    if (this.queue !== queue) progress.forget();
  }

  /** Frames left that asked for nothing. */
  private count(packets: number, bytes: number): void {
    if (packets === 0) return;
    const { statistics } = this;
    statistics.add(TX_STAT.tx_packets, packets);
    statistics.add(TX_STAT.tx_bytes, bytes);
    if (this.offload.checksums) statistics.add(TX_STAT.tx_csum_none, packets);
  }

  /** Copy the header of chain `i`, once, and find the frame behind it. @returns false when there is none to be sent */
  private locate(i: number): boolean {
    const { burst, frame, header } = this;
    if (burst.fault[i] !== 0) return this.drop(NET_DROP.TX_CHAIN_FAULT);
    const { headerBytes } = this.state;
    const first = burst.first[i]!;
    const end = burst.firstWritable[i]!;
    const { length } = burst.segments;
    const readable = end === first + 1 ? length[first]! : burst.readableBytes(i);
    if (readable <= headerBytes) return this.drop(NET_DROP.TX_NO_FRAME);
    frame.length = readable - headerBytes;
    header.load(frame.memory, burst.segments, first, headerBytes);
    let range = first;
    let skip = headerBytes;
    while (skip >= length[range]!) skip -= length[range++]!;
    frame.first = range;
    frame.end = end;
    frame.skip = skip;
    if (frame.length < ETHERNET_HEADER_BYTES) return this.drop(NET_DROP.TX_SHORT_FRAME);
    if (this.state.linkUp) return true;
    return this.drop(NET_DROP.TX_LINK_DOWN);
  }

  private sendPlain(): Delivered {
    const { frame } = this;
    if (!this.fits(frame)) {
      this.drop(NET_DROP.TX_LONG_FRAME);
      return DELIVERED.DROPPED;
    }
    this.steering.learn(frame);
    const delivered = this.backend.receive(frame);
    if (delivered === DELIVERED.DROPPED) this.drop(NET_DROP.TX_REFUSED);
    return delivered;
  }

  private sendOffloaded(header: TxHeader): Delivered {
    const { frame } = this;
    const delivered = this.offload.send(frame, header, this, this.progress);
    frame.clearOffloads();
    return delivered;
  }

  /** virtio 1.4 §5.1.4.1: the MTU, an Ethernet header, and a VLAN tag where there is one. */
  fits(frame: Frame): boolean {
    const over = frame.length - ETHERNET_HEADER_BYTES - this.state.mtu;
    return over <= 0 || (over <= VLAN_TAG_BYTES && vlanIdOf(frame) >= 0);
  }

  /** Count a frame that is not sent. @returns false */
  drop(reason: number): false {
    this.state.drop(reason);
    this.statistics.add(TX_STAT.tx_drops, 1);
    if (reason < NET_DROP.TX_LINK_DOWN) this.statistics.add(TX_STAT.tx_drop_malformed, 1);
    const { trace } = this.state;
    // Before a short frame there is none to be shown.
    if (trace !== undefined)
      trace.transmitted(this.frame.pair, reason < NET_DROP.TX_SHORT_FRAME ? this.noFrame : this.frame, reason);
    return false;
  }
}
