import { VIRTIO_ADMIN_OPCODE, VIRTIO_RESOURCE_OBJ, VIRTIO_RESOURCE_OBJ_HDR } from '@ringwire/virtio-spec/admin';
import {
  type AdminCommand,
  type AdminOutcome,
  BUSY,
  done,
  EXISTS,
  INVALID_FIELD,
  INVALID_OPCODE,
  NO_SPACE,
  NO_SUCH,
} from './admin-command.js';

const OP = VIRTIO_ADMIN_OPCODE;
const AT = VIRTIO_RESOURCE_OBJ;
const HDR = VIRTIO_RESOURCE_OBJ_HDR;

/** What a type of resource objects makes of commands about them; their bytes are kept by {@link ResourceObjects}. */
export interface ObjectType {
  /** Of struct virtio_admin_cmd_resource_obj_cmd_hdr. */
  readonly type: number;
  /** Whether the driver set the capabilities without which there are no such objects. */
  isEnabled(): boolean;
  /** As many objects as there can be; ids are below. */
  limit(): number;
  /**
   * Read what an object is to be, new or instead of what it was.
   * @param objects those that there are, by id
   * @returns the object's bytes, which QUERY gives back, or why it cannot be so
   */
  read(command: AdminCommand, id: number, objects: ReadonlyMap<number, Uint8Array>): Uint8Array | AdminOutcome;
  /** Whether other objects depend on this one. */
  isUsed(id: number): boolean;
  /** An object came, changed or went. */
  changed(objects: ReadonlyMap<number, Uint8Array>): void;
}

/** The commands about resource objects, for those types that there are. @see virtio 1.4 §2.12.1.3 */
export class ResourceObjects {
  private readonly types: ReadonlyMap<number, ObjectType>;
  private readonly objects: Map<number, Map<number, Uint8Array>> = new Map();

  constructor(types: readonly ObjectType[]) {
    this.types = new Map(types.map((type) => [type.type, type]));
    for (const { type } of types) this.objects.set(type, new Map());
  }

  /** Destroy all objects. */
  reset(): void {
    for (const [type, objects] of this.objects) {
      objects.clear();
      this.types.get(type)!.changed(objects);
    }
  }

  /** How many objects of a type there are. */
  count(type: number): number {
    return this.objects.get(type)?.size ?? 0;
  }

  /** The object that a command is about. */
  find(command: AdminCommand): Uint8Array | undefined {
    return this.objects.get(command.u16(HDR.type))?.get(command.u32(HDR.id));
  }

  /** Destroy an object for other reasons than a command. */
  drop(type: number, id: number): void {
    const objects = this.objects.get(type)!;
    if (objects.delete(id)) this.types.get(type)!.changed(objects);
  }

  /** @param command one of the four about objects */
  run(command: AdminCommand): AdminOutcome {
    const type = this.types.get(command.u16(HDR.type));
    if (type === undefined) return INVALID_FIELD;
    if (!type.isEnabled()) return INVALID_OPCODE;
    const objects = this.objects.get(type.type)!;
    const id = command.u32(HDR.id);
    const object = objects.get(id);
    if (command.opcode === OP.RESOURCE_OBJ_CREATE) {
      if (object !== undefined) return EXISTS;
      if (objects.size >= type.limit()) return NO_SPACE;
      return id < type.limit() ? this.keep(type, command, id) : INVALID_FIELD;
    }
    if (object === undefined) return NO_SUCH;
    if (command.opcode === OP.RESOURCE_OBJ_QUERY) return done(object);
    if (type.isUsed(id)) return BUSY;
    if (command.opcode === OP.RESOURCE_OBJ_MODIFY) return this.keep(type, command, id);
    this.drop(type.type, id);
    return done();
  }

  private keep(type: ObjectType, command: AdminCommand, id: number): AdminOutcome {
    const objects = this.objects.get(type.type)!;
    const bytes = type.read(command, id, objects);
    if (!(bytes instanceof Uint8Array)) return bytes;
    objects.set(id, bytes);
    type.changed(objects);
    return done();
  }
}

/** Where the object's own data begins in a command's. */
export const OBJECT_DATA: number = AT.specific_data;
