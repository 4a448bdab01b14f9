import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_ADMIN_GROUP_TYPE, VIRTIO_ADMIN_OPCODE } from '@ringwire/virtio-spec/admin';
import type { AdminDone } from './admin-client.js';
import type { AdminReply, AdminRequest } from './admin-queue.js';

const { LIST_QUERY, LIST_USE } = VIRTIO_ADMIN_OPCODE;
const ALL: readonly number[] = Object.values(VIRTIO_ADMIN_OPCODE);
const SPEC = 'virtio 1.4 §2.12.1';

/** Name of an administration command, as in `VIRTIO_ADMIN_OPCODE`. */
export type AdminOpcode = keyof typeof VIRTIO_ADMIN_OPCODE;

/** Agree on the opcodes of a group. @returns false when that cannot be begun now */
export type Negotiate = (
  group: number,
  wanted: readonly number[],
  done: (used: readonly number[], reply: AdminReply) => void,
) => boolean;

interface GroupParts {
  readonly type: number;
  readonly bytesMax: number;
  /** @returns false when too many commands are on their way */
  readonly send: (request: AdminRequest) => boolean;
  readonly begin: Negotiate;
  readonly functions: () => number;
}

/** Commands to the members of one group, once their list is in use. */
export class AdminGroup {
  /** A `VIRTIO_ADMIN_GROUP_TYPE`. */
  readonly type: number;
  /** Bytes that data and result of one command may have together. */
  readonly bytesMax: number;
  private readonly parts: GroupParts;
  private used: readonly number[] = [];

  constructor(parts: GroupParts) {
    this.type = parts.type;
    this.bytesMax = parts.bytesMax;
    this.parts = parts;
  }

  /** Whether a command may be sent: the device offered it, and its use was agreed on. */
  can(opcode: AdminOpcode): boolean {
    return this.used.includes(VIRTIO_ADMIN_OPCODE[opcode]);
  }

  /**
   * Find out what the device offers for the group, and say what is used; again and again, if need be.
   * @param wanted all that is known unless given; without LIST_QUERY and LIST_USE it is the last time until a reset
   * @param done hears how the last of both commands ended. A group that there is not is refused with INVALID_GROUP
   * @returns false when another list is being agreed on, or too many commands are on their way
   */
  begin(done: AdminDone, wanted: readonly AdminOpcode[] | undefined = undefined): boolean {
    const opcodes = wanted?.map((name) => VIRTIO_ADMIN_OPCODE[name]) ?? ALL;
    return this.parts.begin(this.type, opcodes, (used, reply) => {
      if (used.length > 0 || reply.status === 0) this.used = used;
      done(reply);
    });
  }

  /**
   * Send a command to a member.
   * @param member 0 in the self group, 1 to NumVFs in the SR-IOV group
   * @returns false when too many commands are on their way
   * @throws VirtioError for a command whose use was not agreed on, or a member that there cannot be
   */
  send(opcode: AdminOpcode, member: number, data: Uint8Array, resultBytes: number, done: AdminDone): boolean {
    const code = VIRTIO_ADMIN_OPCODE[opcode];
    if (code === LIST_QUERY || code === LIST_USE || !this.used.includes(code))
      throw new VirtioError('opcode', opcode, 'a command that the group’s list has', SPEC);
    const [first, last] = this.type === VIRTIO_ADMIN_GROUP_TYPE.SELF ? [0, 0] : [1, this.parts.functions()];
    if (!(Number.isInteger(member) && member >= first && member <= last))
      throw new VirtioError('member', member, `${first} to ${last}`, 'virtio 1.4 §2.12');
    return this.parts.send({ opcode: code, group: this.type, member, data, resultBytes, done });
  }
}
