import { RX_QUEUE, TX_QUEUE } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import type { DmaArena } from '../dma-arena.js';
import type { Patience } from '../patience.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { IxgbeFrame } from './ixgbe-offload.js';
import { disableRxQueue, disableTxQueue, enableRxQueue, enableTxQueue } from './queue-registers.js';
import type { Registers } from './registers.js';
import { IxgbeRxQueue, type TagUse } from './rx-queue.js';
import { RxRing } from './rx-ring.js';
import { IxgbeTxQueue } from './tx-queue.js';
import { TxRing } from './tx-ring.js';

/** What the queues of a function tell their driver. */
export interface PairEvents {
  frame(frame: IxgbeFrame): void;
  sent?(cookie: number): void;
  writable?(pair: number): void;
}

/** How the queue pairs of a function are made. */
export interface PairOptions {
  /** Offset of each pair's receive queue and transmit queue. */
  readonly places: readonly { readonly rxAt: number; readonly txAt: number }[];
  /** Vector of each pair. */
  readonly vectors: readonly number[];
  /** Descriptors of each ring. */
  readonly queueSize: number;
  readonly bufferBytes: number;
  readonly copyPages: number;
  readonly mtu: number;
  readonly tags: TagUse;
  /** Milliseconds. */
  readonly transmitLimit: number;
  readonly now: () => number;
  /** Let messages of these vectors come again. @param vectors bits */
  readonly unmask: (vectors: number) => void;
}

/** The queue pairs of a function through one life, with polling while frames come in. */
export class QueuePairs {
  readonly tx: readonly IxgbeTxQueue[];
  private readonly rx: readonly IxgbeRxQueue[];
  private readonly registers: Registers;
  private readonly options: PairOptions;
  private readonly events: PairEvents;
  private readonly isPolled: Uint8Array;
  private isStarted = false;

  constructor(
    registers: Registers,
    arena: DmaArena,
    options: PairOptions,
    counters: IxgbeCounters,
    events: PairEvents,
  ) {
    const { places, queueSize, bufferBytes, copyPages, mtu, tags } = options;
    this.registers = registers;
    this.options = options;
    this.events = events;
    const frame = new IxgbeFrame(arena.dma.space.memory);
    this.rx = places.map(({ rxAt }, pair) => {
      const ring = new RxRing(arena, queueSize, registers, rxAt + RX_QUEUE.RDT);
      return new IxgbeRxQueue(ring, arena, bufferBytes, tags, frame, counters, (received) => {
        received.pair = pair;
        events.frame(received);
      });
    });
    this.tx = places.map(({ txAt }) => {
      const ring = new TxRing(arena, queueSize, registers, txAt + TX_QUEUE.TDT);
      return new IxgbeTxQueue(ring, arena, mtu, copyPages, counters, (cookie) => events.sent?.(cookie));
    });
    this.isPolled = new Uint8Array(places.length);
  }

  /** Whether {@link poll} has something to do. */
  get needsPoll(): boolean {
    return this.isPolled.includes(1);
  }

  /** @throws VirtioError for a pair that is not there */
  transmit(pair: number): IxgbeTxQueue {
    const queue = this.tx[pair];
    if (queue === undefined) throw new VirtioError('pair', pair, `0 to ${this.tx.length - 1}`, 'QueuePairs');
    return queue;
  }

  /** @param mtu bytes behind the Ethernet header */
  setMtu(mtu: number): void {
    for (const queue of this.tx) queue.setMtu(mtu);
  }

  /** Switch all queues on, and fill the receive queues. */
  enable(patience: Patience): Breakdown | undefined {
    const { places, bufferBytes, tags, now } = this.options;
    for (let pair = 0; pair < places.length; pair++) {
      const { rxAt, txAt } = places[pair]!;
      const wishes = { bufferBytes, stripsTags: tags !== 'none' };
      const problem =
        enableTxQueue(this.registers, txAt, this.tx[pair]!.ring, patience) ??
        enableRxQueue(this.registers, rxAt, this.rx[pair]!.ring, wishes, patience);
      if (problem !== undefined) return problem;
      this.rx[pair]!.refill();
      this.tx[pair]!.progressAt = now();
    }
    this.isStarted = true;
    return undefined;
  }

  /** Switch all queues off. @returns what does not end: the card may still use the memory then */
  disable(patience: Patience): Breakdown | undefined {
    let problem: Breakdown | undefined;
    for (const { rxAt, txAt } of this.options.places) {
      problem = disableRxQueue(this.registers, rxAt, patience) ?? problem;
      problem = disableTxQueue(this.registers, txAt, patience) ?? problem;
    }
    return problem;
  }

  /** The card has let go of the rings, or will never be believed again: what is out is told to be. */
  abandon(): void {
    for (const queue of this.tx) queue.abandon();
  }

  /** An interrupt of a vector came. @returns whether it is one of the queues' */
  note(vector: number): boolean {
    let isOurs = false;
    this.options.vectors.forEach((of, pair) => {
      if (of !== vector || !this.isStarted) return;
      this.isPolled[pair] = 1;
      isOurs = true;
    });
    return isOurs;
  }

  /** Look at every pair once. */
  noteAll(): void {
    this.isPolled.fill(1);
  }

  /** @param budget most frames per pair @returns frames handed up or given up */
  poll(budget: number): number {
    const { vectors } = this.options;
    let done = 0;
    let idle = 0;
    for (let pair = 0; pair < this.rx.length; pair++) {
      if (this.isPolled[pair] === 0) continue;
      const taken = this.rx[pair]!.poll(budget);
      this.pollTransmit(pair);
      done += taken;
      if (taken < budget) {
        this.isPolled[pair] = 0;
        idle |= 1 << vectors[pair]!;
      }
    }
    if (idle === 0) return done;
    this.options.unmask(idle);
    // Once more: a frame may have come between the last look and the unmasking.
    for (let pair = 0; pair < this.rx.length; pair++) if (this.rx[pair]!.hasNext()) this.isPolled[pair] = 1;
    return done;
  }

  /** Look after what was sent. @returns TRANSMIT_STALLED when nothing was done with it in time */
  watch(): Breakdown | undefined {
    const { now, transmitLimit } = this.options;
    for (let pair = 0; pair < this.tx.length; pair++) {
      const queue = this.tx[pair]!;
      this.pollTransmit(pair);
      if (queue.ring.outstanding === 0) queue.progressAt = now();
      if (now() - queue.progressAt <= transmitLimit) continue;
      const message = `transmit queue ${pair} was done with nothing for ${transmitLimit} ms`;
      return breakdown(BREAK.TRANSMIT_STALLED, message);
    }
    return undefined;
  }

  private pollTransmit(pair: number): void {
    const queue = this.tx[pair]!;
    const wasStopped = queue.isStopped;
    if (wasStopped ? !queue.resume() : queue.reclaim() === 0) return;
    queue.progressAt = this.options.now();
    if (wasStopped) this.events.writable?.(pair);
  }
}
