import { ESWITCH_DROP } from '@ringwire/eswitch';
import {
  DELIVERED,
  type Delivered,
  type Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { PF_ROW, rowAt } from '@ringwire/nic-spec/ixgbe';
import type { PciFunction } from '@ringwire/pci';
import type { FunctionPlace, Personality } from '@ringwire/sriov-nic';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IxgbeCard } from './card.js';
import { DmaBurst } from './dma-burst.js';
import { FrameFacts, isRunTagged } from './frame-facts.js';
import type { IxgbeFunctionOptions, IxgbePort } from './function-options.js';
import type { QueueOwner } from './queue-owner.js';
import { RxQueue } from './rx-queue.js';
import { FunctionStatistics } from './statistics.js';
import { TxQueue } from './tx-queue.js';
import { TX_AREA_BYTES, type TxRules, TxSender } from './tx-sender.js';
import type { VectorCauses } from './vector-causes.js';

const { DROPPED } = DELIVERED;
const ETHERNET_HEADER_BYTES = 14;
const NEVER = Number.POSITIVE_INFINITY;

/** What either kind of function does: frames between its queues and its port of the switch. */
export abstract class IxgbeFunction implements Personality, QueueOwner, TxRules {
  abstract readonly pci: PciFunction;
  /** A port of the card's switch hands frames over when they come; any other backend may have to be asked for them. */
  readonly sleeps: boolean;
  /** There may be something to be done for this function. */
  readonly awaken: () => void;
  readonly dma: DmaBurst;
  readonly rx: readonly RxQueue[];
  readonly tx: readonly TxQueue[];
  readonly statistics: FunctionStatistics = new FunctionStatistics();
  protected readonly card: IxgbeCard;
  protected readonly port: IxgbePort;
  protected abstract readonly causes: VectorCauses;
  protected readonly backend: NetBackend;
  private readonly facts: FrameFacts;
  /** Queues that are on, and whether that is to be looked at anew. */
  private onTx: readonly TxQueue[] = [];
  private isStale = true;
  /** Queues with frames, or reports, that the driver was not told of. */
  private readonly touchedRx: RxQueue[] = [];
  private isInStep = false;
  private isRunning = false;

  constructor(place: FunctionPlace, { card, scratch, port }: IxgbeFunctionOptions, queues: number) {
    const { memory } = place.space;
    if (memory !== card.memory) throw new VirtioError('place.space.memory', 'another', "the card's", 'IxgbeFunction');
    this.card = card;
    this.sleeps = port.configure !== undefined;
    this.awaken = place.wake ?? (() => {});
    this.port = port;
    this.backend = port.backend;
    this.dma = new DmaBurst(place.space);
    this.facts = new FrameFacts(memory, scratch + TX_AREA_BYTES);
    const sender = new TxSender(memory, scratch, this.backend, this);
    this.rx = Array.from({ length: queues }, (_, index) => new RxQueue(index, this));
    this.tx = Array.from({ length: queues }, (_, index) => new TxQueue(index, this, this.backend, sender));
  }

  /** The function is whole: frames may come. The last step of making one. */
  protected plugIn(): void {
    this.backend.attach(new PortSink(this));
  }

  /** Index of a queue of this function among all of the card. */
  abstract globalIndex(queue: number): number;
  /** The pool that a queue of this function belongs to. */
  protected abstract poolOf(queue: number): number;
  /** Choose the queue for the frame in `facts`, or -1 where no pool of the function receives it. */
  protected abstract steer(facts: FrameFacts): number;
  protected abstract mayTransmit(queue: number): boolean;
  /** Whether any of its pools receives. */
  protected abstract readonly mayReceive: boolean;
  abstract insertsTags(queue: number): boolean;
  /** Interrupts of queues were raised. */
  protected told(): void {}
  /** What a queue's interrupt entry (IVAR) says: a vector, or -1. */
  protected abstract vectorOf(queue: number, isTransmit: boolean): number;
  /** Tell the switch what the registers say of this function's port. @returns how many settings it refused */
  abstract settle(): number;
  /** The physical function wrote to the mailbox. */
  abstract mailboxCalled(): void;

  /** A message of the virtual function's. @returns false unless the card itself answers it */
  answersMail(_words: Uint32Array): boolean {
    return false;
  }

