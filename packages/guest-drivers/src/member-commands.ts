import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_ADMIN_DEV_MODE,
  VIRTIO_ADMIN_STATUS,
  VIRTIO_CAP,
  VIRTIO_DEV_PARTS_CAP,
  VIRTIO_DEV_PARTS_GET,
  VIRTIO_DEV_PARTS_GET_TYPE,
  VIRTIO_DEV_PARTS_METADATA,
  VIRTIO_DEV_PARTS_METADATA_TYPE,
  VIRTIO_DEV_PARTS_OBJ,
  VIRTIO_RESOURCE_OBJ_DEV_PARTS,
  VIRTIO_RESOURCE_OBJ_TYPE,
} from '@ringwire/virtio-spec/admin';
import type { AdminClient, AdminDone } from './admin-client.js';
import { AdminObjects, getCapability, objectHeader, setCapability } from './admin-objects.js';
import type { AdminReply } from './admin-queue.js';
import { areOrdered, type DevicePart, joinParts, splitParts } from './device-part-list.js';

const { OK } = VIRTIO_ADMIN_STATUS;
const { DEV_PARTS } = VIRTIO_RESOURCE_OBJ_TYPE;
const { GET, SET } = VIRTIO_DEV_PARTS_OBJ;
const SPEC = 'virtio 1.4 §2.12.1.4.4.2';
/** In front of the parts: which object they are set by. */
const OBJECT_HEADER_BYTES = 8;
/** Bytes of a size or a count. */
const NUMBER_BYTES = 8;

/**
 * What an owner's driver does with its virtual functions: stop and resume them, get their parts and set those of another
 * one. Member ids are VF numbers. A method returns false when too many commands are on their way; `done` hears how the
 * command ended. @see virtio 1.4 §2.12.1.4
 */
export class MemberCommands {
  private readonly client: AdminClient;
  private readonly objects: AdminObjects;
  /** Members that were told to stop, and obeyed. */
  private readonly stopped: Set<number> = new Set();

  /** @param client whose both groups have begun */
  constructor(client: AdminClient) {
    this.client = client;
    this.objects = new AdminObjects(client.sriov);
  }

  /** Use as many device parts objects as the device has. Before anything else about parts. */
  enableParts(done: AdminDone): boolean {
    this.objects.needNone([DEV_PARTS]);
    const { self } = this.client;
    return getCapability(self, VIRTIO_CAP.DEV_PARTS, VIRTIO_DEV_PARTS_CAP.SIZE, (reply) => {
      if (reply.status !== OK) {
        done(reply);
        return;
      }
      // Fewer of either kind, so that an id may be of both.
      const limit = Math.min(reply.result[0] ?? 0, reply.result[1] ?? 0);
      const isSent = setCapability(self, VIRTIO_CAP.DEV_PARTS, Uint8Array.of(limit, limit), (set) => {
        if (set.status === OK) this.objects.setLimit(DEV_PARTS, limit);
        done(set);
      });
      if (!isSent) done({ ...reply, status: VIRTIO_ADMIN_STATUS.EAGAIN });
    });
  }

  /** The member does no DMA and tells its driver nothing from when this ends with OK. */
  stop(member: number, done: AdminDone): boolean {
    return this.setMode(member, VIRTIO_ADMIN_DEV_MODE.STOPPED, (reply) => {
      if (reply.status === OK) this.stopped.add(member);
      done(reply);
    });
  }

  /** The member goes on, with the parts that were set meanwhile. */
  resume(member: number, done: AdminDone): boolean {
    return this.setMode(member, 0, (reply) => {
      if (reply.status === OK) this.stopped.delete(member);
      done(reply);
    });
  }

