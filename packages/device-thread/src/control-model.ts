import {
  type DeviceCounters,
  type DeviceModel,
  type DevicePort,
  type DeviceSnapshot,
  type ModelSnapshot,
  NetDevice,
  type NetDeviceOptions,
  type NetParts,
  type QueueSnapshot,
  type Statistics,
  snapshotDevice,
  type VirtioDevice,
} from '@ringwire/virtio-device';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import { type ControlLayout, doorbellAt, rungAt, SHOWN } from './control-layout.js';
import type { ParkingSpot } from './parking-spot.js';
import { milliseconds, sleepWhile } from './platform.js';
import {
  type BoardLayout,
  declareLaneDead,
  LANE,
  LANE_WORD,
  laneAt,
  ORDER,
  QUEUE_WORDS,
  readText,
  reportAt,
  waitForLane,
} from './queue-board.js';
import { writeQueue } from './queue-lane.js';
import { laneOfPair } from './queue-lanes.js';

/** What the control thread has to know of its queue threads. */
export interface ControlParts {
  readonly words: Int32Array;
  readonly layout: ControlLayout;
  readonly board: Int32Array;
  readonly boardLayout: BoardLayout;
  /** Where the queue threads sleep, and whoever looks after them. */
  readonly spots: readonly ParkingSpot[];
  readonly ownerSpot: ParkingSpot;
  /** ms that a queue thread has for an order, or to come up. */
  readonly patienceMs: number;
}

/** A queue thread's report. */
interface LaneReport {
  readonly queues: readonly QueueSnapshot[];
  readonly counters: DeviceCounters;
  readonly net: ModelSnapshot;
}

/**
 * The network device of a control thread: registers, configuration and the control queue are here, and what they come to
 * is ordered from the queue threads, which serve the pairs. An order is over when every queue thread that lives has
 * carried it out.
 *
 * A queue thread that dies takes the device with it, DEVICE_NEEDS_RESET, and nothing else; the reset asks for another one.
 */
export class ControlModel implements DeviceModel, NetParts {
  readonly deviceId: number;
  readonly features: Uint32Array;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  private readonly net: NetDevice;
  private readonly parts: ControlParts;
  private port: DevicePort | undefined = undefined;
  private device: VirtioDevice | undefined = undefined;
  private isTold = false;

  constructor(parts: ControlParts, options: Omit<NetDeviceOptions, 'parts'>) {
    const net = new NetDevice({ ...options, parts: this });
    this.parts = parts;
    this.net = net;
    this.deviceId = net.deviceId;
    this.features = net.features;
    this.queueSizes = net.queueSizes;
    this.config = net.config;
  }

  featureProblem(features: Uint32Array): string | undefined {
    return this.net.featureProblem(features);
  }

  writeConfig(): void {}

  start(port: DevicePort): void {
    const { board, boardLayout, words, layout, patienceMs } = this.parts;
    this.port = port;
    this.net.start(port);
    const end = milliseconds() + patienceMs;
    for (let lane = 0; lane < boardLayout.lanes; lane++) this.waitUntilUp(lane, end);
    const at = boardLayout.order;
    board.set(port.features, at);
    for (let index = 0; index < 2 * boardLayout.pairs; index++)
      this.putQueue(index, at + FEATURE_WORDS + index * QUEUE_WORDS);
    this.order(ORDER.START);
    this.isTold = true;
    Atomics.store(words, layout.shown + SHOWN.PAIR_QUEUES, this.dataQueues());
  }

  queueChanged(index: number): void {
    this.net.queueChanged(index);
    if (index >= this.dataQueues()) return;
    const { board, boardLayout } = this.parts;
    board[boardLayout.order] = index;
    this.putQueue(index, boardLayout.order + 1);
    this.order(ORDER.QUEUE);
  }

  notified(index: number): void {
    if (index >= this.dataQueues()) {
      this.net.notified(index);
      return;
    }
    const { words, layout, boardLayout, spots } = this.parts;
    const lane = laneOfPair(index >>> 1, boardLayout.lanes);
    // Queues without a doorbell have one here all the same: the threads look at their rings after any.
    if (index < layout.doorbellCount) Atomics.store(words, doorbellAt(layout, index), 1);
    Atomics.store(words, rungAt(layout, lane + 1), 1);
    spots[lane]!.wake();
  }

