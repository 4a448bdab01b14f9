import type { SavedDevice } from '@ringwire/virtio-device';
import { ASKED, LIFE, SHOWN } from './control-layout.js';
import { declareDead, type ThreadPlace } from './dead-device.js';
import { DeviceLink, type LinkOptions } from './device-link.js';
import { abandonMailbox } from './mailbox.js';
import { ParkingSpot } from './parking-spot.js';
import { waitAsync } from './platform.js';
import { declareLaneDead, LANE, LANE_WORD, type LanePlace, laneAt } from './queue-board.js';
import { boardLayoutOf, checkLanes, controlLayoutOf } from './queue-threads.js';
import { linkPlaceOf } from './serve-device.js';
import { deviceSpotOf, laneBackends, unplugCables } from './sleeping-places.js';
import type { CompleteThreadConfig, FromWorker, ThreadConfig, ThreadOrder } from './thread-config.js';
import { evictBus, evictOwners, newOwners, type ThreadOwners } from './thread-owners.js';
import { FromWorkerSchema, parseAs, ThreadConfigSchema } from './thread-schema.js';
import { type SpawnWorker, spawnWorker, type ThreadWorker } from './thread-worker.js';

/** What goes with a {@link DeviceThread} beside what it runs. */
export interface ThreadOptions extends Omit<LinkOptions, 'restart'> {
  /** The device's thread ended of itself: the device needs a reset. */
  readonly died?: (reason: string) => void;
  /** How a worker is made; of the platform unless given. */
  readonly spawn?: SpawnWorker;
  /** What the worker runs; the bundle beside this package's modules unless given. */
  readonly workerUrl?: URL;
}

/** Bundled by scripts/bundle-worker.mjs: one file, the same for Node and browsers, next to what is built of this one. */
export const WORKER_URL: URL = new URL('../dist/device-worker.bundle.js', import.meta.url);

/**
 * A virtio device in a thread of its own. {@link link} has its registers, doorbells and interrupts; other threads make a
 * `DeviceLink` of their own from `link.place`.
 *
 * When the thread dies, of an exception, an exit or a termination, the device's status shows DEVICE_NEEDS_RESET and its
 * driver gets a configuration change interrupt; when the driver resets the device, a new thread takes over.
 */
export class DeviceThread {
  readonly link: DeviceLink;
  /** The device can be used, or is given up. Registers can be accessed before: the access waits. */
  readonly ready: Promise<void>;
  /** Times that its thread ended of itself, and why the last time. */
  deaths = 0;
  deathReason: string | undefined;
  /** Queue threads that ended of themselves, and why; the device goes on with new ones when its driver resets it. */
  readonly laneDeaths: string[] = [];

  private readonly config: CompleteThreadConfig;
  private readonly options: ThreadOptions;
  private readonly threadPlace: ThreadPlace;
  private readonly ownerSpot: ParkingSpot;
  private worker: ThreadWorker;
  private owners: ThreadOwners;
  /** With queue threads: where they and the control thread meet, and their workers. */
  private readonly board: Int32Array | undefined = undefined;
  private readonly lanes: ThreadWorker[] = [];
  private readonly laneOwners: ThreadOwners[] = [];
  private onReady: (problem?: Error) => void = () => {};
  private onClosed: () => void = () => {};
  private closing: Promise<void> | undefined;
  /** Who waits for the device to be saved. */
  private readonly savings: ((device: SavedDevice | undefined) => void)[] = [];

  /** @throws VirtioError for what no device can be; what only its thread can find out rejects {@link ready} */
  constructor(config: ThreadConfig, options: ThreadOptions = {}) {
    const complete = parseAs(ThreadConfigSchema, config, 'DeviceThread');
    const { transport, space } = complete;
    const layout = controlLayoutOf(complete);
    checkLanes(complete);
    const words = new Int32Array(new SharedArrayBuffer(layout.words * 4));
    this.config = complete;
    this.options = options;
    const leaveBus = (): void => evictBus(space, this.owners.bus);
    this.threadPlace = { words, layout, transport, leaveBus, unplug: () => unplugCables(complete) };
    this.owners = newOwners(complete);
    this.ownerSpot = new ParkingSpot(words, layout.ownerSpot);
    const lanes = laneBackends(complete).length;
    if (lanes > 0) this.board = new Int32Array(new SharedArrayBuffer(boardLayoutOf(complete).words * 4));
    const place = linkPlaceOf(complete, words);
    this.link = new DeviceLink(place, { ...options, restart: () => this.restart() });
    this.ready = new Promise((resolve, reject) => {
      this.onReady = (problem) => (problem === undefined ? resolve() : reject(problem));
    });
    // Whoever does not wait for it learns of a failure from the device.
    this.ready.catch(() => {});
    this.worker = this.spawn(false);
    for (let lane = 0; lane < lanes; lane++) this.lanes.push(this.spawnLane(lane));
    if (waitAsync !== undefined) void this.watchForRestarts();
  }

