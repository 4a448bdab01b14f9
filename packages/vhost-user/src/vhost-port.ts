import type { HostMemory } from '@ringwire/guest-memory';
import { signalEvent, takeEvent } from '@ringwire/linux';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import { faultName, RING_FAULT } from '@ringwire/virtqueue';
import type { BackendChannel } from './backend-channel.js';
import type { DirtyPages } from './dirty-pages.js';
import type { InflightArea } from './inflight-area.js';
import type { MemoryTable } from './memory-table.js';
import { POLLED, Vring } from './vring.js';

/** How often a kick may be there again at once before it counts as one that is always there. */
const KICKS_LEFT_MAX = 1000;

/**
 * A device behind vhost-user, whoever runs its rings: what the front-end sets up of them and when they run, kicks, calls and errors.
 * It runs while at least one ring does.
 */
export abstract class VhostPort {
  readonly memory: HostMemory;
  /** Negotiated feature words 0–3, without the protocol's own bit. */
  features: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly vrings: readonly Vring[];
  readonly dirty: DirtyPages;
  /** Where chains in flight of rings that are opened are on record, if the front-end keeps them. */
  inflight: InflightArea | undefined;
  /** The back-end's own way to the front-end, once there is one. */
  channel: BackendChannel | undefined;
  /** INBAND_NOTIFICATIONS: rings without events have their calls and errors sent over {@link channel}. */
  inBand = false;
  /** Why the device cannot go on: the connection has to end. */
  broken: string | undefined;
  /** Notifications of the front-end, and to it. */
  kicks = 0;
  callsSent = 0;
  protected readonly table: MemoryTable;
  protected running = false;
  private readonly clock: () => number;
  /** Rings with a call to be sent, as a byte each. */
  private readonly calls: Uint8Array;

  /** @param sizes largest size of each ring @param clock µs that never go back */
  constructor(sizes: readonly number[], table: MemoryTable, dirty: DirtyPages, clock: () => number) {
    this.memory = table.space.memory;
    this.table = table;
    this.dirty = dirty;
    this.clock = clock;
    this.vrings = sizes.map((size, index) => new Vring(index, size));
    this.calls = new Uint8Array(sizes.length);
  }

  /** Run a ring from its base on: then it {@link Vring.runs}, or waits for translations. @returns why it can't be */
  protected abstract open(vring: Vring): string | undefined;
  /** The first ring runs, or a ring began or ceased to run or to wait while others do. */
  protected abstract changed(vring: Vring): void;
  /** No ring runs any more, and features may change. */
  protected abstract stop(): void;
  /** Use up what was taken, so that the ring's position is all there is to know of it, and keep that as its base. */
  protected abstract close(vring: Vring): void;
  /** Memory, or the log of what is written in it, is another one. No ring runs. @returns why there can be no rings in it */
  protected abstract renewed(): string | undefined;
  /** Everything as before the front-end set anything up, its memory excepted. */
  protected abstract forget(): void;
  /** The front-end is gone, and its memory goes. */
  protected abstract letGo(): void;
  /** Buffers are available, however the front-end said so. */
  abstract available(vring: Vring): void;
  /** Do some work. @param budget most chains per ring @returns chains and frames handled; 0: nothing to do */
  abstract step(budget: number): number;
  /** When to step at the latest, in µs. */
  abstract deadline(): number;

  now(): number {
    return this.clock();
  }

  /** Whether at least one ring runs. */
  get isRunning(): boolean {
    return this.running;
  }

  notifyUsed(index: number): void {
    this.calls[index] = 1;
  }

  configChanged(): void {
    this.channel?.configChanged();
  }

  needsReset(reason: string): void {
    this.broken ??= reason;
  }

  /** Run a ring that was set up, once it is both started and enabled. @returns why it can't be */
  settle(vring: Vring): string | undefined {
    const wanted = vring.started && vring.enabled;
    if (!wanted) this.setWaiting(vring, false);
    if (wanted === vring.runs) return undefined;
    if (wanted) {
      const problem = this.open(vring);
      if (!vring.runs) {
        this.setWaiting(vring, problem === undefined);
        return problem;
      }
      vring.isWaiting = false;
    } else this.closeRing(vring);
    this.changed(vring);
    return undefined;
  }

