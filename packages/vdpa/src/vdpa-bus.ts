import { VirtioError } from '@ringwire/virtio-spec';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal, refusal, type VdpaAttributes, type VdpaParent, type VdpaRefusal } from './vdpa-parent.js';

/** What serves a device while it is bound. */
export interface BoundDevice {
  /** The driver lets go of the device: what it gave to others does nothing more. */
  remove(): void;
}

/** A driver of the bus: what makes a device useful to somebody. */
export interface VdpaBusDriver<T extends BoundDevice = BoundDevice> {
  /** Such as `vhost_vdpa`. */
  readonly name: string;
  /** Take a device, which was reset. */
  probe(name: string, device: VdpaDevice): T | VdpaRefusal;
}

/** A device on the bus. */
export interface VdpaBusDevice {
  readonly name: string;
  readonly parent: VdpaParent;
  readonly device: VdpaDevice;
  /** Name of the driver that it is bound to. */
  readonly driver: string | undefined;
}

interface Entry {
  readonly name: string;
  readonly parent: VdpaParent;
  readonly device: VdpaDevice;
  driver: string | undefined;
  bound: BoundDevice | undefined;
}

/** Where parents' devices and bus drivers meet. Names come from people: what they get wrong is a refusal. */
export class VdpaBus {
  private readonly parentsByName: Map<string, VdpaParent> = new Map();
  private readonly drivers: Map<string, VdpaBusDriver> = new Map();
  private readonly entries: Map<string, Entry> = new Map();

  /** @throws VirtioError for a name that is taken */
  addParent(parent: VdpaParent): void {
    claim(this.parentsByName, 'parent', parent.name, parent);
  }

  /** The add-on goes, and all its devices before it. */
  removeParent(name: string): VdpaRefusal | undefined {
    const parent = this.parentsByName.get(name);
    if (parent === undefined) return none('management device', name);
    for (const entry of this.entries.values()) if (entry.parent === parent) this.remove(entry.name);
    this.parentsByName.delete(name);
    return undefined;
  }

  /** @throws VirtioError for a name that is taken */
  addDriver(driver: VdpaBusDriver): void {
    claim(this.drivers, 'driver', driver.name, driver);
  }

  get parents(): readonly VdpaParent[] {
    return [...this.parentsByName.values()];
  }

  get devices(): readonly VdpaBusDevice[] {
    return [...this.entries.values()];
  }

  find(name: string): VdpaBusDevice | undefined {
    return this.entries.get(name);
  }

  /** `vdpa dev add name … mgmtdev …`. It is bound to nothing. */
  add(name: string, parentName: string, attributes: VdpaAttributes = {}): VdpaBusDevice | VdpaRefusal {
    if (name === '' || name.includes('/')) return refusal(VDPA.INVALID, `"${name}" is no name of a device`);
    if (this.entries.has(name)) return refusal(VDPA.EXISTS, `there is a device ${name} already`);
    const parent = this.parentsByName.get(parentName);
    if (parent === undefined) return none('management device', parentName);
    const device = parent.add(name, attributes);
    if (isVdpaRefusal(device)) return device;
    const entry: Entry = { name, parent, device, driver: undefined, bound: undefined };
    this.entries.set(name, entry);
    return entry;
  }

  /** `vdpa dev del …`: its driver loses it first. */
  remove(name: string): VdpaRefusal | undefined {
    const entry = this.entries.get(name);
    if (entry === undefined) return none('device', name);
    release(entry);
    this.entries.delete(name);
    entry.parent.remove(entry.device);
    return undefined;
  }

  /** Give a device to a driver. @returns what the driver makes of it. EXISTS while another one has it */
  bind(name: string, driverName: string): BoundDevice | VdpaRefusal {
    const entry = this.entries.get(name);
    if (entry === undefined) return none('device', name);
    const driver = this.drivers.get(driverName);
    if (driver === undefined) return none('bus driver', driverName);
    if (entry.bound !== undefined) return refusal(VDPA.BUSY, `${name} is bound to ${entry.driver}: unbind it first`);
    entry.device.reset();
    const bound = driver.probe(name, entry.device);
    if (isVdpaRefusal(bound)) return bound;
    entry.bound = bound;
    entry.driver = driverName;
    return bound;
  }

  /** Take a device from its driver: it is reset, and reaches nothing. */
  unbind(name: string): VdpaRefusal | undefined {
    const entry = this.entries.get(name);
    if (entry === undefined) return none('device', name);
    if (entry.bound === undefined) return refusal(VDPA.NONE, `${name} is bound to nothing`);
    release(entry);
    return undefined;
  }

  /** What a driver has made of a device that is bound to it. */
  boundTo<T extends BoundDevice>(name: string, driver: VdpaBusDriver<T>): T | undefined {
    const entry = this.entries.get(name);
    // The driver of that name made it.
    return entry?.driver === driver.name ? (entry.bound as T | undefined) : undefined;
  }
}

function release(entry: Entry): void {
  entry.bound?.remove();
  entry.bound = undefined;
  entry.driver = undefined;
  entry.device.reset();
}

const none = (what: string, name: string): VdpaRefusal => refusal(VDPA.NONE, `there is no ${what} ${name}`);

function claim<T>(map: Map<string, T>, what: string, name: string, value: T): void {
  if (map.has(name)) throw new VirtioError(what, name, 'a name that is free', 'VdpaBus');
  map.set(name, value);
}
