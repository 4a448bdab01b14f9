import { GuardedGuest } from '@ringwire/guest-memory/testing';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { hex, join } from '../../net/testing/frames.js';
import type { AdminOptions } from '../administered-model.js';
import type { GroupMember, SriovOwner } from '../group-member.js';
import { MemberDevice } from '../member-device.js';
import { DriverRings, NetFunction, type NetFunctionOptions, Pieces } from './net-function.js';

const RAM = { gpa: 0x10_0000, size: 0x40_0000 };
const HOST = { gpa: 0x100_0000, size: 0x40_0000 };

/** What the SR-IOV capability says, in the test's hand. */
export class FakeSriov implements SriovOwner {
  isEnabled = true;
  /** By number, from 1 on; the one at 0 is none. */
  readonly members: (GroupMember | undefined)[] = [undefined];

  get count(): number {
    return this.members.length - 1;
  }

  member(id: number): GroupMember | undefined {
    return this.members[id];
  }
}

/** Opcodes by hand, virtio 1.4 §2.12.1. */
export const OP = {
  LIST_QUERY: 0,
  LIST_USE: 1,
  CAP_LIST: 7,
  CAP_GET: 8,
  CAP_SET: 9,
  CREATE: 0xa,
  MODIFY: 0xb,
  QUERY: 0xc,
  DESTROY: 0xd,
  METADATA: 0xe,
  GET: 0xf,
  SET: 0x10,
  MODE: 0x11,
} as const;
export const SELF = 0;
export const SRIOV = 1;

/** Status and qualifier, as one line: '22.4' is EINVAL and INVALID_GROUP. */
export interface Answer {
  readonly outcome: string;
  /** Bytes written, and those behind the 8 of the status. */
  readonly written: number;
  readonly result: Uint8Array;
}

export const OK = '0.0';
export const INVALID = { COMMAND: '22.1', OPCODE: '22.2', FIELD: '22.3', GROUP: '22.4', MEMBER: '22.5' } as const;

/** Little-endian bytes of a number. */
export const le = (value: number | bigint, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, at) => Number((BigInt(value) >> BigInt(8 * at)) & 0xffn));

/** The device-readable part of a command up to its data, by hand. */
export const head = (opcode: number, group: number, member: number | bigint): Uint8Array =>
  join(le(opcode, 2), le(group, 2), new Uint8Array(12), le(member, 8));

/** struct virtio_admin_cmd_resource_obj_cmd_hdr */
export const objectHeader = (type: number, id: number): Uint8Array => join(le(type, 2), le(0, 2), le(id, 4));

/** Data of CREATE and MODIFY. */
export const objectData = (type: number, id: number, data: Uint8Array, flags = 0): Uint8Array =>
  join(objectHeader(type, id), le(flags, 8), data);

/** A network device with administration queues, its members, and a driver's hands on the queues. */
export class AdminBench {
  readonly guest: GuardedGuest = new GuardedGuest([RAM, HOST], { patternedRam: true });
  readonly ram: Pieces = new Pieces(RAM.gpa, RAM.size);
  readonly host: Pieces = new Pieces(HOST.gpa, HOST.size);
  readonly sriov: FakeSriov = new FakeSriov();
  readonly owner: NetFunction;
  /** Members that are stepped while the owner waits. */
  readonly steppable: NetFunction[] = [];
  /** Virtqueue index of the first administration queue. */
  readonly admin: number;

  /** @param features of the owner's driver, besides VERSION_1 and ADMIN_VQ */
  constructor(features: readonly number[] = [], options: AdminOptions & { owner?: NetFunctionOptions } = {}) {
    const rings = new DriverRings(this.guest, this.ram, [VIRTIO_F.ADMIN_VQ, ...features]);
    const { owner, ...admin } = options;
    this.owner = new NetFunction(this.guest, this.host, rings, { ...owner, admin: { sriov: this.sriov, ...admin } });
    this.admin = this.owner.face.device.numQueues;
  }

  /** Start the owner, with these of its own queues. */
  start(queues: readonly number[] = [], admins = 1): this {
    this.owner.start([...queues, ...Array.from({ length: admins }, (_, at) => this.admin + at)]);
    return this;
  }

  /** Another function, a member of the group from now on. */
  addMember(features: readonly number[] = [], options: NetFunctionOptions = {}): NetFunction {
    const rings = new DriverRings(this.guest, this.ram, features);
    return this.adopt(new NetFunction(this.guest, this.host, rings, options));
  }

  adopt(member: NetFunction): NetFunction {
    this.sriov.members.push(new MemberDevice(member.face.virtio));
    return member;
  }

  /** Make a command available and notify. @returns where its answer comes */
  post(bytes: Uint8Array, room: number, queue = 0): number {
    const answer = this.owner.rings.ask(this.admin + queue, bytes, room);
    this.owner.face.kick(this.admin + queue);
    return answer;
  }

  /** Take the one answer that came. */
  answer(at: number, queue = 0): Answer {
    const lengths = this.owner.rings.collect(this.admin + queue);
    if (lengths.length !== 1) throw new Error(`${lengths.length} commands came back`);
    const [written] = lengths as [number];
    const bytes = new Uint8Array(Math.max(8, written));
    bytes.set(this.guest.read(at, written));
    const view = new DataView(bytes.buffer);
    return {
      outcome: `${view.getUint16(0, true)}.${view.getUint16(2, true)}`,
      written,
      result: bytes.slice(8),
    };
  }

  /** Carry a command out. @param room bytes for the answer, its status included */
  run(opcode: number, group: number, member: number | bigint, data: Uint8Array = hex(''), room = 0x2000): Answer {
    const at = this.post(join(head(opcode, group, member), data), room);
    this.owner.step();
    return this.answer(at);
  }

  /** Use all commands that there are for a group. */
  use(...groups: readonly number[]): this {
    for (const group of groups) {
      const { result } = this.run(OP.LIST_QUERY, group, 0);
      const { outcome } = this.run(OP.LIST_USE, group, 0, result);
      if (outcome !== OK) throw new Error(`LIST_USE ended with ${outcome}`);
    }
    return this;
  }

  /** Allow for objects, and make one of a kind for a member. @param kind 0 to get parts, 1 to set them */
  partsObject(id: number, member: number, kind: number): void {
    this.run(OP.CAP_SET, SELF, 0, hex('0000 000000000000 0808'));
    const { outcome } = this.run(OP.CREATE, SRIOV, member, objectData(0, id, le(kind, 8)));
    if (outcome !== OK) throw new Error(`CREATE ended with ${outcome}`);
  }

  /** Stop (1) or resume (0) a member, as often as it takes. */
  mode(member: number, flags: number): Answer {
    const at = this.post(join(head(OP.MODE, SRIOV, member), le(flags, 8)), 8);
    for (let turns = 0; turns < 8; turns++) {
      this.owner.step();
      for (const member of this.steppable) member.step();
    }
    return this.answer(at);
  }
}