  /** The ring is the front-end's again, its position in its base. */
  stopRing(vring: Vring): void {
    vring.started = false;
    this.settle(vring);
    vring.finish();
    vring.setEvent('kick', undefined);
    vring.setEvent('call', undefined);
    // Nobody is left who waits for a translation.
    if (this.vrings.every(({ started }) => !started)) this.table.translated.misses.clear();
    this.sleep();
  }

  /** Change what rings lie in: none runs meanwhile. @returns what `change` found, or why a ring can't run any more */
  withoutRings(change: () => string | undefined): string | undefined {
    for (const vring of this.vrings) {
      this.closeRing(vring);
      if (this.running) this.changed(vring);
    }
    let problem = change();
    this.dirty.renew(this.table.space.regions);
    problem ??= this.renewed();
    for (const vring of this.vrings) {
      const why = this.settle(vring);
      if (why === undefined) continue;
      // Where its ring is gone only the front-end can start it again.
      vring.started = false;
      problem ??= why;
    }
    return problem;
  }

  /**
   * Change translations: rings that lie between these addresses do not run meanwhile, and rings that waited run now if
   * they can.
   * @returns what `change` found
   */
  retranslate(from: number, to: number, change: () => string | undefined): string | undefined {
    for (const vring of this.vrings) {
      if (!vring.runs || !vring.overlaps(from, to, this.features)) continue;
      this.closeRing(vring);
      if (this.running) this.changed(vring);
    }
    const problem = change();
    this.openWaiting();
    return problem;
  }

  /** Run rings that waited for translations, if they can. */
  openWaiting(): void {
    for (const vring of this.vrings) {
      const problem = this.settle(vring);
      if (problem !== undefined) this.needsReset(problem);
    }
  }

  /** Everything as before the front-end set anything up. */
  reset(): void {
    for (const vring of this.vrings) vring.reset();
    this.sleep();
    this.table.translated.clear();
    this.forget();
    this.features = new Uint32Array(FEATURE_WORDS);
  }

  /** The connection is over. */
  end(): void {
    try {
      this.reset();
    } finally {
      this.letGo();
    }
  }

  /** The front-end says that buffers are available. */
  kicked(vring: Vring): void {
    this.kicks++;
    takeEvent(vring.kick);
    // A driver that kicks again between two calls is quick; one that does so each time has an event without an end.
    vring.kicksLeft = takeEvent(vring.kick) ? vring.kicksLeft + 1 : 0;
    if (vring.kicksLeft > KICKS_LEFT_MAX) this.needsReset(`the kick of ring ${vring.index} has no end`);
    this.available(vring);
  }

  /** After steps of this device and of those that it exchanges frames with: send calls, and look whether rings hold. */
  finishTurn(): void {
    for (const vring of this.vrings) {
      vring.lookAhead();
      const fault = vring.queue?.ringFault ?? RING_FAULT.NONE;
      if (fault !== RING_FAULT.NONE) {
        this.signal(vring, 'err');
        this.needsReset(`ring ${vring.index} cannot be trusted: ${faultName(RING_FAULT, fault)}`);
      }
      if (this.calls[vring.index] === 0) continue;
      this.calls[vring.index] = 0;
      this.callsSent++;
      this.signal(vring, 'call');
    }
    const unlogged = this.dirty.finishTurn();
    if (unlogged !== undefined) this.needsReset(unlogged);
    this.channel?.flush();
  }

  private setWaiting(vring: Vring, isWaiting: boolean): void {
    if (vring.isWaiting === isWaiting) return;
    vring.isWaiting = isWaiting;
    if (this.running) this.changed(vring);
  }

  protected signal(vring: Vring, which: 'call' | 'err'): void {
    const event = vring[which];
    if (event >= 0) signalEvent(event);
    else if (this.inBand && event !== POLLED) this.channel?.notify(which, vring.index);
  }

  private closeRing(vring: Vring): void {
    if (!vring.runs) return;
    this.close(vring);
    this.finishTurn();
  }

  /** No ring runs: the device stops, and features may change. */
  private sleep(): void {
    if (!this.running || this.vrings.some(({ runs }) => runs)) return;
    this.running = false;
    this.stop();
  }
}
