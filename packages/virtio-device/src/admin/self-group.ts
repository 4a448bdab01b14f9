import { VIRTIO_ADMIN_CAP, VIRTIO_ADMIN_GROUP_TYPE, VIRTIO_ADMIN_OPCODE } from '@ringwire/virtio-spec/admin';
import { type AdminCommand, type AdminOutcome, BUSY, done, NO_SUCH } from './admin-command.js';
import { bitmapOf } from './admin-control.js';
import type { AdminGroup } from './admin-group.js';
import { type ObjectType, ResourceObjects } from './resource-objects.js';

const OP = VIRTIO_ADMIN_OPCODE;
const CAPABILITY_OPCODES = [OP.CAP_ID_LIST_QUERY, OP.DEVICE_CAP_GET, OP.DRIVER_CAP_SET] as const;
const OBJECT_OPCODES = [
  OP.RESOURCE_OBJ_CREATE,
  OP.RESOURCE_OBJ_MODIFY,
  OP.RESOURCE_OBJ_QUERY,
  OP.RESOURCE_OBJ_DESTROY,
] as const;
/** The owner itself. */
const SELF = 0;

/** One thing that a device can do, and as much of it as its driver said it will use. @see virtio 1.4 §2.12.1.2 */
export interface Capability {
  readonly id: number;
  /** cap_specific_data as the device offers it. */
  readonly device: Uint8Array;
  /** Types of resource objects that live by this capability: while there are some it is not changed. */
  readonly objectTypes: readonly number[];
  /** The driver says what it will use, behind `VIRTIO_ADMIN_CAP.cap_specific_data`. @returns how the command ends */
  set(command: AdminCommand): AdminOutcome;
  /** The driver uses nothing any more. */
  reset(): void;
}

/** What a device type does by commands of the self group. */
export interface SelfGroupParts {
  readonly capabilities: readonly Capability[];
  readonly objectTypes: readonly ObjectType[];
}

export const NO_PARTS: SelfGroupParts = { capabilities: [], objectTypes: [] };

/** The group that has its owner as the only member: capabilities, and resource objects. @see virtio 1.4 §2.12 */
export class SelfGroup implements AdminGroup {
  readonly type: number = VIRTIO_ADMIN_GROUP_TYPE.SELF;
  readonly opcodes: readonly number[];
  private readonly capabilities: readonly Capability[];
  private readonly objects: ResourceObjects;
  /** Objects of a type in other groups. */
  private readonly others: (type: number) => number;

  /** @param others how many objects of a type there are in other groups of the owner */
  constructor({ capabilities, objectTypes }: SelfGroupParts, others: (type: number) => number) {
    this.capabilities = capabilities;
    this.objects = new ResourceObjects(objectTypes);
    this.others = others;
    this.opcodes = [
      ...(capabilities.length === 0 ? [] : CAPABILITY_OPCODES),
      ...(objectTypes.length === 0 ? [] : OBJECT_OPCODES),
    ];
  }

  exists(): boolean {
    return true;
  }

  hasMember(id: number): boolean {
    return id === SELF;
  }

  run(command: AdminCommand): AdminOutcome {
    switch (command.opcode) {
      case OP.CAP_ID_LIST_QUERY:
        return done(bitmapOf(this.capabilities.map(({ id }) => id)));
      case OP.DEVICE_CAP_GET:
        return this.getCapability(command);
      case OP.DRIVER_CAP_SET:
        return this.setCapability(command);
      default:
        return this.objects.run(command);
    }
  }

  reset(): void {
    this.objects.reset();
    for (const capability of this.capabilities) capability.reset();
  }

  private getCapability(command: AdminCommand): AdminOutcome {
    const capability = this.find(command);
    return capability === undefined ? NO_SUCH : done(capability.device);
  }

  private setCapability(command: AdminCommand): AdminOutcome {
    const capability = this.find(command);
    if (capability === undefined) return NO_SUCH;
    const isInUse = capability.objectTypes.some((type) => this.objects.count(type) + this.others(type) > 0);
    return isInUse ? BUSY : capability.set(command);
  }

  private find(command: AdminCommand): Capability | undefined {
    const id = command.u16(VIRTIO_ADMIN_CAP.id);
    return this.capabilities.find((capability) => capability.id === id);
  }
}
