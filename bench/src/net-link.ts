import { closePlace, DeviceLink, type LinkPlace } from '@ringwire/device-thread';
import type { PciAccess } from '@ringwire/guest-drivers';
import { VirtioPci, type VirtioPciConfig } from '@ringwire/virtio-device';

/** Chains per queue that a device handles in a turn. */
export const STEP_BUDGET = 64;
/** Longest sleep: who sleeps as long with work lying ready was not told of it. */
const SLEEP_MS = 1000;

/** How a driver reaches its device, in this thread or in another. */
export interface NetLink {
  readonly access: PciAccess;
  /** Told of each interrupt, by its MSI-X vector, while interrupts are taken. */
  interrupt: (vector: number) => void;
  /** Times that the device's thread went to sleep. */
  readonly sleeps: number;
  /** Let a device work that has no thread of its own. */
  work(): void;
  /** Have the device take a turn, wherever it is, without a notification. */
  look(): void;
  /** Take interrupts. @returns whether there were any */
  take(): boolean;
  /** Sleep until there are interrupts, and take them. @returns false when time was up before */
  sleep(): boolean;
  close(): void;
}

/** A device in the driver's own thread: it works when the driver lets it. */
export class InlineLink implements NetLink {
  readonly access: PciAccess;
  interrupt: (vector: number) => void = () => {};
  readonly sleeps = 0;
  private readonly virtio: VirtioPci;
  private readonly pending: number[] = [];

  constructor(config: Omit<VirtioPciConfig, 'host'>) {
    const host = {
      sendMessage: (_low: number, _high: number, data: number) => void this.pending.push(data),
      setIntx: () => {},
    };
    this.virtio = new VirtioPci({ ...config, host });
    this.access = this.virtio.pci;
  }

  work(): void {
    this.virtio.device.step(STEP_BUDGET);
  }

  look(): void {
    this.work();
  }

  take(): boolean {
    if (this.pending.length === 0) return false;
    while (this.pending.length > 0) this.interrupt(this.pending.pop()!);
    return true;
  }

  /** There is nobody to wait for. */
  sleep(): boolean {
    this.work();
    this.take();
    return true;
  }

  close(): void {}
}

/** A device in a thread of its own. */
export class RemoteLink implements NetLink {
  readonly access: PciAccess;
  interrupt: (vector: number) => void = () => {};
  private readonly link: DeviceLink;

  constructor(place: LinkPlace) {
    this.link = new DeviceLink(place, { interrupts: { message: (_low, _high, data) => this.interrupt(data) } });
    this.access = this.link;
  }

  get sleeps(): number {
    return this.link.deviceSleeps;
  }

  work(): void {}

  look(): void {
    // Any register access wakes the device's thread, which steps in the same turn.
    this.link.configRead(0, 2);
  }

  take(): boolean {
    return this.link.takeInterrupts() > 0;
  }

  sleep(): boolean {
    return this.link.waitForInterrupt(SLEEP_MS) > 0;
  }

  close(): void {
    closePlace(this.link.place);
  }
}
