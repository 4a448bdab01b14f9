import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, Frame, type NetBackend } from '@ringwire/net-backend';
import { MISBEHAVIOR, TDWBAL, TX_CONTEXTS, TX_CTX, TX_OLINFO, TX_QUEUE, TXDCTL } from '@ringwire/nic-spec/ixgbe';
import { DescriptorRing } from './descriptor-ring.js';
import { addressFrom, type DmaBurst } from './dma-burst.js';
import type { QueueOwner } from './queue-owner.js';
import { TxContext } from './tx-context.js';
import { FETCHED, TxPacket } from './tx-packet.js';
import { TxRun } from './tx-run.js';
import { BAD_PACKET, type TxSender } from './tx-sender.js';

const { ACCEPTED, FULL } = DELIVERED;
const { WRITE } = ACCESS;
const { ENABLE, SWFLSH } = TXDCTL;
/** How soon a switch without room that cannot say when is asked again, in µs. */
const RETRY_USECS = 50;
const NEVER = Number.POSITIVE_INFINITY;

/** A transmit queue: its registers, and packets on their way out of its ring. */
export class TxQueue {
  /** Of its function. */
  readonly index: number;
  readonly ring: DescriptorRing;
  isEnabled = false;
  /** It was stopped because of what was in it, until the physical function's driver lets it go on. */
  isStopped = false;
  /** Reports that the driver was not told of. */
  untold = 0;
  /** When to ask the switch again after it had no room, in µs. */
  retryAt: number = NEVER;
  private readonly owner: QueueOwner;
  private readonly memory: HostMemory;
  private readonly dma: DmaBurst;
  private readonly backend: NetBackend;
  private readonly sender: TxSender;
  private readonly packet: TxPacket;
  private readonly contexts: readonly TxContext[];
  private readonly plains: TxRun;
  private readonly frame: Frame;
  private txdctl = 0;
  private dca = 0;
  private writeBackLow = 0;
  private writeBackHigh = 0;
  /** The tail when the packet at the head was not all there; -1: nothing is waited for. */
  private waitsBehind = -1;
  /** Goes on when the queue is switched: who was at work in it then touches it no more. */
  private life = 0;

  constructor(index: number, owner: QueueOwner, backend: NetBackend, sender: TxSender) {
    this.index = index;
    this.owner = owner;
    this.dma = owner.dma;
    this.memory = owner.dma.space.memory;
    this.backend = backend;
    this.sender = sender;
    this.ring = new DescriptorRing(owner.dma);
    this.packet = new TxPacket(owner.dma);
    this.packet.frame.pair = index;
    this.contexts = Array.from({ length: TX_CONTEXTS }, () => new TxContext());
    this.plains = new TxRun(owner.dma, index);
    this.frame = new Frame(this.memory);
    this.frame.pair = index;
    this.frame.ranges = this.plains.run.ranges;
  }

  read(register: number): number {
    switch (register) {
      case TX_QUEUE.TDBAL:
        return this.ring.baseLow;
      case TX_QUEUE.TDBAH:
        return this.ring.baseHigh;
      case TX_QUEUE.TDLEN:
        return this.ring.bytes;
      case TX_QUEUE.DCA_TXCTRL:
        return this.dca;
      case TX_QUEUE.TDH:
        return this.ring.head;
      case TX_QUEUE.TDT:
        return this.ring.tail;
      case TX_QUEUE.TXDCTL:
        return (this.txdctl | (this.isEnabled ? ENABLE : 0)) >>> 0;
      case TX_QUEUE.TDWBAL:
        return this.writeBackLow;
      case TX_QUEUE.TDWBAH:
        return this.writeBackHigh;
      default:
        return 0;
    }
  }

  write(register: number, value: number): void {
    const { ring } = this;
    switch (register) {
      case TX_QUEUE.TDBAL:
        ring.baseLow = value;
        return;
      case TX_QUEUE.TDBAH:
        ring.baseHigh = value;
        return;
      case TX_QUEUE.TDLEN:
        ring.bytes = value;
        return;
      case TX_QUEUE.DCA_TXCTRL:
        this.dca = value >>> 0;
        return;
      case TX_QUEUE.TDH:
        if (!this.isEnabled) ring.head = value & 0xffff;
        return;
      case TX_QUEUE.TDT:
        ring.setTail(value);
        this.owner.wake();
        return;
      case TX_QUEUE.TXDCTL:
        this.txdctl = (value & ~(ENABLE | SWFLSH)) >>> 0;
        this.enable((value & ENABLE) !== 0);
        return;
      case TX_QUEUE.TDWBAL:
        this.writeBackLow = value >>> 0;
        return;
      case TX_QUEUE.TDWBAH:
        this.writeBackHigh = value >>> 0;
        return;
      default:
    }
  }

  /**
   * Send at most `budget` packets. In a burst.
   * @param now in µs
   * @returns packets and contexts that were done
   */
  turn(budget: number, now: number): number {
    const { ring } = this;
    this.retryAt = NEVER;
    if (!this.isEnabled || this.isStopped || ring.count === 0) return 0;
    if (!ring.isSound) return this.stop(MISBEHAVIOR.RING);
    if (ring.tail === this.waitsBehind) return 0;
    this.waitsBehind = -1;
    const { life, untold } = this;
    let done = 0;
    while (done < budget && ring.head !== ring.tail) {
      const count = this.plains.find(ring, budget - done);
      const sent = count > 0 ? this.sendRun(count, now) : this.sendNext(now);
      if (this.life !== life) return done;
      done += sent;
      if (sent === 0 || sent < count) break;
    }
    if (this.untold !== untold) this.writeHead();
    return done;
  }