  step(budget: number): number {
    const done = this.net.step(budget);
    return this.takeRaised() || done;
  }

  deadline(): number {
    return this.net.deadline();
  }

  suspend(): void {
    this.net.suspend();
    this.order(ORDER.SUSPEND);
    this.takeRaised();
    this.isTold = false;
  }

  stop(): void {
    const { words, layout } = this.parts;
    Atomics.store(words, layout.shown + SHOWN.PAIR_QUEUES, 0);
    this.port = undefined;
    this.net.stop();
    this.order(ORDER.STOP);
    this.dropRaised();
  }

  /** A driver starts over: queue threads that are dead are asked for again. */
  reset(): void {
    const { board, boardLayout, words, layout, ownerSpot } = this.parts;
    for (let lane = 0; lane < boardLayout.lanes; lane++) {
      const state = laneAt(boardLayout, lane) + LANE_WORD.STATE;
      if (Atomics.compareExchange(board, state, LANE.DEAD, LANE.WANTED) !== LANE.DEAD) continue;
      Atomics.store(words, layout.shown + SHOWN.LANES_WANTED, 1);
      ownerSpot.wake();
    }
  }

  snapshot(): ModelSnapshot {
    return this.net.snapshot();
  }

  /** Behind each register access, before it is answered: whether queues may be touched is told. */
  follow(device: VirtioDevice): void {
    this.device = device;
    if (this.port === undefined || device.live === this.isTold) return;
    this.isTold = device.live;
    const { board, boardLayout } = this.parts;
    board[boardLayout.order] = device.live ? 1 : 0;
    this.order(ORDER.LIVE);
  }

  commanded(command: Uint8Array): void {
    const { board, boardLayout } = this.parts;
    board[boardLayout.order] = command.length;
    new Uint8Array(board.buffer, board.byteOffset + (boardLayout.order + 1) * 4, command.length).set(command);
    this.order(ORDER.COMMAND);
  }

  gather(statistics: readonly Statistics[]): void {
    const { board, boardLayout } = this.parts;
    this.order(ORDER.REPORT);
    for (const { words } of statistics) words.fill(0);
    for (let lane = 0; lane < boardLayout.lanes; lane++) {
      let at = reportAt(boardLayout, lane);
      for (const queue of statistics) {
        queue.addWords(board, at);
        at += queue.words.length;
      }
    }
  }

  /** The device as it is in all threads at one moment. */
  snapshotOf(device: VirtioDevice): DeviceSnapshot {
    const { boardLayout } = this.parts;
    const whole = snapshotDevice(device);
    this.order(ORDER.REPORT);
    const reports = Array.from({ length: boardLayout.lanes }, (_, lane) => this.readReport(lane));
    const queues = whole.queues.map((queue) => {
      if (queue.index >= this.dataQueues()) return queue;
      const seen = reports[laneOfPair(queue.index >>> 1, boardLayout.lanes)]?.queues[queue.index];
      if (seen === undefined || !queue.enabled) return queue;
      const { position, inFlight, ringFault, counters } = seen;
      return { ...queue, position, inFlight, ringFault, counters };
    });
    const there = reports.filter((report) => report !== undefined);
    const sum = (key: 'kicks' | 'kicksIgnored'): number =>
      there.reduce((total, { counters }) => total + counters[key], whole.counters[key]);
    const counters = { ...whole.counters, kicks: sum('kicks'), kicksIgnored: sum('kicksIgnored') };
    return { ...whole, queues, counters, model: mergedModel(this.net.snapshot(), there) };
  }

  /** Virtqueues that the queue threads serve: all but the control queue. */
  private dataQueues(): number {
    return this.net.dataQueues;
  }

  private readReport(lane: number): LaneReport | undefined {
    const { board, boardLayout } = this.parts;
    const at = laneAt(boardLayout, lane);
    if (Atomics.load(board, at + LANE_WORD.STATE) !== LANE.RUNNING || Atomics.load(board, at + LANE_WORD.BROKE) !== 0)
      return undefined;
    const text = readText(board, boardLayout, lane);
    return text === '' ? undefined : (JSON.parse(text) as LaneReport);
  }

