import {
  VIRTIO_ADMIN_CAP,
  VIRTIO_CAP,
  VIRTIO_DEV_PARTS_CAP,
  VIRTIO_DEV_PARTS_OBJ,
  VIRTIO_RESOURCE_OBJ_DEV_PARTS,
  VIRTIO_RESOURCE_OBJ_TYPE,
} from '@ringwire/virtio-spec/admin';
import { type AdminCommand, type AdminOutcome, done, INVALID_FIELD, NO_SPACE } from './admin-command.js';
import { OBJECT_DATA, type ObjectType } from './resource-objects.js';
import type { Capability } from './self-group.js';

const { GET, SET } = VIRTIO_DEV_PARTS_OBJ;
/** Objects for getting parts, and for setting them, that a device has: what their bytes can say. */
const LIMIT = 255;

/**
 * VIRTIO_DEV_PARTS_CAP: how many device parts objects of either kind the driver will use. It is a capability of the owner,
 * set in the self group, for objects of the SR-IOV group. @see virtio 1.4 §2.12.1.4.1
 */
export class PartsCapability implements Capability {
  readonly id: number = VIRTIO_CAP.DEV_PARTS;
  readonly device: Uint8Array = Uint8Array.of(LIMIT, LIMIT);
  readonly objectTypes: readonly number[] = [VIRTIO_RESOURCE_OBJ_TYPE.DEV_PARTS];
  /** By kind, `VIRTIO_DEV_PARTS_OBJ`. */
  readonly limits: [get: number, set: number] = [0, 0];

  set(command: AdminCommand): AdminOutcome {
    // No byte is above what the device has.
    const at = VIRTIO_ADMIN_CAP.cap_specific_data;
    this.limits[GET] = command.u8(at + VIRTIO_DEV_PARTS_CAP.get_parts_resource_objects_limit);
    this.limits[SET] = command.u8(at + VIRTIO_DEV_PARTS_CAP.set_parts_resource_objects_limit);
    return done();
  }

  reset(): void {
    this.limits.fill(0);
  }
}

/**
 * VIRTIO_RESOURCE_OBJ_DEV_PARTS: without one of its kind parts are neither got nor set. Ids are the owner's, whichever
 * member an object is for. @see virtio 1.4 §2.12.1.4.2
 */
export class PartsObjects implements ObjectType {
  readonly type: number = VIRTIO_RESOURCE_OBJ_TYPE.DEV_PARTS;
  private readonly capability: PartsCapability;

  constructor(capability: PartsCapability) {
    this.capability = capability;
  }

  isEnabled(): boolean {
    return true;
  }

  limit(): number {
    const { limits } = this.capability;
    return limits[GET] + limits[SET];
  }

  read(command: AdminCommand, id: number, objects: ReadonlyMap<number, Uint8Array>): Uint8Array | AdminOutcome {
    const kind = command.u8(OBJECT_DATA + VIRTIO_RESOURCE_OBJ_DEV_PARTS.type);
    if (kind !== GET && kind !== SET) return INVALID_FIELD;
    const most = this.capability.limits[kind];
    const others = [...objects].filter(([other, bytes]) => other !== id && bytes[0] === kind).length;
    if (others >= most) return NO_SPACE;
    return Uint8Array.from({ length: VIRTIO_RESOURCE_OBJ_DEV_PARTS.SIZE }, (_, at) => (at === 0 ? kind : 0));
  }

  isUsed(): boolean {
    return false;
  }

  changed(): void {}
}