  get padsFrames(): boolean {
    return this.card.padsFrames;
  }

  /** Frames of this function that the switch dropped because their source was not its own. */
  get spoofed(): number {
    const drops = this.port.counters?.drops;
    if (drops === undefined) return 0;
    return drops[ESWITCH_DROP.MAC_SPOOF]! + drops[ESWITCH_DROP.VLAN_SPOOF]! + drops[ESWITCH_DROP.SOURCE_GROUP]!;
  }

  step(budget: number): number {
    if (this.isInStep || this.pci.removed) return 0;
    this.card.settle();
    this.follow();
    if (!this.pci.mayMaster) return 0;
    this.isInStep = true;
    this.dma.open();
    if (this.isStale) this.refresh();
    const now = this.card.now();
    let done = this.backend.pump(budget);
    for (const queue of this.onTx) if (this.mayTransmit(queue.index)) done += queue.turn(budget, now);
    this.backend.flush?.();
    this.isInStep = false;
    this.endBurst();
    this.causes.check(this.card.now());
    return done;
  }

  deadline(): number {
    // What stands still waits for a register, not for time.
    if (!this.pci.mayMaster) return NEVER;
    let first = NEVER;
    for (const queue of this.onTx) if (this.mayTransmit(queue.index)) first = Math.min(first, queue.retryAt);
    // What waits for the switch may go sooner than it was told.
    if (first < NEVER) first = Math.min(first, this.backend.deadline?.() ?? NEVER);
    return Math.min(first, this.causes.deadline());
  }

  close(): void {
    this.stop();
    // Where the next function came before this one was closed, the port is that one's.
    if (!this.hasPort) return;
    this.follow();
    this.port.forgetWishes?.();
    this.backend.attach(undefined);
  }

  /** The port is still this function's. */
  protected abstract readonly hasPort: boolean;

  /** A frame from the switch. */
  receive(frame: Frame): Delivered {
    const { card, facts } = this;
    if (frame.memory !== card.memory) throw new VirtioError('frame.memory', 'another', "the card's", 'IxgbeFunction');
    if (!this.pci.mayMaster || !this.mayReceive) return this.giveUp();
    if (frame.length < ETHERNET_HEADER_BYTES) {
      card.statistics.undersize++;
      return DROPPED;
    }
    facts.gather(frame, card.tagType);
    if (!card.fits(frame.length, facts.isTagged)) {
      card.statistics.oversize++;
      return DROPPED;
    }
    return this.deliver(frame, facts);
  }

  /**
   * Frames from the switch, as far as there is nothing to be decided about single ones.
   * @returns how many lie in a ring; the next one is for {@link receive}
   */
  receiveRun(run: FrameRun): number {
    const { card, facts } = this;
    const { tagType } = card;
    if (!run.hasHeader || run.memory !== card.memory || isRunTagged(run, tagType)) return 0;
    if (!this.pci.mayMaster || !this.mayReceive) return 0;
    const isAlike = facts.gatherHeader(run, tagType);
    let done = 0;
    while (done < run.count) {
      const queue = isAlike ? this.steer(facts) : this.lookAt(run, run.first + done);
      if (queue < 0) break;
      this.dma.open();
      const placed = this.rx[queue]!.placeRun(run, done, facts, isAlike, card.longestFrame);
      done += placed;
      if (placed === 0 || isAlike) break;
    }
    return done;
  }

  lookAt(run: FrameRun, range: number): number {
    this.facts.gatherOf(run, range, this.card.tagType);
    return this.steer(this.facts);
  }

  /** Put a frame into the queue that is its own. */
  protected deliver(frame: Frame, facts: FrameFacts): Delivered {
    const queue = this.steer(facts);
    return queue < 0 ? this.giveUp() : this.place(queue, frame, facts);
  }

  protected place(queue: number, frame: Frame, facts: FrameFacts): Delivered {
    this.dma.open();
    return this.rx[queue]!.place(frame, facts);
  }

  /** The end of a burst that came outside a step; within one its own end is. */
  flush(): void {
    if (!this.isInStep) this.endBurst();
  }

  /** Queues and interrupts stand still; no DMA follows. Registers that a virtual function's own reset keeps stay. */
  stop(): void {
    this.resetQueues(false);
    this.causes.reset();
  }

