import type { AsidMappings } from './asid-space.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { refusal, type VdpaAttributes, type VdpaParent, type VdpaRefusal } from './vdpa-parent.js';
import { VpVdpa, type VpVdpaConfig } from './vp-vdpa.js';

/** A virtio-pci function as a management device: it makes one device, of what the function is. */
export class VpParent implements VdpaParent {
  readonly name: string;
  readonly classes: readonly number[];
  readonly maxQueues: number;
  readonly features: Uint32Array;
  private readonly config: VpVdpaConfig;
  private readonly mappings: AsidMappings;
  private device: VpVdpa | undefined = undefined;

  /**
   * @param name such as `pci/0000:00:04.0`
   * @throws VirtioError for a function that nothing would keep in its mappings
   */
  constructor(name: string, config: VpVdpaConfig) {
    const probe = new VpVdpa(config);
    this.name = name;
    this.config = config;
    this.mappings = config.mappings;
    this.classes = [probe.deviceId];
    this.maxQueues = probe.queueCount;
    this.features = probe.deviceFeatures;
  }

  /** The function is as it is: it takes no attributes. */
  add(name: string, attributes: VdpaAttributes): VpVdpa | VdpaRefusal {
    if (this.device !== undefined)
      return refusal(VDPA.NO_ROOM, `${this.name} has its one device, and no room for ${name}`);
    const asked = Object.keys(attributes);
    if (asked.length > 0)
      return refusal(VDPA.UNSUPPORTED, `${asked.join(', ')} cannot be chosen: ${this.name} is as its function is`);
    this.device = new VpVdpa(this.config);
    return this.device;
  }

  remove(device: VdpaDevice): void {
    if (device !== this.device) return;
    this.device = undefined;
    this.mappings.clear();
  }

  /** An interrupt of the function. */
  interrupt(vector?: number): void {
    this.device?.interrupt(vector);
  }
}
