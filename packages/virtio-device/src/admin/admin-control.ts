import { VIRTIO_ADMIN_OPCODE } from '@ringwire/virtio-spec/admin';
import {
  type AdminCommand,
  type AdminOutcome,
  done,
  INVALID_FIELD,
  INVALID_GROUP,
  INVALID_MEMBER,
  INVALID_OPCODE,
  type LATER,
} from './admin-command.js';
import type { AdminGroup } from './admin-group.js';

const { LIST_QUERY, LIST_USE } = VIRTIO_ADMIN_OPCODE;
/** Opcodes are 16 bits: a list has no more bytes that mean anything. */
const LIST_BYTES_MAX = 0x2000;

/**
 * Commands in front of what each of them does: group, opcode and member are looked at in this order, and an opcode is good
 * while it is in the list that the driver said it uses. @see virtio 1.4 §2.12.1
 */
export class AdminControl {
  private readonly groups: readonly AdminGroup[];
  /** Per group type: opcodes that the driver uses. */
  private readonly used: Map<number, ReadonlySet<number>> = new Map();

  constructor(groups: readonly AdminGroup[]) {
    this.groups = groups;
    this.reset();
  }

  reset(): void {
    for (const group of this.groups) {
      this.used.set(group.type, new Set([LIST_QUERY, LIST_USE]));
      group.reset();
    }
  }

  run(command: AdminCommand): AdminOutcome | typeof LATER {
    const group = this.groups.find(({ type }) => type === command.groupType);
    if (group === undefined || !group.exists()) return INVALID_GROUP;
    if (!this.used.get(group.type)!.has(command.opcode)) return INVALID_OPCODE;
    // The list commands are about a group: they have no member, and drivers leave the field 0, which is none with SR-IOV.
    if (command.opcode === LIST_QUERY) return done(bitmapOf(supported(group)));
    if (command.opcode === LIST_USE) return this.useList(group, command);
    return group.hasMember(command.member) ? group.run(command) : INVALID_MEMBER;
  }

  private useList(group: AdminGroup, { data }: AdminCommand): AdminOutcome {
    const opcodes = bitsOf(data.subarray(0, LIST_BYTES_MAX));
    const offered = supported(group);
    if (!opcodes.every((opcode) => offered.includes(opcode))) return INVALID_FIELD;
    this.used.set(group.type, new Set(opcodes));
    return done();
  }
}

const supported = ({ opcodes }: AdminGroup): readonly number[] => [LIST_QUERY, LIST_USE, ...opcodes];

/** Numbers as bits of le64 words, just enough of them. */
export function bitmapOf(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((Math.max(0, ...numbers) + 1) / 64) * 8);
  for (const number of numbers) bytes[number >>> 3]! |= 1 << (number & 7);
  return bytes;
}

function bitsOf(bytes: Uint8Array): number[] {
  const numbers: number[] = [];
  for (const [at, byte] of bytes.entries())
    for (let bit = 0; bit < 8; bit++) if (((byte >>> bit) & 1) === 1) numbers.push(at * 8 + bit);
  return numbers;
}
