import { HostMemory } from '@ringwire/guest-memory';
import { LIFE } from './control-layout.js';
import { declareClosed, declareDead, type ThreadPlace } from './dead-device.js';
import { DeviceKeeper } from './device-keeper.js';
import { DeviceLink, type LinkOptions } from './device-link.js';
import { WORKER_URL } from './device-thread.js';
import { ParkingSpot } from './parking-spot.js';
import { waitAsync } from './platform.js';
import {
  checkedConfigs,
  keepLayoutOf,
  type ProtectedConfig,
  type ProtectedConfigs,
  type ProtectedRole,
} from './protected-config.js';
import { placeOfThreads, startOver } from './protected-place.js';
import { controlLayoutOf } from './queue-threads.js';
import { linkPlaceOf } from './serve-device.js';
import { FromSupervisorSchema, type SupervisorOrder, type ToSupervisor } from './supervisor-messages.js';
import { evictOwners, type ThreadOwners } from './thread-owners.js';
import { spawnWorker, type ThreadWorker } from './thread-worker.js';

/** What goes with a {@link ProtectedThread} beside what it runs. */
export interface ProtectedOptions extends Omit<LinkOptions, 'restart'> {
  /** A thread ended, and another one goes on: the driver notices nothing. */
  readonly tookOver?: (role: ProtectedRole, reason: string) => void;
  /** {@link ProtectedThread.isProtected} changed. */
  readonly standing?: (isThere: boolean) => void;
  /** Nobody can go on with the device: it needs a reset, as one without protection does at once. */
  readonly died?: (reason: string) => void;
  /** What workers run; the bundle beside this package's modules unless given. */
  readonly workerUrl?: URL;
}

/**
 * A virtio network device in a thread that may be ended at any moment, in the middle of a burst too: another one, which is
 * there already and waits, goes on where it was, with a backend of its own, and the driver notices nothing. Its registers
 * stay as they were, DRIVER_OK among them; buffers that were in flight are used exactly once; both sides are notified
 * again, so that nobody sleeps on what the dead thread had to tell.
 *
 * What goes through a cable goes through exactly once. Frames that the backend itself held, as a loopback does, go with it,
 * and statistics begin anew. A control command that was carried out and not answered is carried out again.
 */
export class ProtectedThread {
  readonly link: DeviceLink;
  /** The device can be used, or is given up. Registers can be accessed before: the access waits. */
  readonly ready: Promise<void>;
  /** Times that another thread went on. */
  takeovers = 0;
  /** Which configuration serves the driver, as far as this thread has heard. */
  role: ProtectedRole = 'primary';
  /**
   * Whether another thread stands by. Behind a takeover that takes as long as a thread takes to start: one that is ended before
   * is replaced only then.
   */
  isProtected = false;
  private readonly config: ProtectedConfig;
  private readonly configs: ProtectedConfigs;
  private readonly options: ProtectedOptions;
  private readonly place: ThreadPlace;
  private readonly keeper: DeviceKeeper;
  /** Numbers of threads that run, as the supervisor said. */
  private readonly threads = new Map<number, ThreadOwners>();
  private supervisor: ThreadWorker | undefined;
  private onReady: (problem?: Error) => void = () => {};
  private onClosed: () => void = () => {};
  private readonly onBack: ((problem: string | undefined) => void)[] = [];
  private closing: Promise<void> | undefined = undefined;

  /** @throws VirtioError for what no device can be; what only its thread can find out rejects {@link ready} */
  constructor(config: ProtectedConfig, options: ProtectedOptions = {}) {
    const configs = checkedConfigs(config);
    const { primary } = configs;
    const layout = controlLayoutOf(primary);
    const words = new Int32Array(new SharedArrayBuffer(layout.words * 4));
    this.config = config;
    this.configs = configs;
    this.options = options;
    this.place = placeOfThreads(configs, words);
    this.keeper = new DeviceKeeper(HostMemory.adopt(primary.memory), keepLayoutOf(config.keep, config.model));
    this.keeper.forget();
    this.link = new DeviceLink(linkPlaceOf(primary, words), { ...options, restart: () => this.restart() });
    this.ready = new Promise((resolve, reject) => {
      this.onReady = (problem) => (problem === undefined ? resolve() : reject(problem));
    });
    // Whoever does not wait for it learns of a failure from the device.
    this.ready.catch(() => {});
    this.supervisor = this.supervise(false);
  }

  /** End the thread that serves, wherever it is: it hangs, or what it works with is gone. Another one goes on. */
  endThread(): void {
    this.say('end');
  }

