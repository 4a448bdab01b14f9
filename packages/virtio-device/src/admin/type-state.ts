import { DEVICE_STATUS, FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { VirtioDevice } from '../virtio-device.js';
import { type DevicePart, decodeParts, encodeParts, partKey } from './device-part.js';
import { isOfDeviceType } from './device-state.js';

const { FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;

/**
 * What a driver made of a device by commands rather than registers, as device parts of its type (virtio 1.4 §2.14): for control
 * planes that move a device without a PCI function around it.
 */
export class TypeState {
  private readonly device: VirtioDevice;
  /** To be set when the device starts: before that there is nothing that they could change. */
  private staged: readonly DevicePart[] = [];

  constructor(device: VirtioDevice) {
    this.device = device;
  }

  /** The parts, one behind the other as the administration commands have them; undefined for a type that has none. */
  get(): Uint8Array | undefined {
    const { typeParts } = this.device.model;
    if (typeParts === undefined) return undefined;
    return encodeParts((this.device.status & DRIVER_OK) === 0 ? this.staged : typeParts.get(), true);
  }

  /**
   * Have parts in force when the device starts, in place of all that were set before. The bytes are foreign: all of them are
   * taken or none. Features are final by then, and the device has not started.
   * @returns why they are not taken
   */
  set(bytes: Uint8Array): string | undefined {
    const { device } = this;
    if ((device.status & (FEATURES_OK | DRIVER_OK)) !== FEATURES_OK)
      return 'the device is not between FEATURES_OK and DRIVER_OK';
    const parts = decodeParts(bytes);
    if (parts === undefined || encodeParts(parts, true).length !== bytes.length)
      return 'the parts do not end where their bytes do';
    const problem = this.problemOf(parts);
    if (problem === undefined) this.staged = parts;
    return problem;
  }

  /** DRIVER_OK was set, and no queue was used yet. */
  started(): void {
    for (const part of this.staged) this.device.model.typeParts!.set(part);
    this.staged = [];
  }

  /** As after a device reset. */
  reset(): void {
    this.staged = [];
  }

  private problemOf(parts: readonly DevicePart[]): string | undefined {
    const { typeParts } = this.device.model;
    const features = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => this.device.driverFeatures(word));
    const seen = new Set<string>();
    for (const part of parts) {
      const name = `part 0x${part.type.toString(16)}`;
      if (!isOfDeviceType(part)) return `${name} is of no device type (virtio 1.4 §2.14)`;
      if (typeParts === undefined && !part.isOptional) return `${name} is of another device type (virtio 1.4 §2.14)`;
      const key = partKey(part);
      if (seen.has(key)) return `${name} is there twice (virtio 1.4 §2.14)`;
      seen.add(key);
      const problem = typeParts?.problem(part, features);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}
