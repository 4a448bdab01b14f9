import type { AddressSpace, PageAllocator } from '@ringwire/guest-memory';
import { ProcessMemory } from './process-memory.js';
import type { BoundDevice, VdpaBusDriver } from './vdpa-bus.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { refusal, type VdpaRefusal } from './vdpa-parent.js';
import { VdpaTransport } from './vdpa-transport.js';
import { VhostVdpa } from './vhost-vdpa.js';

/** A device's node for one process at a time. */
export class VhostVdpaNode implements BoundDevice {
  private readonly device: VdpaDevice;
  private readonly name: string;
  private opened: VhostVdpa | undefined = undefined;
  private isThere = true;

  constructor(name: string, device: VdpaDevice) {
    this.name = name;
    this.device = device;
  }

  /** @returns the device as the process sees it; BUSY while another one has it open */
  open(): VhostVdpa | VdpaRefusal {
    if (!this.isThere) return refusal(VDPA.NONE, `${this.name} is not bound to vhost_vdpa any more`);
    if (this.opened !== undefined) return refusal(VDPA.BUSY, `${this.name} is open already`);
    this.opened = new VhostVdpa(this.device);
    return this.opened;
  }

  /** The process closed it, or died. */
  close(): void {
    this.opened?.close();
    this.opened = undefined;
  }

  remove(): void {
    this.close();
    this.isThere = false;
  }
}

/** Devices for processes that speak vhost, such as VMMs. */
export const vhostVdpa: VdpaBusDriver<VhostVdpaNode> = {
  name: 'vhost_vdpa',
  probe: (name, device) => new VhostVdpaNode(name, device),
};

/** A device for virtio drivers of the host. */
export class VirtioVdpaDevice implements BoundDevice {
  private readonly device: VdpaDevice;
  private transport: VdpaTransport | undefined = undefined;
  private readonly memories: ProcessMemory[] = [];
  private isThere = true;

  constructor(device: VdpaDevice) {
    this.device = device;
  }

  /** A transport for a driver, which has the device alone. @param interrupt see {@link VdpaTransport} */
  open(interrupt: (vector?: number) => void): VdpaTransport | VdpaRefusal {
    if (!this.isThere) return refusal(VDPA.NONE, 'the device is not bound to virtio_vdpa any more');
    if (this.transport !== undefined) return refusal(VDPA.BUSY, 'a driver has the device already');
    this.transport = new VdpaTransport(this.device, interrupt);
    return this.transport;
  }

  /**
   * Memory of the driver's process, to be mapped for the device while the driver has it.
   * @param iovas addresses of the device, to be handed out
   */
  memory(space: AddressSpace, iovas: PageAllocator): ProcessMemory {
    const memory = new ProcessMemory(this.device, 0, space, iovas);
    if (this.isThere) this.memories.push(memory);
    else memory.close();
    return memory;
  }

  /** The driver is done with it. */
  close(): void {
    this.transport?.remove();
    this.transport = undefined;
    for (const memory of this.memories.splice(0)) memory.close();
    if (this.isThere) this.device.reset();
  }

  remove(): void {
    this.close();
    this.isThere = false;
  }
}

/** Devices for the host's, or a container's, own virtio drivers. */
export const virtioVdpa: VdpaBusDriver<VirtioVdpaDevice> = {
  name: 'virtio_vdpa',
  probe: (_name, device) => new VirtioVdpaDevice(device),
};
