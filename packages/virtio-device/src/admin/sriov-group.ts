import {
  VIRTIO_ADMIN_DEV_MODE,
  VIRTIO_ADMIN_GROUP_TYPE,
  VIRTIO_ADMIN_OPCODE,
  VIRTIO_DEV_PARTS_GET,
  VIRTIO_DEV_PARTS_GET_TYPE,
  VIRTIO_DEV_PARTS_METADATA,
  VIRTIO_DEV_PARTS_METADATA_RESULT,
  VIRTIO_DEV_PARTS_METADATA_TYPE,
  VIRTIO_DEV_PARTS_OBJ,
  VIRTIO_DEV_PARTS_SET,
  VIRTIO_RESOURCE_OBJ_HDR,
  VIRTIO_RESOURCE_OBJ_TYPE,
} from '@ringwire/virtio-spec/admin';
import {
  type AdminCommand,
  type AdminOutcome,
  done,
  INVALID_COMMAND,
  INVALID_FIELD,
  INVALID_MEMBER,
  LATER,
  NO_MEMORY,
  NO_SUCH,
} from './admin-command.js';
import type { AdminGroup } from './admin-group.js';
import { decodeParts, encodeParts, selectParts } from './device-part.js';
import type { GroupMember, SriovOwner } from './group-member.js';
import { type PartsCapability, PartsObjects } from './parts-objects.js';
import { ResourceObjects } from './resource-objects.js';

const OP = VIRTIO_ADMIN_OPCODE;
const { DEV_PARTS } = VIRTIO_RESOURCE_OBJ_TYPE;
const METADATA = VIRTIO_DEV_PARTS_METADATA_TYPE;

/**
 * The group of a physical function's virtual functions: their parts are got and set, and they are stopped and resumed.
 * There is no legacy interface, nor a command that stands in for one. @see virtio 1.4 §2.12
 */
export class SriovGroup implements AdminGroup {
  readonly type: number = VIRTIO_ADMIN_GROUP_TYPE.SRIOV;
  readonly opcodes: readonly number[] = [
    OP.RESOURCE_OBJ_CREATE,
    OP.RESOURCE_OBJ_MODIFY,
    OP.RESOURCE_OBJ_QUERY,
    OP.RESOURCE_OBJ_DESTROY,
    OP.DEV_PARTS_METADATA_GET,
    OP.DEV_PARTS_GET,
    OP.DEV_PARTS_SET,
    OP.DEV_MODE_SET,
  ];
  private readonly owner: SriovOwner;
  private readonly objects: ResourceObjects;
  /** Whose parts an object is for: the member at that time, for an id may be another device's later. */
  private readonly members: Map<number, { readonly id: number; readonly member: GroupMember }> = new Map();

  constructor(owner: SriovOwner, capability: PartsCapability) {
    this.owner = owner;
    this.objects = new ResourceObjects([new PartsObjects(capability)]);
  }

  exists(): boolean {
    return this.owner.isEnabled;
  }

  hasMember(id: number): boolean {
    return id >= 1 && id <= this.owner.count;
  }

  reset(): void {
    this.objects.reset();
    this.members.clear();
  }

  /** How many objects of a type there are. */
  count(type: number): number {
    this.forgetVanished();
    return this.objects.count(type);
  }

  run(command: AdminCommand): AdminOutcome | typeof LATER {
    const member = this.owner.member(command.member);
    if (member === undefined) return INVALID_MEMBER;
    if (command.opcode < OP.DEV_PARTS_METADATA_GET) return this.runObject(command, member);
    if (command.opcode === OP.DEV_MODE_SET) return setMode(command, member);
    const kind = this.kindOf(command, member);
    if (kind === undefined) return NO_SUCH;
    const isSet = command.opcode === OP.DEV_PARTS_SET;
    if (isSet !== (kind === VIRTIO_DEV_PARTS_OBJ.SET)) return INVALID_FIELD;
    // Parts are a state between two steps, never in the middle of one.
    if (member.isChanging) return LATER;
    if (isSet) return setParts(command, member);
    return command.opcode === OP.DEV_PARTS_GET ? getParts(command, member) : getMetadata(command, member);
  }