  /** Notifications that the queue threads ask for, and what became of them. @returns 1 when there were any */
  private takeRaised(): number {
    const { board, boardLayout } = this.parts;
    const { port } = this;
    if (port === undefined) return 0;
    let taken = 0;
    for (let lane = 0; lane < boardLayout.lanes; lane++) {
      const at = laneAt(boardLayout, lane);
      if (Atomics.load(board, at + LANE_WORD.STATE) !== LANE.RUNNING) {
        port.needsReset(`queue thread ${lane} ended`);
        return 1;
      }
      if (Atomics.load(board, at + LANE_WORD.BROKE) !== 0) {
        port.needsReset(readText(board, boardLayout, lane));
        return 1;
      }
      // What is raised when queues may not be touched any more waits until they may.
      if (!this.isTold || Atomics.load(board, at + LANE_WORD.RAISED) === 0) continue;
      // Cleared first: what is raised while we look sets it again.
      Atomics.store(board, at + LANE_WORD.RAISED, 0);
      taken = 1;
      for (let word = 0; word < Math.ceil((2 * boardLayout.pairs) / 32); word++) {
        const bits = Atomics.exchange(board, at + LANE_WORD.RAISED_BITS + word, 0);
        for (let bit = 0; bits >>> bit !== 0 && bit < 32; bit++)
          if (((bits >>> bit) & 1) !== 0) port.notifyUsed(word * 32 + bit);
      }
    }
    return taken;
  }

  private dropRaised(): void {
    const { board, boardLayout } = this.parts;
    for (let lane = 0; lane < boardLayout.lanes; lane++) {
      const at = laneAt(boardLayout, lane);
      Atomics.store(board, at + LANE_WORD.RAISED, 0);
      for (let word = 0; word < Math.ceil((2 * boardLayout.pairs) / 32); word++)
        Atomics.store(board, at + LANE_WORD.RAISED_BITS + word, 0);
    }
  }

  /** Have all queue threads do what the board says, and wait until they have. */
  private order(kind: number): void {
    const { board, boardLayout, spots, patienceMs, ownerSpot } = this.parts;
    board[boardLayout.kind] = kind;
    const order = (Atomics.load(board, boardLayout.sequence) + 1) | 0;
    Atomics.store(board, boardLayout.sequence, order);
    for (const spot of spots) spot.wake();
    for (let lane = 0; lane < boardLayout.lanes; lane++) {
      if (waitForLane(board, boardLayout, lane, order, patienceMs)) continue;
      // It does not come back from a step: whoever looks after the threads ends it.
      declareLaneDead({ board, layout: boardLayout, lane, leaveBus: () => {} }, () => ownerSpot.wake());
    }
  }

  /** A queue thread may be on its way. */
  private waitUntilUp(lane: number, end: number): void {
    const { board, boardLayout } = this.parts;
    const state = laneAt(boardLayout, lane) + LANE_WORD.STATE;
    for (const life of [LANE.WANTED, LANE.STARTING]) {
      const left = end - milliseconds();
      if (left > 0) sleepWhile(board, state, life, left);
    }
  }

  private putQueue(index: number, at: number): void {
    const { board } = this.parts;
    const slot = this.device?.queues[index];
    const [lo, hi] = [false, true].map((high) => (area: number) => slot?.readAddress(area, high) ?? 0);
    writeQueue(board, at, {
      enabled: slot?.enabled === true && index < this.dataQueues(),
      size: slot?.size ?? 0,
      addresses: [lo!(0), hi!(0), lo!(1), hi!(1), lo!(2), hi!(2)],
    });
  }
}

/** What the device type says, with what its queue threads have to say. */
function mergedModel(own: ModelSnapshot, reports: readonly LaneReport[]): ModelSnapshot {
  const drops: Record<string, number> = { ...own.drops };
  for (const { net } of reports)
    for (const [name, count] of Object.entries(net.drops)) drops[name] = (drops[name] ?? 0) + count;
  return {
    ...own,
    drops,
    backendFull: reports.flatMap(({ net }) => net.backendFull),
    coalescing: reports.flatMap(({ net }) => net.coalescing),
  };
}