  /**
   * Have a fresh thread of the primary configuration go on, once it stands ready. The one that serves leaves the device
   * between two steps.
   * @throws Error when the device is dead or closed, or that thread ended meanwhile
   */
  failBack(): Promise<void> {
    if (this.closing !== undefined) return Promise.reject(new Error('the device is closed'));
    if (this.supervisor === undefined) return Promise.reject(new Error('there is no device to go back with'));
    return new Promise((resolve, reject) => {
      this.onBack.push((problem) => (problem === undefined ? resolve() : reject(new Error(problem))));
      this.say('back');
    });
  }

  /** Reset the device, end its threads, and leave its registers dead. Resolves when no DMA can follow. */
  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.link.stopListening();
      this.onClosed = resolve;
      if (this.supervisor === undefined) this.closed();
      else this.say('close');
    });
    return this.closing;
  }

  private supervise(again: boolean): ThreadWorker {
    const { config, options, place } = this;
    const { patienceMs = 5000, workerUrl = WORKER_URL } = options;
    const supervisor = spawnWorker(workerUrl, {
      message: (value) => this.hear(value),
      ended: (reason) => {
        // In a browser that is what makes sure of it.
        supervisor.terminate();
        this.lose(supervisor, reason);
      },
    });
    const { words } = place;
    const order = { type: 'supervise', config, words, workerUrl: workerUrl.href, patienceMs, again } as const;
    supervisor.post(order satisfies SupervisorOrder);
    return supervisor;
  }

  private say(type: ToSupervisor['type']): void {
    this.supervisor?.post({ type } satisfies ToSupervisor);
  }

  private hear(value: unknown): void {
    const parsed = FromSupervisorSchema.safeParse(value);
    if (!parsed.success) {
      this.fail('the supervisor said something that is no message');
      return;
    }
    const message = parsed.data;
    switch (message.type) {
      case 'ready':
        this.onReady();
        return;
      case 'thread':
        if (message.runs) this.threads.set(message.owners.memory, message.owners);
        else this.threads.delete(message.owners.memory);
        return;
      case 'waits':
        this.stands(message.isThere);
        return;
      case 'tookOver':
        this.takeovers++;
        this.role = message.role;
        this.options.tookOver?.(message.role, message.reason);
        return;
      case 'back':
        for (const tell of this.onBack.splice(0)) tell(message.problem);
        return;
      case 'died':
        this.fail(message.reason);
        return;
      case 'closed':
        this.supervisor?.terminate();
        this.closed();
        return;
      default:
        message satisfies never;
    }
  }

  /** The supervisor runs no more, and with it none of its threads: nobody is left to go on with the device. */
  private lose(supervisor: ThreadWorker, reason: string): void {
    if (this.supervisor !== supervisor) return;
    this.supervisor = undefined;
    this.stands(false);
    for (const owners of this.threads.values()) evictOwners(this.configs.primary, owners);
    this.threads.clear();
    if (this.closing !== undefined) {
      this.closed();
      return;
    }
    declareDead(this.place);
    this.fail(`the supervisor ended: ${reason}`);
    if (waitAsync !== undefined) void this.watchForRestarts();
  }

  /** A driver resets a dead device. */
  private restart(): void {
    if (this.supervisor !== undefined) {
      this.say('restart');
      return;
    }
    const { words, layout } = this.place;
    if (Atomics.compareExchange(words, layout.state, LIFE.WANTED, LIFE.STARTING) !== LIFE.WANTED) return;
    startOver(this.place, this.keeper);
    this.supervisor = this.supervise(true);
  }

  /** Drivers in other threads ask for one by waking the owner, which is the supervisor while there is one. */
  private async watchForRestarts(): Promise<void> {
    const spot = new ParkingSpot(this.place.words, this.place.layout.ownerSpot);
    while (this.supervisor === undefined && this.link.life !== LIFE.CLOSED) {
      spot.arm();
      this.restart();
      if (this.supervisor === undefined) await spot.sleepAsync();
    }
  }

  private stands(isThere: boolean): void {
    if (this.isProtected === isThere) return;
    this.isProtected = isThere;
    this.options.standing?.(isThere);
  }

  private closed(): void {
    if (this.link.life !== LIFE.CLOSED) declareClosed(this.place);
    for (const tell of this.onBack.splice(0)) tell('the device was closed');
    this.onClosed();
  }

  private fail(reason: string): void {
    this.onReady(new Error(`the device's thread ended: ${reason}`));
    for (const tell of this.onBack.splice(0)) tell(reason);
    this.options.died?.(reason);
  }
}