  private runObject(command: AdminCommand, member: GroupMember): AdminOutcome {
    this.forgetVanished();
    const id = command.u32(VIRTIO_RESOURCE_OBJ_HDR.id);
    const isNew = command.opcode === OP.RESOURCE_OBJ_CREATE;
    const isDevParts = command.u16(VIRTIO_RESOURCE_OBJ_HDR.type) === DEV_PARTS;
    if (!isNew && isDevParts && this.members.get(id)?.member !== member) return NO_SUCH;
    const outcome = this.objects.run(command);
    if (outcome.status !== 0) return outcome;
    if (isNew) this.members.set(id, { id: command.member, member });
    if (command.opcode === OP.RESOURCE_OBJ_DESTROY) this.members.delete(id);
    return outcome;
  }

  /** @returns what the object that a parts command names is for; undefined when this member has no such object */
  private kindOf(command: AdminCommand, member: GroupMember): number | undefined {
    this.forgetVanished();
    const object = this.objects.find(command);
    const isHis = this.members.get(command.u32(VIRTIO_RESOURCE_OBJ_HDR.id))?.member === member;
    return isHis ? object?.[0] : undefined;
  }

  /** Objects of members that went away went with them. */
  private forgetVanished(): void {
    for (const [object, { id, member }] of this.members) {
      if (this.exists() && this.hasMember(id) && this.owner.member(id) === member) continue;
      this.members.delete(object);
      this.objects.drop(DEV_PARTS, object);
    }
  }
}

/** virtio 1.4 §2.12.1.4.3.4: it ends when the member is stopped, and not before. */
function setMode(command: AdminCommand, member: GroupMember): AdminOutcome | typeof LATER {
  const flags = command.u8(0);
  if ((flags & ~VIRTIO_ADMIN_DEV_MODE.STOPPED) !== 0) return INVALID_FIELD;
  if (member.isChanging) return LATER;
  if (flags === 0) member.resume();
  else if (!member.stop()) return LATER;
  return done();
}

/** virtio 1.4 §2.12.1.4.3.1: all that is asked for, or ENOMEM. */
function getMetadata(command: AdminCommand, member: GroupMember): AdminOutcome {
  const parts = member.parts();
  const type = command.u8(VIRTIO_DEV_PARTS_METADATA.type);
  let value = parts.length;
  let headers: Uint8Array = new Uint8Array(0);
  if (type === METADATA.SIZE) value = encodeParts(parts, true).length;
  else if (type === METADATA.LIST) headers = encodeParts(parts, false);
  else if (type !== METADATA.COUNT) return INVALID_FIELD;
  const result = new Uint8Array(VIRTIO_DEV_PARTS_METADATA_RESULT.hdrs + headers.length);
  new DataView(result.buffer).setUint32(VIRTIO_DEV_PARTS_METADATA_RESULT.value, value, true);
  result.set(headers, VIRTIO_DEV_PARTS_METADATA_RESULT.hdrs);
  return result.length <= command.room ? done(result) : NO_MEMORY;
}

/** virtio 1.4 §2.12.1.4.3.2: what the driver has no room for is cut off. */
function getParts(command: AdminCommand, member: GroupMember): AdminOutcome {
  if (command.isTooLong) return NO_MEMORY;
  const type = command.u8(VIRTIO_DEV_PARTS_GET.type);
  const parts = member.parts();
  if (type === VIRTIO_DEV_PARTS_GET_TYPE.ALL) return done(encodeParts(parts, true));
  if (type !== VIRTIO_DEV_PARTS_GET_TYPE.SELECTED) return INVALID_FIELD;
  return done(encodeParts(selectParts(parts, command.data.subarray(VIRTIO_DEV_PARTS_GET.hdr_list)), true));
}

/** virtio 1.4 §2.12.1.4.3.3 */
function setParts(command: AdminCommand, member: GroupMember): AdminOutcome {
  if (command.isTooLong) return NO_MEMORY;
  if (!member.isStopped) return INVALID_COMMAND;
  const parts = decodeParts(command.data.subarray(VIRTIO_DEV_PARTS_SET.parts));
  return parts === undefined || member.setParts(parts) !== undefined ? INVALID_FIELD : done();
}
