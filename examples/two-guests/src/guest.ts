import {
  guestDma,
  isBreakdown,
  type NetDriver,
  type NetEvents,
  openMmioTransport,
  openNetDriver,
  openPciTransport,
  type Transport,
} from '@ringwire/guest-drivers';
import { GuestMemory, type HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { NetDevice, type VirtioDevice, VirtioMmio, VirtioPci } from '@ringwire/virtio-device';
import type { FeatureSet } from './feature-sets.js';

/** Where RAM is for the guest. */
const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x80_0000;
const SCRATCH_BYTES = 0x1_0000;
/** Host memory of one guest: its RAM, and what its device works in. */
export const GUEST_BYTES: number = RAM_BYTES + SCRATCH_BYTES;
/** One vector per queue and one for configuration. */
const MESSAGES = [0, 1, 2, 3].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));

/** A machine with a network card: the device on one side of the registers, the driver on the other. */
export class Guest {
  readonly driver: NetDriver;
  readonly mac: Uint8Array;
  private readonly device: VirtioDevice;
  /** Interrupts that came while the device worked: messages, and the line. */
  private readonly messages: number[] = [];
  private line = false;

  /** @param host first of {@link GUEST_BYTES} bytes */
  constructor(
    memory: HostMemory,
    host: number,
    mac: Uint8Array,
    wanted: FeatureSet,
    backend: NetBackend,
    events: NetEvents,
  ) {
    this.mac = mac;
    const space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host }]);
    const model = new NetDevice({ memory, scratch: host + RAM_BYTES, backend, mac, holdWhenFull: true });
    const [device, transport] = wanted.transport === 'pci' ? this.onPci(model, space) : this.onMmio(model, space);
    this.device = device;
    const driver = openNetDriver({
      transport,
      dma: guestDma(space, new PageAllocator(RAM, RAM_BYTES)),
      features: wanted.features,
      messages: MESSAGES,
      now: () => performance.now(),
      events,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  /** One turn: the device works, then interrupts reach the driver. @returns whether anything happened */
  turn(): boolean {
    let moved = this.device.step(64) > 0;
    for (const vector of this.messages.splice(0)) this.driver.interrupt(vector);
    if (this.line) this.driver.interrupt();
    while (this.driver.needsPoll) {
      this.driver.poll();
      moved = true;
    }
    return moved;
  }

  private onPci(model: NetDevice, space: GuestMemory): [VirtioDevice, Transport] {
    const host = {
      sendMessage: (_low: number, _high: number, data: number): void => void this.messages.push(data),
      setIntx: (level: boolean): void => {
        this.line = level;
      },
    };
    const { device, pci } = new VirtioPci({ model, space, host });
    return [device, usable(openPciTransport(pci))];
  }

  private onMmio(model: NetDevice, space: GuestMemory): [VirtioDevice, Transport] {
    const interrupt = (level: boolean): void => {
      this.line = level;
    };
    const mmio = new VirtioMmio({ model, space, interrupt });
    return [mmio.device, usable(openMmioTransport(mmio))];
  }
}

function usable<T extends Transport>(transport: T | { code: number; message: string }): T {
  if (isBreakdown(transport)) throw new Error(transport.message);
  return transport as T;
}
