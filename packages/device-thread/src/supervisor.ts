import { HostMemory } from '@ringwire/guest-memory';
import { ASKED, LIFE, type Life } from './control-layout.js';
import { declareClosed, declareDead, type ThreadPlace } from './dead-device.js';
import { DeviceKeeper } from './device-keeper.js';
import { messageOf } from './device-thread.js';
import { InterruptRaiser } from './interrupt-words.js';
import { GATE } from './kept-worker.js';
import { ParkingSpot } from './parking-spot.js';
import { waitAsync } from './platform.js';
import { checkedConfigs, keepLayoutOf, type ProtectedConfigs, type ProtectedRole } from './protected-config.js';
import { placeOfThreads, startOver } from './protected-place.js';
import { deviceSpotOf, sleepingPlaceOf } from './sleeping-places.js';
import type { FromSupervisor, SupervisorOrder } from './supervisor-messages.js';
import type { ThreadOrder } from './thread-config.js';
import { evictOwners, newOwners } from './thread-owners.js';
import { spawnWorker, type ThreadWorker } from './thread-worker.js';

/** One worker, serving or waiting. */
interface Runner {
  readonly role: ProtectedRole;
  readonly worker: ThreadWorker;
  readonly gate: Int32Array;
  /** Why it ends, once that is known. */
  reason: string;
  /** It broke down by itself, rather than being ended. */
  failed: boolean;
  /** It runs nothing any more. */
  isGone: boolean;
}

/** Threads that break down one after the other, none of which used a buffer: the next one would, too. */
const FAILURES_MOST = 3;
/**
 * ms that a thread has served before the next one is started, which takes processors from it for as long as it starts: what had
 * waited for it has gone through by then.
 */
const START_AFTER_MS = 20;

/**
 * Looks after the threads of a protected device, in a thread of its own: a driver that waits for a register keeps its own
 * thread from hearing that the one it waits for has ended.
 */
export class Supervisor {
  private readonly order: SupervisorOrder;
  private readonly tell: (message: FromSupervisor) => void;
  private readonly configs: ProtectedConfigs;
  private readonly keeper: DeviceKeeper;
  private readonly threadPlace: ThreadPlace;
  private readonly ownerSpot: ParkingSpot;
  /** All whose threads run. */
  private readonly runners = new Set<Runner>();
  private serving: Runner;
  private waiting: Runner | undefined = undefined;
  /** Ready to take the device over from a thread that leaves it. */
  private next: Runner | undefined = undefined;
  private failures = 0;
  private progress: readonly number[] = [];
  private isTakingOver = false;
  private isClosing = false;
  private deathReason = '';

  /** @throws VirtioError for what no device can be */
  constructor(order: SupervisorOrder, tell: (message: FromSupervisor) => void) {
    const { config, words } = order;
    const configs = checkedConfigs(config);
    const { primary } = configs;
    this.order = order;
    this.tell = tell;
    this.configs = configs;
    this.keeper = new DeviceKeeper(HostMemory.adopt(primary.memory), keepLayoutOf(config.keep, config.model));
    this.threadPlace = placeOfThreads(configs, words);
    this.ownerSpot = new ParkingSpot(words, this.threadPlace.layout.ownerSpot);
    this.serving = this.spawn('primary', order.again);
    openGate(this.serving, GATE.GO);
    if (waitAsync !== undefined) void this.watchForRestarts();
  }

  /** End the thread that serves, wherever it is. */
  endThread(): void {
    end(this.serving, 'it was ended');
  }

  /** Have a fresh thread of the primary configuration go on, once it stands ready. */
  failBack(): void {
    if (this.isClosing || this.isDead() || this.next !== undefined) {
      const problem = this.next === undefined ? 'there is no device to go back with' : 'it is on its way back';
      this.tell({ type: 'back', problem });
      return;
    }
    this.next = this.spawn('primary', false);
  }

  /** Reset the device and end its threads. */
  close(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    const { words, layout } = this.threadPlace;
    const life = Atomics.exchange(words, layout.state, LIFE.CLOSING);
    setTimeout(() => {
      for (const runner of this.runners) end(runner, 'it does not close');
    }, this.order.patienceMs);
    for (const runner of [this.waiting, this.next]) if (runner !== undefined) openGate(runner, GATE.END);
    if (life === LIFE.DEAD || life === LIFE.WANTED) this.closeWhenAlone();
    else this.wakeDevice();
  }

  private spawn(role: ProtectedRole, again: boolean): Runner {
    const config = this.configs[role];
    const owners = newOwners(config);
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const worker = spawnWorker(new URL(this.order.workerUrl), {
      message: (value) => this.hear(value, runner),
      ended: (reason) => {
        if (runner.reason === '') runner.failed = true;
        // One that goes on doing nothing is ended for good; then it is gone.
        end(runner, reason);
        if (runner.isGone) this.lose(runner);
      },
      gone: () => {
        evictOwners(config, owners);
        runner.isGone = true;
        this.tell({ type: 'thread', owners, runs: false });
        // Of one that ended without a word the exit says why.
        if (runner.reason !== '') this.lose(runner);
      },
    });
    const runner: Runner = { role, worker, gate, reason: '', failed: false, isGone: false };
    this.runners.add(runner);
    this.tell({ type: 'thread', owners, runs: true });
    const { words } = this.threadPlace;
    const kept = { at: this.order.config.keep, gate };
    worker.post({ type: 'run', config, words, again, owners, kept } satisfies ThreadOrder);
    return runner;
  }

