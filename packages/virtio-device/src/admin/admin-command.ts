import { gather, type HostMemory, scatter } from '@ringwire/guest-memory';
import {
  VIRTIO_ADMIN_CMD,
  VIRTIO_ADMIN_OPCODE,
  VIRTIO_ADMIN_RESULT,
  VIRTIO_ADMIN_STATUS,
  VIRTIO_ADMIN_STATUS_Q,
} from '@ringwire/virtio-spec/admin';
import type { ChainBurst } from '@ringwire/virtqueue';

const HEAD = VIRTIO_ADMIN_CMD.command_specific_data;
const RESULT = VIRTIO_ADMIN_RESULT.command_specific_result;
const TWO_32 = 0x1_0000_0000;

/** Data of a command is copied up to here: more than any command has but for two, and than the largest device's parts. */
const DATA_BYTES_MAX = 0x1_0000;
const PARTS_BYTES_MAX = 0x80_0000;

/** How a command ended: what the driver reads, and the result behind it. */
export interface AdminOutcome {
  readonly status: number;
  readonly qualifier: number;
  readonly result: Uint8Array;
}

const NOTHING = new Uint8Array(0);
const WITH_PARTS: readonly number[] = [VIRTIO_ADMIN_OPCODE.DEV_PARTS_GET, VIRTIO_ADMIN_OPCODE.DEV_PARTS_SET];
const S = VIRTIO_ADMIN_STATUS;
const Q = VIRTIO_ADMIN_STATUS_Q;

/** The command waits for what a member is doing: it is asked anew, behind nothing of its own queue. */
export const LATER = 'later';

const refused = (status: number, qualifier: number): AdminOutcome => ({ status, qualifier, result: NOTHING });
export const done = (result: Uint8Array = NOTHING): AdminOutcome => ({ status: S.OK, qualifier: Q.OK, result });

export const INVALID_FIELD: AdminOutcome = refused(S.EINVAL, Q.INVALID_FIELD);
export const INVALID_COMMAND: AdminOutcome = refused(S.EINVAL, Q.INVALID_COMMAND);
export const INVALID_OPCODE: AdminOutcome = refused(S.EINVAL, Q.INVALID_OPCODE);
export const INVALID_GROUP: AdminOutcome = refused(S.EINVAL, Q.INVALID_GROUP);
export const INVALID_MEMBER: AdminOutcome = refused(S.EINVAL, Q.INVALID_MEMBER);
export const NO_SUCH: AdminOutcome = refused(S.ENXIO, Q.INVALID_FIELD);
export const EXISTS: AdminOutcome = refused(S.EEXIST, Q.INVALID_FIELD);
export const BUSY: AdminOutcome = refused(S.EBUSY, Q.INVALID_FIELD);
export const NO_SPACE: AdminOutcome = refused(S.ENOSPC, Q.NORESOURCE);
export const NO_MEMORY: AdminOutcome = refused(S.ENOMEM, Q.NORESOURCE);

/**
 * One command of an administration virtqueue, copied out of the driver's memory once: the answer may lie in the same
 * memory. Bytes that the driver did not give read as zero. @see virtio 1.4 §2.12.1, §2.13
 */
export class AdminCommand {
  readonly opcode: number;
  readonly groupType: number;
  /** group_member_id. Beyond 2^53 it is inexact, and no member all the same. */
  readonly member: number;
  /** command_specific_data, as much as the driver gave. */
  readonly data: Uint8Array;
  /** The driver gave more data than any command has. */
  readonly isTooLong: boolean;
  /** Bytes of command_specific_result that the driver has room for. */
  readonly room: number;
  private readonly view: DataView;

  /** @param chain of the burst, without a fault */
  constructor(memory: HostMemory, burst: ChainBurst, chain: number) {
    const { segments } = burst;
    const first = burst.first[chain]!;
    const count = burst.firstWritable[chain]! - first;
    const bytes = new Uint8Array(HEAD);
    gather(memory, segments, first, count, bytes);
    const head = new DataView(bytes.buffer);
    this.opcode = head.getUint16(VIRTIO_ADMIN_CMD.opcode, true);
    this.groupType = head.getUint16(VIRTIO_ADMIN_CMD.group_type, true);
    const at = VIRTIO_ADMIN_CMD.group_member_id;
    this.member = head.getUint32(at + 4, true) * TWO_32 + head.getUint32(at, true);
    const most = WITH_PARTS.includes(this.opcode) ? PARTS_BYTES_MAX : DATA_BYTES_MAX;
    const given = Math.max(0, burst.readableBytes(chain) - HEAD);
    this.data = new Uint8Array(Math.min(given, most));
    gather(memory, segments, first, count, this.data, HEAD);
    this.isTooLong = given > most;
    this.room = Math.max(0, burst.writableBytes(chain) - RESULT);
    this.view = new DataView(this.data.buffer);
  }

  u8(at: number): number {
    return this.data[at] ?? 0;
  }

  u16(at: number): number {
    return this.u8(at) | (this.u8(at + 1) << 8);
  }

  u32(at: number): number {
    if (at + 4 <= this.data.length) return this.view.getUint32(at, true);
    return this.u16(at) + this.u16(at + 2) * 0x1_0000;
  }

  /** So many bytes of data, a copy; what the driver did not give is zero. @param length bounded by the caller */
  bytes(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    bytes.set(this.data.subarray(at, at + length));
    return bytes;
  }
}

/**
 * Write how a command ended, whole words of 64 bits as far as the driver has room for them.
 * @returns bytes written
 * @see virtio 1.4 §2.13.1
 */
export function writeOutcome(
  memory: HostMemory,
  burst: ChainBurst,
  chain: number,
  { status, qualifier, result }: AdminOutcome,
): number {
  const bytes = new Uint8Array(RESULT + Math.ceil(result.length / 8) * 8);
  const view = new DataView(bytes.buffer);
  view.setUint16(VIRTIO_ADMIN_RESULT.status, status, true);
  view.setUint16(VIRTIO_ADMIN_RESULT.status_qualifier, qualifier, true);
  bytes.set(result, RESULT);
  const first = burst.firstWritable[chain]!;
  return scatter(memory, burst.segments, first, burst.end(chain) - first, bytes);
}
