import type { PciAccess } from '@ringwire/guest-drivers';
import {
  REGISTER_SPACE,
  RemoteDevice,
  type RemoteEvents,
  type ThreadPlace,
  type VirtioPci,
  type VirtioPciConfig,
} from '@ringwire/virtio-device';

/** Chains per queue that a device in the driver's thread handles in a turn. */
const STEP_BUDGET = 64;
/** Longest sleep: who sleeps as long with work lying ready was not told of it. */
export const SLEEP_MS = 1000;

/** How a driver reaches its device, in this thread or in another. */
export interface DeviceLink {
  readonly access: PciAccess;
  /** Let a device work that has no thread of its own. */
  work(): void;
  /** Have the device take a turn, wherever it is, without a notification. */
  look(): void;
  /** Hand on interrupts since the last call, by their MSI-X vector. @returns whether there were any */
  drain(interrupt: (vector: number) => void): boolean;
  /** Sleep until there is something to {@link drain}. */
  sleep(): void;
}

/** A device in the driver's own thread: it works when the driver lets it. */
export class InlineLink implements DeviceLink {
  readonly access: PciAccess;
  private readonly virtio: VirtioPci;
  private readonly pending: number[] = [];

  /** @param make the device, with this as the machine around it */
  constructor(make: (host: VirtioPciConfig['host']) => VirtioPci) {
    this.virtio = make({ sendMessage: (_low, _high, data) => void this.pending.push(data), setIntx: () => {} });
    this.access = this.virtio.pci;
  }

  work(): void {
    this.virtio.device.step(STEP_BUDGET);
  }

  look(): void {
    this.work();
  }

  drain(interrupt: (vector: number) => void): boolean {
    if (this.pending.length === 0) return false;
    while (this.pending.length > 0) interrupt(this.pending.pop()!);
    return true;
  }

  sleep(): void {
    this.work();
  }
}

/** A device in a thread of its own. */
export class RemoteLink implements DeviceLink {
  readonly remote: RemoteDevice;
  readonly access: PciAccess;
  private interrupt: (vector: number) => void = () => {};
  private readonly events: RemoteEvents = { sendMessage: (_low, _high, data) => this.interrupt(data) };

  constructor(place: ThreadPlace) {
    const remote = new RemoteDevice(place);
    const { PCI_CONFIG } = REGISTER_SPACE;
    this.remote = remote;
    this.access = {
      configRead: (offset, size) => remote.read(PCI_CONFIG, offset, size),
      configWrite: (offset, size, value) => remote.write(PCI_CONFIG, offset, size, value),
      barRead: (bar, offset, size) => remote.read(bar, offset, size),
      barWrite: (bar, offset, size, value) => remote.write(bar, offset, size, value),
    };
  }

  work(): void {}

  look(): void {
    this.remote.wake();
  }

  drain(interrupt: (vector: number) => void): boolean {
    this.interrupt = interrupt;
    return this.remote.drain(this.events);
  }

  sleep(): void {
    this.remote.waitForEvents(SLEEP_MS);
  }
}
