import { HostMemory } from '@ringwire/guest-memory';
import { LIFE } from './control-layout.js';
import { DeviceKeeper } from './device-keeper.js';
import { DeviceLink, type LinkOptions } from './device-link.js';
import { WORKER_URL } from './device-thread.js';
import { checkedConfigs, keepLayoutOf, type ProtectedConfig, type ProtectedRole } from './protected-config.js';
import { controlLayoutOf } from './queue-threads.js';
import { linkPlaceOf } from './serve-device.js';
import { FromSupervisorSchema, type SupervisorOrder, type ToSupervisor } from './supervisor-messages.js';
import { spawnWorker, type ThreadWorker } from './thread-worker.js';

/** What goes with a {@link ProtectedThread} beside what it runs. */
export interface ProtectedOptions extends Omit<LinkOptions, 'restart'> {
  /** A thread ended, and another one goes on: the driver notices nothing. */
  readonly tookOver?: (role: ProtectedRole, reason: string) => void;
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
  private readonly options: ProtectedOptions;
  private readonly supervisor: ThreadWorker;
  private onReady: (problem?: Error) => void = () => {};
  private onClosed: () => void = () => {};
  private readonly onBack: ((problem: string | undefined) => void)[] = [];
  private closing: Promise<void> | undefined = undefined;

  /** @throws VirtioError for what no device can be; what only its thread can find out rejects {@link ready} */
  constructor(config: ProtectedConfig, options: ProtectedOptions = {}) {
    const { primary } = checkedConfigs(config);
    const layout = controlLayoutOf(primary);
    const words = new Int32Array(new SharedArrayBuffer(layout.words * 4));
    this.options = options;
    new DeviceKeeper(HostMemory.adopt(primary.memory), keepLayoutOf(config.keep, config.model)).forget();
    this.link = new DeviceLink(linkPlaceOf(primary, words), { ...options, restart: () => this.say('restart') });
    this.ready = new Promise((resolve, reject) => {
      this.onReady = (problem) => (problem === undefined ? resolve() : reject(problem));
    });
    // Whoever does not wait for it learns of a failure from the device.
    this.ready.catch(() => {});
    const { patienceMs = 5000, workerUrl = WORKER_URL } = options;
    this.supervisor = spawnWorker(workerUrl, {
      message: (value) => this.hear(value),
      ended: (reason) => this.fail(`the supervisor ended: ${reason}`),
    });
    const order = { type: 'supervise', config, words, workerUrl: workerUrl.href, patienceMs } as const;
    this.supervisor.post(order satisfies SupervisorOrder);
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
      if (this.link.life === LIFE.CLOSED) resolve();
      else this.say('close');
    });
    return this.closing;
  }

  private say(type: ToSupervisor['type']): void {
    this.supervisor.post({ type } satisfies ToSupervisor);
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
        for (const tell of this.onBack.splice(0)) tell('the device was closed');
        this.supervisor.terminate();
        this.onClosed();
        return;
      default:
        message satisfies never;
    }
  }

  private fail(reason: string): void {
    if (this.closing !== undefined) {
      this.onClosed();
      return;
    }
    this.onReady(new Error(`the device's thread ended: ${reason}`));
    for (const tell of this.onBack.splice(0)) tell(reason);
    this.options.died?.(reason);
  }
}