  protected resetQueues(isWhole: boolean): void {
    for (const queue of this.rx) queue.reset(isWhole);
    for (const queue of this.tx) queue.reset(isWhole);
    this.touchedRx.length = 0;
    this.isStale = true;
    this.dma.close();
  }

  wake(): void {
    this.awaken();
    this.card.wake();
  }

  queuesChanged(): void {
    this.isStale = true;
    this.wake();
  }

  mustDrop(queue: RxQueue): boolean {
    return this.card.dropQueues[this.globalIndex(queue.index)] !== 0;
  }

  splitTypes(queue: RxQueue): number {
    return this.card.registers.get(rowAt(PF_ROW.PSRTYPE, this.poolOf(queue.index)));
  }

  drop(_queue: RxQueue, _facts: FrameFacts): Delivered {
    return this.giveUp();
  }

  received(queue: RxQueue, bytes: number, facts: FrameFacts): void {
    if (queue.untold === 1) this.touchedRx.push(queue);
    this.countReceived(bytes, facts, 1);
  }

  receivedRun(queue: RxQueue, run: FrameRun, from: number, count: number, facts: FrameFacts): void {
    if (queue.untold === count) this.touchedRx.push(queue);
    const { length } = run.ranges;
    const end = run.first + from + count;
    // Neighbours mostly have the same length.
    let first = end - count;
    for (let range = first + 1; range <= end; range++) {
      if (range < end && length[range] === length[first]) continue;
      this.countReceived(length[first]! - run.skip, facts, range - first);
      first = range;
    }
  }

  private countReceived(bytes: number, facts: FrameFacts, frames: number): void {
    this.statistics.received(bytes, facts, frames);
    this.card.statistics.rx.count(bytes, facts.isGroup, facts.isBroadcast, frames);
  }

  transmitted(_queue: TxQueue, frames: number, bytes: number): void {
    this.statistics.transmitted(frames, bytes);
    this.card.statistics.txFrames += frames;
    this.card.statistics.txBytes += bytes;
  }

  misbehaved(queue: RxQueue | TxQueue, cause: number): void {
    this.statistics.misbehaviors++;
    this.card.statistics.misbehaviors++;
    const isTransmit = queue instanceof TxQueue;
    this.card.misbehaved(this.globalIndex(queue.index), this.poolOf(queue.index), isTransmit, cause);
  }

  protected giveUp(): Delivered {
    this.statistics.missed++;
    this.card.statistics.missed++;
    return DROPPED;
  }

  /** Frames in rings become visible, DMA ends, and only then is anybody told. */
  private endBurst(): void {
    if (!this.dma.isOpen) return;
    for (const queue of this.touchedRx) queue.publish();
    this.dma.close();
    while (this.touchedRx.length > 0) {
      const queue = this.touchedRx.pop()!;
      queue.untold = 0;
      this.raise(queue.index, false);
    }
    for (const queue of this.onTx) {
      if (queue.untold === 0) continue;
      queue.untold = 0;
      this.raise(queue.index, true);
    }
    this.told();
  }

  private raise(queue: number, isTransmit: boolean): void {
    const vector = this.vectorOf(queue, isTransmit);
    if (vector >= 0) this.causes.set(vector);
  }

  private refresh(): void {
    this.isStale = false;
    this.onTx = this.tx.filter(({ isEnabled }) => isEnabled);
  }

  /** The switch is told whether frames are for this function at all. */
  private follow(): void {
    const isRunning = this.pci.mayMaster && this.mayReceive && this.rx.some(({ isEnabled }) => isEnabled);
    if (isRunning === this.isRunning) return;
    this.isRunning = isRunning;
    this.backend.running?.(isRunning);
  }
}

/** Where frames for a function go. All that a driver has to be told is told by the card: frames come finished. */
class PortSink implements FrameSink {
  readonly offloads = 0;
  private readonly to: IxgbeFunction;

  constructor(to: IxgbeFunction) {
    this.to = to;
  }

  receive(frame: Frame): Delivered {
    return this.to.receive(frame);
  }

  receiveRun(run: FrameRun): number {
    return this.to.receiveRun(run);
  }

  flush(): void {
    this.to.flush();
  }
}