  /** As after a reset of the function. @param isWhole also what a virtual function's own reset keeps */
  reset(isWhole: boolean): void {
    this.isEnabled = false;
    this.untold = 0;
    this.retryAt = NEVER;
    this.txdctl = 0;
    this.ring.head = 0;
    this.ring.tail = 0;
    this.begin();
    if (!isWhole) return;
    this.isStopped = false;
    this.ring.reset();
    this.dca = 0;
    this.writeBackLow = 0;
    this.writeBackHigh = 0;
  }

  private enable(isWanted: boolean): void {
    if (isWanted === this.isEnabled) return;
    this.isEnabled = isWanted;
    if (isWanted) this.ring.head = 0;
    this.begin();
    this.owner.queuesChanged();
  }

  private begin(): void {
    this.life++;
    this.waitsBehind = -1;
    for (const context of this.contexts) context.isThere = false;
  }

  /** @returns 0 */
  private stop(cause: number): 0 {
    this.isStopped = true;
    this.owner.misbehaved(this, cause);
    return 0;
  }

  /** @returns how many of the run's frames were dealt with */
  private sendRun(count: number, now: number): number {
    const { backend, plains, life } = this;
    const { run } = plains;
    let sent = 0;
    if (backend.receiveRun !== undefined) {
      sent = backend.receiveRun(run);
      if (this.life !== life) return sent;
      if (sent > 0) this.owner.transmitted(this, sent, sent === count ? run.bytes : run.ranges.bytes(0, sent));
    }
    const { frame } = this;
    for (; sent < count; sent++) {
      frame.first = sent;
      frame.end = sent + 1;
      frame.length = run.ranges.length[sent]!;
      const delivered = backend.receive(frame);
      if (this.life !== life) return sent;
      if (delivered === FULL) {
        this.retryAt = this.whenRoom(now);
        break;
      }
      if (delivered === ACCEPTED) this.owner.transmitted(this, 1, frame.length);
    }
    this.ring.head = this.ring.behind(this.ring.head, sent);
    for (let i = 0; i < sent; i++) if (plains.reports[i] !== 0) this.report(plains.reports[i]! - 1);
    return sent;
  }

  /** When to ask a switch again that had no room, in µs. */
  private whenRoom(now: number): number {
    const at = this.backend.deadline?.() ?? NEVER;
    return at < NEVER ? at : now + RETRY_USECS;
  }

  /** Send any packet, or take a context over. @returns 1, or 0 when the queue stays where it is */
  private sendNext(now: number): number {
    const { ring, packet, sender, life } = this;
    const fetched = packet.fetch(ring);
    if (fetched === FETCHED.INCOMPLETE) {
      this.waitsBehind = ring.tail;
      return 0;
    }
    if (fetched === FETCHED.BAD) return this.stop(packet.cause);
    if (fetched === FETCHED.CONTEXT) return this.takeContext();
    const delivered = sender.send(packet, this.contexts);
    if (this.life !== life) return 0;
    if (delivered === BAD_PACKET) return this.stop(MISBEHAVIOR.DESCRIPTOR);
    if (delivered === FULL) {
      this.retryAt = this.whenRoom(now);
      return 0;
    }
    if (delivered === ACCEPTED) this.owner.transmitted(this, sender.frames, sender.bytes);
    ring.head = ring.behind(ring.head, packet.descriptors);
    for (let i = 0; i < packet.reportCount; i++) this.report(packet.reports[i]!);
    return 1;
  }

  private takeContext(): number {
    const { ring, packet } = this;
    const index = (packet.words[3]! >>> TX_CTX.IDX_SHIFT) & TX_CTX.IDX_MASK;
    if (index >= TX_CONTEXTS) return this.stop(MISBEHAVIOR.DESCRIPTOR);
    this.contexts[index]!.load(packet.words);
    ring.head = ring.behind(ring.head, 1);
    return 1;
  }

  /** A descriptor is done: DD, unless the head is written instead. @param word index where the descriptor is */
  private report(word: number): void {
    this.untold++;
    if ((this.writeBackLow & TDWBAL.HEAD_WB_EN) !== 0) return;
    Atomics.store(this.memory.u32, word + 3, TX_OLINFO.DD);
  }

  /** 82599 datasheet §7.2.3.5.2: the head, into memory. */
  private writeHead(): void {
    if ((this.writeBackLow & TDWBAL.HEAD_WB_EN) === 0) return;
    const address = addressFrom(this.writeBackLow & TDWBAL.ADDRESS_MASK, this.writeBackHigh);
    const at = address < 0 ? address : this.dma.space.resolve(address, 4, WRITE);
    if (at < 0 || (at & 3) !== 0) this.stop(MISBEHAVIOR.DMA);
    else Atomics.store(this.memory.u32, at >>> 2, this.ring.head);
  }
}
