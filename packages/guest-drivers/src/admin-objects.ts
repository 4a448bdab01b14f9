import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_ADMIN_CAP,
  VIRTIO_ADMIN_STATUS,
  VIRTIO_RESOURCE_OBJ,
  VIRTIO_RESOURCE_OBJ_HDR,
} from '@ringwire/virtio-spec/admin';
import type { AdminDone } from './admin-client.js';
import type { AdminGroup } from './admin-group.js';

const { OK } = VIRTIO_ADMIN_STATUS;
const SPEC = 'virtio 1.4 §2.12.1.3.6';

/** One capability as the device has it. @returns false when too many commands are on their way */
export function getCapability(group: AdminGroup, id: number, bytes: number, done: AdminDone): boolean {
  return group.send('DEVICE_CAP_GET', 0, capabilityData(id), bytes, done);
}

/** Which capabilities there are: `done` gets ids in ascending order with the reply. */
export function listCapabilities(group: AdminGroup, done: (ids: readonly number[]) => void): boolean {
  // 0x1000 ids, one bit each.
  return group.send('CAP_ID_LIST_QUERY', 0, new Uint8Array(0), 0x200, ({ result }) => {
    const ids: number[] = [];
    for (const [at, byte] of result.entries())
      for (let bit = 0; bit < 8; bit++) if (((byte >>> bit) & 1) === 1) ids.push(8 * at + bit);
    done(ids);
  });
}

/** Say what will be used of a capability. The caller keeps to what the device has. */
export function setCapability(group: AdminGroup, id: number, value: Uint8Array, done: AdminDone): boolean {
  return group.send('DRIVER_CAP_SET', 0, capabilityData(id, value), 0, done);
}

function capabilityData(id: number, value: Uint8Array = new Uint8Array(0)): Uint8Array {
  const data = new Uint8Array(VIRTIO_ADMIN_CAP.cap_specific_data + value.length);
  new DataView(data.buffer).setUint16(VIRTIO_ADMIN_CAP.id, id, true);
  data.set(value, VIRTIO_ADMIN_CAP.cap_specific_data);
  return data;
}

interface Known {
  readonly member: number;
  /** The objects that this one depends on. */
  readonly needs: readonly string[];
  /** A command about it is on its way, or it is not there yet. */
  isSettled: boolean;
}

/**
 * The resource objects that a driver made: what it must not ask for is a mistake of the caller's, and never reaches the
 * device. @see virtio 1.4 §2.12.1.3
 */
export class AdminObjects {
  private readonly group: AdminGroup;
  private readonly known: Map<string, Known> = new Map();
  /** Ids are below, by type. */
  private readonly limits: Map<number, number> = new Map();

  constructor(group: AdminGroup) {
    this.group = group;
  }

  /** DRIVER_CAP_SET was obeyed: as many objects of the type there can be. */
  setLimit(type: number, limit: number): void {
    this.limits.set(type, limit);
  }

  /** @throws VirtioError while there are objects of these types, whose capability is not to be changed */
  needNone(types: readonly number[]): void {
    const some = types.find((type) => this.count(type) > 0);
    if (some !== undefined)
      throw new VirtioError(
        'objects',
        this.count(some),
        `none of type 0x${some.toString(16)} when the capability is set`,
        SPEC,
      );
  }

  has(type: number, id: number): boolean {
    return this.known.get(keyOf(type, id))?.isSettled === true;
  }

  /** The lowest id without an object, or -1. */
  freeId(type: number): number {
    for (let id = 0; id < (this.limits.get(type) ?? 0); id++) if (!this.known.has(keyOf(type, id))) return id;
    return -1;
  }

  /**
   * @param needs objects that the new one depends on, by type and id
   * @returns false when too many commands are on their way
   * @throws VirtioError for an id that is taken or too high, and for needs that there are not
   */
  create(
    member: number,
    type: number,
    id: number,
    data: Uint8Array,
    needs: readonly (readonly [type: number, id: number])[],
    done: AdminDone,
  ): boolean {
    const limit = this.limits.get(type) ?? 0;
    const key = keyOf(type, id);
    if (!(Number.isInteger(id) && id >= 0 && id < limit)) throw new VirtioError('id', id, `below ${limit}`, SPEC);
    if (this.known.has(key)) throw new VirtioError('id', id, 'an id without an object', SPEC);
    for (const [needed, at] of needs)
      if (!this.has(needed, at)) throw new VirtioError('needs', at, `an object of type 0x${needed.toString(16)}`, SPEC);
    const known: Known = { member, needs: needs.map(([needed, at]) => keyOf(needed, at)), isSettled: false };
    const isSent = this.group.send('RESOURCE_OBJ_CREATE', member, objectData(type, id, data), 0, (reply) => {
      known.isSettled = true;
      if (reply.status !== OK) this.known.delete(key);
      done(reply);
    });
    if (isSent) this.known.set(key, known);
    return isSent;
  }

  /** @throws VirtioError for an object that there is not, or that others depend on */
  modify(type: number, id: number, data: Uint8Array, done: AdminDone): boolean {
    const { member } = this.free(type, id);
    return this.group.send('RESOURCE_OBJ_MODIFY', member, objectData(type, id, data), 0, done);
  }

  /** @throws VirtioError for an object that there is not */
  query(type: number, id: number, bytes: number, done: AdminDone): boolean {
    const { member } = this.find(type, id);
    return this.group.send('RESOURCE_OBJ_QUERY', member, objectData(type, id), bytes, done);
  }

  /** @throws VirtioError for an object that there is not, or that others depend on */
  destroy(type: number, id: number, done: AdminDone): boolean {
    const known = this.free(type, id);
    const isSent = this.group.send('RESOURCE_OBJ_DESTROY', known.member, objectHeader(type, id), 0, (reply) => {
      known.isSettled = true;
      if (reply.status === OK || reply.status === VIRTIO_ADMIN_STATUS.ENXIO) this.known.delete(keyOf(type, id));
      done(reply);
    });
    if (isSent) known.isSettled = false;
    return isSent;
  }

  private count(type: number): number {
    return [...this.known.keys()].filter((key) => key.startsWith(`${type} `)).length;
  }

  private find(type: number, id: number): Known {
    const known = this.known.get(keyOf(type, id));
    if (known?.isSettled === true) return known;
    throw new VirtioError('id', id, `an object of type 0x${type.toString(16)} that there is`, SPEC);
  }

  private free(type: number, id: number): Known {
    const known = this.find(type, id);
    const key = keyOf(type, id);
    if (![...this.known.values()].some(({ needs }) => needs.includes(key))) return known;
    throw new VirtioError('id', id, 'an object that no other one depends on', SPEC);
  }
}

const keyOf = (type: number, id: number): string => `${type} ${id}`;

/** struct virtio_admin_cmd_resource_obj_cmd_hdr */
export function objectHeader(type: number, id: number): Uint8Array {
  const data = new Uint8Array(VIRTIO_RESOURCE_OBJ_HDR.SIZE);
  const view = new DataView(data.buffer);
  view.setUint16(VIRTIO_RESOURCE_OBJ_HDR.type, type, true);
  view.setUint32(VIRTIO_RESOURCE_OBJ_HDR.id, id, true);
  return data;
}

function objectData(type: number, id: number, value: Uint8Array = new Uint8Array(0)): Uint8Array {
  const data = new Uint8Array(VIRTIO_RESOURCE_OBJ.specific_data + value.length);
  data.set(objectHeader(type, id));
  data.set(value, VIRTIO_RESOURCE_OBJ.specific_data);
  return data;
}
