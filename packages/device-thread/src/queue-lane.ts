import type { AddressSpace } from '@ringwire/guest-memory';
import { DeviceReplica, type NetDevice, type ReplicaQueue } from '@ringwire/virtio-device';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import { type ControlLayout, doorbellAt, LIFE, rungAt } from './control-layout.js';
import type { LoopOptions } from './device-loop.js';
import type { ParkingSpot } from './parking-spot.js';
import { milliseconds } from './platform.js';
import { type BoardLayout, LANE, LANE_WORD, laneAt, ORDER, QUEUE_WORDS, reportAt, writeText } from './queue-board.js';
import { laneOfPair } from './queue-lanes.js';

/** What a queue thread works on. */
export interface LaneParts extends LoopOptions {
  readonly lane: number;
  /** The control block, and the board. */
  readonly words: Int32Array;
  readonly layout: ControlLayout;
  readonly board: Int32Array;
  readonly boardLayout: BoardLayout;
  readonly net: NetDevice;
  readonly space: AddressSpace;
  /** Where this thread and the control thread sleep. */
  readonly spot: ParkingSpot;
  readonly controlSpot: ParkingSpot;
}

/**
 * What a queue thread does all its life: orders of the control thread, doorbells of its queues, steps, and sleep. It obeys
 * an order between two steps, and says that it did: so when a register access or a control command is over, no thread
 * works by what held before.
 */
export class QueueLane {
  private readonly parts: LaneParts;
  private readonly replica: DeviceReplica;
  private readonly at: number;
  /** The last order that was carried out. */
  private done: number;

  constructor(parts: LaneParts) {
    const { board, boardLayout, lane, net, space, controlSpot } = parts;
    const at = laneAt(boardLayout, lane);
    this.parts = parts;
    this.at = at;
    this.replica = new DeviceReplica({
      model: net,
      space,
      queues: 2 * boardLayout.pairs,
      used: (queue) => {
        Atomics.or(board, at + LANE_WORD.RAISED_BITS + (queue >>> 5), 1 << (queue & 31));
        Atomics.store(board, at + LANE_WORD.RAISED, 1);
        controlSpot.wake();
      },
      broke: (reason) => {
        writeText(board, boardLayout, lane, reason);
        Atomics.store(board, at + LANE_WORD.BROKE, 1);
        controlSpot.wake();
      },
    });
    this.done = 0;
  }

  /** Until the device's control thread ends. */
  run(): void {
    const { board, boardLayout, spinTurns, controlSpot } = this.parts;
    // What was ordered before this thread was there is not for it: the device does not run then.
    this.done = Atomics.load(board, boardLayout.sequence);
    Atomics.store(board, this.at + LANE_WORD.DONE, this.done);
    Atomics.compareExchange(board, this.at + LANE_WORD.STATE, LANE.STARTING, LANE.RUNNING);
    Atomics.notify(board, this.at + LANE_WORD.STATE);
    controlSpot.wake();
    let idle = 0;
    while (this.isWanted()) {
      if (this.turn()) idle = 0;
      else if (++idle > spinTurns) {
        this.park();
        idle = 0;
      }
    }
    this.replica.stop();
    Atomics.compareExchange(board, this.at + LANE_WORD.STATE, LANE.RUNNING, LANE.CLOSED);
    Atomics.notify(board, this.at + LANE_WORD.DONE);
  }

  /** @returns whether there was anything to do */
  private turn(): boolean {
    const { board, boardLayout, budget } = this.parts;
    const order = Atomics.load(board, boardLayout.sequence);
    const isOrdered = order !== this.done;
    if (isOrdered) {
      this.obey(board[boardLayout.kind]!);
      this.done = order;
      Atomics.store(board, this.at + LANE_WORD.DONE, order);
      Atomics.notify(board, this.at + LANE_WORD.DONE);
    }
    const rung = this.takeDoorbells();
    return this.replica.step(budget) > 0 || rung || isOrdered;
  }