  private hear(value: unknown, runner: Runner): void {
    const message = messageOf(value);
    switch (message.type) {
      case 'ready':
        this.served(runner);
        return;
      case 'standing':
        if (runner === this.next) this.askToLeave();
        else if (runner === this.waiting) this.tell({ type: 'waits', isThere: true });
        return;
      case 'left':
        end(runner, 'it left the device');
        return;
      case 'failed':
        if (runner.reason === '') runner.failed = true;
        end(runner, message.reason);
        return;
      case 'closed':
        end(runner, 'it was closed');
        return;
      case 'saved':
        return;
      default:
        message satisfies never;
    }
  }

  /** A thread has the device. */
  private served(runner: Runner): void {
    if (runner !== this.serving) return;
    this.tell({ type: 'ready' });
    setTimeout(() => this.standBy(), START_AFTER_MS);
    if (!this.isTakingOver) return;
    this.isTakingOver = false;
    this.tell({ type: 'tookOver', role: runner.role, reason: this.deathReason });
    if (runner.role === 'primary') this.tell({ type: 'back' });
  }

  /** Now that one serves there is time for the next one. */
  private standBy(): void {
    if (this.isClosing || this.isDead()) return;
    this.waiting ??= this.spawn('standby', false);
  }

  /** The thread that serves leaves the device between two steps. */
  private askToLeave(): void {
    const { words, layout } = this.threadPlace;
    Atomics.store(words, layout.asked, ASKED.LEAVE);
    this.wakeDevice();
  }

  /** A thread does not run any more. */
  private lose(runner: Runner): void {
    if (!this.runners.delete(runner)) return;
    if (this.isClosing) {
      this.closeWhenAlone();
      return;
    }
    if (runner === this.waiting) {
      this.waiting = undefined;
      this.tell({ type: 'waits', isThere: false });
    }
    if (runner === this.next) {
      this.next = undefined;
      this.tell({ type: 'back', problem: `the thread to go back to ended: ${runner.reason}` });
    }
    if (runner !== this.serving) return;
    if (this.isDead()) return;
    this.deathReason = runner.reason;
    if (this.mayGoOn(runner)) this.takeOver();
    else this.giveUp(runner.reason);
  }

  /** One that breaks down again and again at the same place would do so for ever. */
  private mayGoOn({ failed }: Runner): boolean {
    const { progress } = this.keeper;
    const isStuck = failed && progress.every((chains, queue) => chains === this.progress[queue]);
    this.progress = progress;
    this.failures = isStuck ? this.failures + 1 : 0;
    return !this.keeper.isLost && this.failures < FAILURES_MOST;
  }

  private takeOver(): void {
    const { words, layout } = this.threadPlace;
    new InterruptRaiser(words, layout).mend();
    // The one that was asked to leave may have ended without: the next one is not meant.
    Atomics.store(words, layout.asked, ASKED.NOTHING);
    const runner = this.next ?? this.waiting ?? this.spawn('standby', false);
    if (runner === this.next) this.next = undefined;
    if (runner === this.waiting) {
      this.waiting = undefined;
      this.tell({ type: 'waits', isThere: false });
    }
    this.isTakingOver = true;
    this.serving = runner;
    openGate(runner, GATE.GO);
  }

  private giveUp(reason: string): void {
    declareDead(this.threadPlace);
    this.tell({ type: 'died', reason });
  }

  /** Closed is what has no thread left. */
  private closeWhenAlone(): void {
    if (this.runners.size > 0) return;
    declareClosed(this.threadPlace);
    this.tell({ type: 'closed' });
  }

  /** A driver resets a dead device: start over. */
  restart(): void {
    const { words, layout } = this.threadPlace;
    if (Atomics.compareExchange(words, layout.state, LIFE.WANTED, LIFE.STARTING) !== LIFE.WANTED) return;
    startOver(this.threadPlace, this.keeper);
    this.failures = 0;
    this.serving = this.spawn('primary', true);
    openGate(this.serving, GATE.GO);
  }

  private get life(): Life {
    return Atomics.load(this.threadPlace.words, this.threadPlace.layout.state) as Life;
  }

  private isDead(): boolean {
    return this.life === LIFE.DEAD || this.life === LIFE.WANTED;
  }

  private wakeDevice(): void {
    const { words, layout } = this.threadPlace;
    deviceSpotOf(words, layout, sleepingPlaceOf(this.configs[this.serving.role])).wake();
  }

  /** Drivers in other threads ask for a restart by waking this one. */
  private async watchForRestarts(): Promise<void> {
    for (;;) {
      this.ownerSpot.arm();
      this.restart();
      if (this.life === LIFE.CLOSED) return;
      await this.ownerSpot.sleepAsync();
    }
  }
}

/** End a thread, for the reason that was there first. */
function end(runner: Runner, reason: string): void {
  if (runner.reason === '') runner.reason = reason;
  runner.worker.terminate();
}

function openGate({ gate }: Runner, value: number): void {
  Atomics.store(gate, 0, value);
  Atomics.notify(gate, 0);
}
