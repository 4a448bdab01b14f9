import type { Delivered, Frame, FrameRun, FrameSink } from '@ringwire/net-backend';
import type { GuestOffloads } from './guest-offloads.js';
import type { NetDevice } from './net-device.js';

/** What a backend sees of a device. */
export class DeviceSink implements FrameSink {
  private readonly device: NetDevice;
  private readonly guest: GuestOffloads;

  constructor(device: NetDevice, guest: GuestOffloads) {
    this.device = device;
    this.guest = guest;
  }

  get offloads(): number {
    return this.guest.offloads;
  }

  receive(frame: Frame): Delivered {
    return this.device.receive(frame);
  }

  receiveRun(run: FrameRun): number {
    return this.device.receiveRun(run);
  }

  flush(): void {
    this.device.flush();
  }
}