  /** Sleep until there is something to do. The turn after arming is the second look that {@link ParkingSpot} asks for. */
  private park(): void {
    const { spot } = this.parts;
    spot.arm();
    const deadline = this.replica.deadline();
    const left = this.turn() || !this.isWanted() ? 0 : deadline / 1000 - milliseconds();
    if (left > 0) spot.sleep(left);
    else spot.disarm();
  }

  private takeDoorbells(): boolean {
    const { words, layout, lane, boardLayout } = this.parts;
    const rung = rungAt(layout, lane + 1);
    if (Atomics.load(words, rung) === 0) return false;
    // Cleared before the doorbells are looked at: one that is rung later sets it again.
    Atomics.store(words, rung, 0);
    const end = Math.min(2 * boardLayout.pairs, layout.doorbellCount);
    for (let queue = 0; queue < end; queue++) {
      if (laneOfPair(queue >>> 1, boardLayout.lanes) !== lane) continue;
      if (Atomics.exchange(words, doorbellAt(layout, queue), 0) !== 0) this.replica.notify(queue);
    }
    return true;
  }

  private obey(kind: number): void {
    const { board, boardLayout, net } = this.parts;
    const at = boardLayout.order;
    switch (kind) {
      case ORDER.START: {
        Atomics.store(board, this.at + LANE_WORD.BROKE, 0);
        const features = Uint32Array.from(board.subarray(at, at + FEATURE_WORDS));
        const queues = Array.from({ length: 2 * boardLayout.pairs }, (_, index) =>
          readQueue(board, at + FEATURE_WORDS + index * QUEUE_WORDS),
        );
        this.replica.start(features, queues);
        return;
      }
      case ORDER.STOP:
        this.replica.stop();
        return;
      case ORDER.QUEUE:
        this.replica.setQueue(board[at]!, readQueue(board, at + 1));
        return;
      case ORDER.LIVE:
        this.replica.setLive(board[at] !== 0);
        return;
      case ORDER.SUSPEND:
        this.replica.suspend();
        // At once: what is used from now on would not be told of.
        this.replica.setLive(false);
        return;
      case ORDER.COMMAND: {
        const bytes = new Uint8Array(board.buffer, board.byteOffset + (at + 1) * 4, board[at]!).slice();
        this.replica.burst(() => net.obey(bytes));
        return;
      }
      case ORDER.REPORT:
        this.report();
        return;
      default:
    }
  }

  private report(): void {
    const { board, boardLayout, lane, net } = this.parts;
    const { counters } = this.replica;
    let at = reportAt(boardLayout, lane);
    for (let index = 0; index < 2 * boardLayout.pairs; index++) {
      const { words } = net.queueStatistics(index);
      board.set(words, at);
      at += words.length;
    }
    // After a breakdown its reason is in the text's place.
    if (Atomics.load(board, this.at + LANE_WORD.BROKE) !== 0) return;
    writeText(
      board,
      boardLayout,
      lane,
      JSON.stringify({ queues: this.replica.snapshot(), counters, net: net.snapshot() }),
    );
  }

  private isWanted(): boolean {
    const { words, layout, board } = this.parts;
    const life = Atomics.load(words, layout.state);
    const isUp = life === LIFE.RUNNING || life === LIFE.STARTING;
    return isUp && Atomics.load(board, this.at + LANE_WORD.STATE) === LANE.RUNNING;
  }
}

function readQueue(board: Int32Array, at: number): ReplicaQueue {
  const word = (index: number): number => board[at + index]! >>> 0;
  return {
    enabled: word(0) !== 0,
    size: word(1),
    addresses: [word(2), word(3), word(4), word(5), word(6), word(7)],
  };
}

/** Put a queue's registers into an order. */
export function writeQueue(board: Int32Array, at: number, { enabled, size, addresses }: ReplicaQueue): void {
  board.set([enabled ? 1 : 0, size, ...addresses], at);
}