  /**
   * Keep the device for inspection, as `saveDevice` does in its thread: one moment between two steps.
   * @throws Error when its thread is dead, or dies or hangs meanwhile
   */
  save(): Promise<SavedDevice> {
    const { words, layout } = this.threadPlace;
    const { life } = this.link;
    if (this.closing !== undefined || (life !== LIFE.RUNNING && life !== LIFE.STARTING))
      return Promise.reject(new Error(this.whyGone()));
    return new Promise((resolve, reject) => {
      const limit = this.options.patienceMs ?? 5000;
      const late = setTimeout(() => reject(new Error(`the device's thread did not answer in ${limit} ms`)), limit);
      this.savings.push((device) => {
        clearTimeout(late);
        if (device === undefined) reject(new Error(this.whyGone()));
        else resolve(device);
      });
      Atomics.store(words, layout.asked, ASKED.SAVE);
      deviceSpotOf(words, layout, this.link.place.spot).wake();
    });
  }

  /** Why nothing moves, as `explainDevice` says it in the device's thread; of a dead thread, why it is. */
  async explain(): Promise<readonly string[]> {
    try {
      return (await this.save()).reasons;
    } catch (problem) {
      return [`${(problem as Error).message}.`];
    }
  }

  /** Reset the device, end its thread, and leave its registers dead. Resolves when no DMA can follow. */
  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      const { words, layout } = this.threadPlace;
      this.link.stopListening();
      const life = Atomics.exchange(words, layout.state, LIFE.CLOSING);
      // A device type that never comes back from a step is not waited for.
      const late = setTimeout(() => this.worker.terminate(), this.options.patienceMs ?? 5000);
      this.onClosed = () => {
        clearTimeout(late);
        Atomics.store(words, layout.state, LIFE.CLOSED);
        Atomics.notify(words, layout.state);
        abandonMailbox(words, layout.mailbox);
        this.threadPlace.leaveBus();
        this.endLanes();
        unplugCables(this.config);
        this.ownerSpot.wake();
        for (const tell of this.savings.splice(0)) tell(undefined);
        resolve();
      };
      if (life === LIFE.DEAD || life === LIFE.WANTED) {
        this.onClosed();
        return;
      }
      deviceSpotOf(words, layout, this.link.place.spot).wake();
    });
    return this.closing;
  }

  private spawn(again: boolean): ThreadWorker {
    const { words } = this.threadPlace;
    const { spawn = spawnWorker, workerUrl = WORKER_URL } = this.options;
    const owners = newOwners(this.config);
    this.owners = owners;
    const worker = spawn(workerUrl, {
      message: (value) => this.hear(value, worker),
      ended: (reason) => this.bury(reason, worker),
      gone: () => evictOwners(this.config, owners),
    });
    const board = this.board === undefined ? {} : { board: this.board };
    worker.post({ type: 'run', config: this.config, words, again, owners, ...board } satisfies ThreadOrder);
    return worker;
  }

  private spawnLane(lane: number): ThreadWorker {
    const { words } = this.threadPlace;
    const { spawn = spawnWorker, workerUrl = WORKER_URL } = this.options;
    const bury = (reason: string): void => {
      // Without a control thread it leaves.
      if (this.lanes[lane] !== worker || this.closing !== undefined || this.link.life !== LIFE.RUNNING) return;
      this.laneDeaths.push(`queue thread ${lane}: ${reason}`);
      declareLaneDead(this.lanePlace(lane), () =>
        deviceSpotOf(words, this.threadPlace.layout, this.link.place.spot).wake(),
      );
      worker.terminate();
      this.options.died?.(`queue thread ${lane}: ${reason}`);
    };
    const owners = newOwners(this.config);
    this.laneOwners[lane] = owners;
    const worker = spawn(workerUrl, {
      message: (value) => {
        const message = messageOf(value);
        if (message.type === 'failed') bury(message.reason);
      },
      ended: bury,
      gone: () => evictOwners(this.config, owners),
    });
    worker.post({ type: 'run', config: this.config, words, again: false, owners, board: this.board!, lane });
    return worker;
  }

  private lanePlace(lane: number): LanePlace {
    const leaveBus = (): void => evictBus(this.config.space, this.laneOwners[lane]!.bus);
    return { board: this.board!, layout: boardLayoutOf(this.config), lane, leaveBus };
  }

  /** End all queue threads for good. */
  private endLanes(): void {
    for (const [lane, worker] of this.lanes.entries()) {
      worker.terminate();
      declareLaneDead(this.lanePlace(lane), () => {});
    }
  }

  /** Make the queue threads anew that are asked for. */
  private restartLanes(): void {
    const { words, layout } = this.threadPlace;
    if (this.board === undefined || Atomics.exchange(words, layout.shown + SHOWN.LANES_WANTED, 0) === 0) return;
    for (const [lane, worker] of this.lanes.entries()) {
      const state = laneAt(boardLayoutOf(this.config), lane) + LANE_WORD.STATE;
      if (Atomics.compareExchange(this.board, state, LANE.WANTED, LANE.STARTING) !== LANE.WANTED) continue;
      worker.terminate();
      this.lanes[lane] = this.spawnLane(lane);
    }
  }

  private hear(value: unknown, worker: ThreadWorker): void {
    const message = messageOf(value);
    switch (message.type) {
      case 'ready':
        this.onReady();
        return;
      case 'saved':
        for (const tell of this.savings.splice(0)) tell(message.device);
        return;
      case 'failed':
        this.bury(message.reason, worker);
        return;
      case 'closed':
        this.onClosed();
        return;
      // Of protected threads.
      case 'standing':
      case 'left':
        return;
      default:
        message satisfies never;
    }
  }

  /** The thread is no more. */
  private bury(reason: string, worker: ThreadWorker): void {
    if (this.worker !== worker) return;
    if (this.closing !== undefined) {
      this.onClosed();
      return;
    }
    declareDead(this.threadPlace);
    worker.terminate();
    if (this.deathReason === undefined) this.noteDeath(reason);
  }

  private noteDeath(reason: string): void {
    this.deathReason = reason;
    this.deaths++;
    this.onReady(new Error(this.whyGone()));
    for (const tell of this.savings.splice(0)) tell(undefined);
    this.options.died?.(reason);
  }

  private whyGone(): string {
    if (this.closing !== undefined) return "the device's thread is closed";
    return `the device's thread ended: ${this.deathReason ?? 'it said so itself'}`;
  }

  /** A driver resets a dead device: start over. */
  private restart(): void {
    this.restartLanes();
    const { words, layout } = this.threadPlace;
    if (Atomics.compareExchange(words, layout.state, LIFE.WANTED, LIFE.STARTING) !== LIFE.WANTED) return;
    // Its own last words are still under way.
    if (this.deathReason === undefined) this.noteDeath('it said so itself');
    this.worker.terminate();
    this.deathReason = undefined;
    for (const word of [SHOWN.STATUS, SHOWN.ISR, SHOWN.PAIR_QUEUES]) Atomics.store(words, layout.shown + word, 0);
    this.worker = this.spawn(true);
    // Without a control thread they have left, or are about to.
    for (const [lane, worker] of this.lanes.entries()) {
      worker.terminate();
      Atomics.store(this.board!, laneAt(boardLayoutOf(this.config), lane) + LANE_WORD.STATE, LANE.STARTING);
      this.lanes[lane] = this.spawnLane(lane);
    }
  }

  /** Drivers in other threads ask for a restart by waking this one. */
  private async watchForRestarts(): Promise<void> {
    const { words, layout } = this.threadPlace;
    for (;;) {
      this.ownerSpot.arm();
      this.restart();
      const life = Atomics.load(words, layout.state);
      if (life === LIFE.CLOSED) return;
      await this.ownerSpot.sleepAsync();
    }
  }
}

/** What a worker said. One that says what no worker of ours does cannot go on: nothing is thrown into the event loop. */
export function messageOf(value: unknown): FromWorker {
  const parsed = FromWorkerSchema.safeParse(value);
  return parsed.success ? parsed.data : { type: 'failed', reason: 'the worker said something that is no message' };
}
