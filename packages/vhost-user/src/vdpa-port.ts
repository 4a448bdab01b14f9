import { ACCESS, type GuestMemory } from '@ringwire/guest-memory';
import { VDPA, type VdpaDevice, type VdpaOutcome, vdpaOutcomeName } from '@ringwire/vdpa';
import { DEVICE_STATUS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { DirtyPages } from './dirty-pages.js';
import type { MemoryTable } from './memory-table.js';
import { VhostPort } from './vhost-port.js';
import { baseOf, stateOf, type Vring } from './vring.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, DEVICE_NEEDS_RESET } = DEVICE_STATUS;
const READ_WRITE = ACCESS.READ | ACCESS.WRITE;
/** Address space of all queues that a front-end has here. */
const SPACE = 0;
/** Turns in which a device may be too busy to be suspended. */
const SUSPEND_TRIES = 1000;
/** Between two questions for what the device wrote: the front-end looks at its log now and then, and once more at the end. */
const DIRTY_USECS = 20_000;

/**
 * A vDPA device behind vhost-user: its rings are its own, on whatever card it is. What the front-end shares is mapped for it at
 * guest-physical addresses, kicks are its doorbells, and a base is its position, for which it is suspended. While the front-end logs
 * what is written, the device says so.
 */
export class VhostVdpaPort extends VhostPort {
  private readonly device: VdpaDevice;
  /** What is mapped. */
  private mapped: GuestMemory | undefined = undefined;
  private isTracking = false;
  /** It worked since it was asked what it wrote, and when to ask again. */
  private hasWorked = false;
  private askAt = 0;

  /** @param device nobody else's, as after a reset @param clock µs that never go back */
  constructor(device: VdpaDevice, table: MemoryTable, dirty: DirtyPages, clock: () => number) {
    super(
      Array.from({ length: device.queueCount }, (_, index) => device.queueSize(index)),
      table,
      dirty,
      clock,
    );
    this.device = device;
  }

  protected override open(vring: Vring): string | undefined {
    const problem = this.start(vring);
    // Features may be others the next time.
    if (problem !== undefined && !this.running) this.device.reset(true);
    return problem;
  }

  private start(vring: Vring): string | undefined {
    const { device, table } = this;
    const { index, size, addresses } = vring;
    if (addresses === undefined) return `ring ${index} has no addresses`;
    const [desc, driver, used] = [addresses.desc, addresses.avail, addresses.used].map((at) => table.gpaOf(at));
    if (desc! < 0 || driver! < 0 || used! < 0) return `ring ${index} has a part that is in no region`;
    const isPacked = hasFeature(this.features, VIRTIO_F.RING_PACKED);
    const problem =
      this.negotiate() ??
      this.failure(device.setQueueSize(index, size), `the size of ring ${index}`) ??
      this.failure(
        device.setQueueAddresses(index, { desc: desc!, driver: driver!, device: used! }),
        `the addresses of ring ${index}`,
      ) ??
      this.failure(device.setQueueState(index, stateOf(vring.base, isPacked)), `the base of ring ${index}`);
    if (problem !== undefined) return problem;
    device.setQueueCallback(index, () => this.notifyUsed(index));
    const failed = this.failure(device.setQueueReady(index, true), `starting ring ${index}`);
    vring.runsElsewhere = failed === undefined;
    return failed;
  }

  /** The front-end cannot know that the device reaches its memory by mappings, and need not: the host says so for it. */
  private negotiate(): string | undefined {
    const { device } = this;
    if ((device.status & FEATURES_OK) !== 0) return undefined;
    const features = this.features.slice();
    features[VIRTIO_F.ACCESS_PLATFORM >>> 5]! |= 1 << (VIRTIO_F.ACCESS_PLATFORM & 31);
    device.setStatus(ACKNOWLEDGE);
    device.setStatus(ACKNOWLEDGE | DRIVER);
    const problem = this.failure(device.setDriverFeatures(features), 'accepting features');
    if (problem !== undefined) return problem;
    device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if ((device.status & FEATURES_OK) === 0) return 'the device does not take these features together';
    device.setConfigCallback(() => {
      if ((device.status & DEVICE_NEEDS_RESET) === 0) this.configChanged();
      else this.fail(device.problem ?? 'it does not say why');
    });
    return undefined;
  }

  /** The device goes on, and looks for what was made available before. */
  protected override changed(vring: Vring): void {
    const { device } = this;
    if (!this.running) {
      this.running = true;
      device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
      if ((device.status & DRIVER_OK) === 0) this.fail(device.problem ?? 'DRIVER_OK is not set');
    }
    if (vring.runs) device.kick(vring.index);
  }

  protected override close(vring: Vring): void {
    const { device } = this;
    const { index } = vring;
    vring.runsElsewhere = false;
    const suspended = this.suspend();
    // What it had to tell is told.
    device.step(0);
    const state = suspended === VDPA.OK ? device.queueState(index) : undefined;
    if (state !== undefined) vring.base = baseOf(state);
    else this.fail(`ring ${index} has no position: suspending ends with ${vdpaOutcomeName(suspended)}`);
    device.setQueueCallback(index, undefined);
    const problem = this.failure(device.setQueueReady(index, false), `stopping ring ${index}`);
    if (problem !== undefined) this.fail(problem);
    // What it wrote up to here is in the log before anybody hears of the base.
    this.tellWritten();
    if (device.resume() !== VDPA.OK) this.fail('the device does not go on');
  }

  private suspend(): VdpaOutcome {
    const { device } = this;
    let outcome = device.suspend();
    for (let left = SUSPEND_TRIES; outcome === VDPA.BUSY && left > 0; left--) {
      device.step(0);
      outcome = device.suspend();
    }
    return outcome;
  }

  protected override stop(): void {
    this.device.reset(true);
  }

  protected override renewed(): string | undefined {
    const { device, dirty } = this;
    const { space } = this.table;
    if (space !== this.mapped) {
      const mappings = space.regions.map(({ gpa, size, host }) => ({
        ...{ iova: gpa, bytes: size, host },
        access: READ_WRITE,
      }));
      const problem = this.failure(device.setMap(SPACE, mappings), 'mapping the front-end’s memory');
      if (problem !== undefined) return problem;
      this.mapped = space;
    }
    const isLogged = dirty.log !== undefined;
    if (isLogged === this.isTracking) return undefined;
    this.isTracking = isLogged;
    return this.failure(device.trackDirty(isLogged), 'tracking what the device writes');
  }

  protected override forget(): void {
    this.device.reset(true);
  }

  protected override letGo(): void {
    const { device } = this;
    device.trackDirty(false);
    device.setMap(SPACE, []);
    this.isTracking = false;
    this.mapped = undefined;
  }

  override available(vring: Vring): void {
    if (vring.runs) this.device.kick(vring.index);
  }

  override step(budget: number): number {
    if (!this.running || this.broken !== undefined) return 0;
    const done = this.device.step(budget);
    if (done > 0) this.hasWorked = true;
    return done;
  }

  override deadline(): number {
    return this.running && this.isTracking && this.hasWorked ? this.askAt : Number.POSITIVE_INFINITY;
  }

  override finishTurn(): void {
    if (this.isTracking && this.hasWorked && this.now() >= this.askAt) this.tellWritten();
    super.finishTurn();
  }

  private tellWritten(): void {
    const { log } = this.dirty;
    if (log === undefined || !this.isTracking) return;
    this.hasWorked = false;
    this.askAt = this.now() + DIRTY_USECS;
    for (const { host, bytes } of this.device.takeDirty()) log.markHost(host, bytes);
  }

  private fail(reason: string): void {
    this.needsReset(`the vDPA device cannot go on: ${reason}`);
  }

  private failure(outcome: VdpaOutcome, what: string): string | undefined {
    if (outcome === VDPA.OK) return undefined;
    const { problem } = this.device;
    return `${what} ends with ${vdpaOutcomeName(outcome)}${problem === undefined ? '' : `: ${problem}`}`;
  }
}
