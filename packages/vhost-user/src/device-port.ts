import type { DeviceModel, DevicePort } from '@ringwire/virtio-device';
import type { DeviceQueue } from '@ringwire/virtqueue';
import type { DirtyPages } from './dirty-pages.js';
import type { MemoryTable } from './memory-table.js';
import { VhostPort } from './vhost-port.js';
import { POLLED, type Vring } from './vring.js';

/** A ring without a kick is looked at so often at least while nothing flows. */
const POLL_USECS = 2000;

/**
 * A device type behind vhost-user: it runs while at least one ring does, and its notifications are call events. This is
 * what a transport is elsewhere.
 */
export class VhostDevicePort extends VhostPort implements DevicePort {
  private readonly model: DeviceModel;

  /** @param clock µs that never go back */
  constructor(model: DeviceModel, table: MemoryTable, dirty: DirtyPages, clock: () => number) {
    super(model.queueSizes, table, dirty, clock);
    this.model = model;
  }

  queue(index: number): DeviceQueue | undefined {
    return this.vrings[index]?.queue;
  }

  isWaiting(index: number): boolean {
    return this.vrings[index]?.isWaiting === true;
  }

  enter(): boolean {
    return this.running && this.broken === undefined;
  }

  leave(): void {}

  protected override open(vring: Vring): string | undefined {
    return vring.open(this.table, this.features, this.dirty.log, this.inflight);
  }

  protected override changed(vring: Vring): void {
    if (this.running) this.model.queueChanged(vring.index);
    else {
      this.running = true;
      this.model.start(this);
    }
  }

  protected override close(vring: Vring): void {
    if (this.running) this.model.suspend?.();
    vring.close();
  }

  protected override stop(): void {
    this.model.stop();
  }

  protected override renewed(): undefined {}

  protected override forget(): void {
    this.model.reset?.();
  }

  protected override letGo(): void {}

  override available(vring: Vring): void {
    if (vring.queue !== undefined) this.model.notified(vring.index);
  }

  override step(budget: number): number {
    return this.enter() ? this.model.step(budget) : 0;
  }

  override deadline(): number {
    if (!this.running) return Number.POSITIVE_INFINITY;
    const isPolled = this.vrings.some(({ queue, kick }) => queue !== undefined && kick === POLLED);
    return isPolled ? Math.min(this.now() + POLL_USECS, this.model.deadline()) : this.model.deadline();
  }
}