  /**
   * All parts of a member.
   * @param done gets them with OK; undefined when the device gave what are no parts, and with any other status
   */
  getParts(member: number, done: (parts: readonly DevicePart[] | undefined, reply: AdminReply) => void): boolean {
    return this.withObject(member, GET, done, (id, finish) =>
      this.size(member, id, (bytes, reply) => {
        const room = this.client.sriov.bytesMax - VIRTIO_DEV_PARTS_GET.hdr_list;
        // What the device claims: a size that no answer can have is none.
        if (reply.status !== OK || bytes > room) {
          finish(undefined, reply);
          return;
        }
        const data = new Uint8Array(VIRTIO_DEV_PARTS_GET.hdr_list);
        data.set(objectHeader(DEV_PARTS, id));
        data[VIRTIO_DEV_PARTS_GET.type] = VIRTIO_DEV_PARTS_GET_TYPE.ALL;
        const isSent = this.client.sriov.send('DEV_PARTS_GET', member, data, bytes, (got) =>
          finish(got.status === OK ? splitParts(got.result) : undefined, got),
        );
        if (!isSent) finish(undefined, { ...reply, status: VIRTIO_ADMIN_STATUS.EAGAIN });
      }),
    );
  }

  /** Bytes of the longest list that {@link setParts} takes. */
  get partsMax(): number {
    return this.client.sriov.bytesMax - OBJECT_HEADER_BYTES;
  }

  /** @throws VirtioError for a member that is not stopped, and for parts out of order or too long */
  setParts(member: number, parts: readonly DevicePart[], done: AdminDone): boolean {
    if (!this.stopped.has(member)) throw new VirtioError('member', member, 'a member that is stopped', SPEC);
    if (!areOrdered(parts)) throw new VirtioError('parts', parts.length, 'parts in their order', SPEC);
    const list = joinParts(parts);
    const most = this.partsMax;
    if (list.length > most) throw new VirtioError('parts', list.length, `at most ${most} bytes`, SPEC);
    return this.withObject(
      member,
      SET,
      (_, reply) => done(reply),
      (id, finish) => {
        const header = objectHeader(DEV_PARTS, id);
        const data = new Uint8Array(header.length + list.length);
        data.set(header);
        data.set(list, header.length);
        if (!this.client.sriov.send('DEV_PARTS_SET', member, data, 0, (reply) => finish(undefined, reply)))
          finish(undefined, { status: VIRTIO_ADMIN_STATUS.EAGAIN, qualifier: 0, result: new Uint8Array(0) });
      },
    );
  }

  /** Make an object of a kind, do something with it, and destroy it again. */
  private withObject<T>(
    member: number,
    kind: number,
    done: (value: T | undefined, reply: AdminReply) => void,
    work: (id: number, finish: (value: T | undefined, reply: AdminReply) => void) => void,
  ): boolean {
    const id = this.objects.freeId(DEV_PARTS);
    if (id < 0) throw new VirtioError('objects', id, 'one that is free: enableParts comes first', SPEC);
    const data = new Uint8Array(VIRTIO_RESOURCE_OBJ_DEV_PARTS.SIZE);
    data[VIRTIO_RESOURCE_OBJ_DEV_PARTS.type] = kind;
    return this.objects.create(member, DEV_PARTS, id, data, [], (created) => {
      if (created.status !== OK) {
        done(undefined, created);
        return;
      }
      work(id, (value, reply) => {
        // Where it cannot be destroyed now it stays in use, and its id with it.
        if (!this.objects.destroy(DEV_PARTS, id, () => done(value, reply))) done(value, reply);
      });
    });
  }

  private size(member: number, id: number, done: (bytes: number, reply: AdminReply) => void): void {
    const data = new Uint8Array(VIRTIO_DEV_PARTS_METADATA.SIZE);
    data.set(objectHeader(DEV_PARTS, id));
    data[VIRTIO_DEV_PARTS_METADATA.type] = VIRTIO_DEV_PARTS_METADATA_TYPE.SIZE;
    const isSent = this.client.sriov.send('DEV_PARTS_METADATA_GET', member, data, NUMBER_BYTES, (reply) => {
      const { result } = reply;
      done(result.length < 4 ? 0 : new DataView(result.buffer, result.byteOffset).getUint32(0, true), reply);
    });
    if (!isSent) done(0, { status: VIRTIO_ADMIN_STATUS.EAGAIN, qualifier: 0, result: new Uint8Array(0) });
  }

  private setMode(member: number, flags: number, done: AdminDone): boolean {
    return this.client.sriov.send('DEV_MODE_SET', member, Uint8Array.of(flags), 0, done);
  }
}
