import { hex, join } from '../../net/testing/frames.js';
import { decodeParts } from '../device-part.js';
import { AdminBench, type Answer, le, OK, OP, objectHeader, SELF, SRIOV } from './admin-bench.js';
import type { NetFunctionOptions } from './net-function.js';

/** Part types by hand, virtio 1.4 §2.14.1, and their order, §2.12.1.4.4. */
export const PART = {
  DEV: 0x100,
  DRV: 0x101,
  COMMON: 0x102,
  STATUS: 0x103,
  VQ: 0x104,
  NOTIFY: 0x105,
  CVQ: 0x200,
} as const;
export const OPTIONAL = 1;
/** What a device parts object is for. */
export const GET = 0;
export const SET = 1;

export const text = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
/** A part by hand. */
export const part = (type: number, selector: Uint8Array, value: Uint8Array, flags = 0): Uint8Array =>
  join(le(type, 2), le(flags, 2), join(selector, new Uint8Array(8 - selector.length)), le(value.length, 4), value);
export const none: Uint8Array = new Uint8Array(8);
export const status = (value: number): Uint8Array => part(PART.STATUS, none, Uint8Array.of(value));

/** A group with members, and an object for each to get parts (its number) and to set them (its number + 10). */
export class PartsBench extends AdminBench {
  constructor(features: readonly number[] = [], options: NetFunctionOptions = {}, members = 2) {
    super();
    for (let id = 1; id <= members; id++) this.addMember(features, options);
    this.start().use(SELF, SRIOV);
    this.run(OP.CAP_SET, SELF, 0, hex('0000 000000000000 2020'));
    for (let id = 1; id <= members; id++) {
      succeeds(this.run(OP.CREATE, SRIOV, id, join(objectHeader(0, id), le(0, 8), le(GET, 8))));
      succeeds(this.run(OP.CREATE, SRIOV, id, join(objectHeader(0, id + 10), le(0, 8), le(SET, 8))));
    }
  }

  get(id: number): Uint8Array {
    return succeeds(this.run(OP.GET, SRIOV, id, join(objectHeader(0, id), le(1, 8)))).result;
  }

  select(id: number, headers: Uint8Array): Uint8Array {
    return succeeds(this.run(OP.GET, SRIOV, id, join(objectHeader(0, id), le(0, 8), headers))).result;
  }

  set(id: number, parts: Uint8Array): string {
    return this.run(OP.SET, SRIOV, id, join(objectHeader(0, id + 10), parts)).outcome;
  }

  metadata(id: number, type: number, room = 0x2000): ReturnType<AdminBench['run']> {
    return this.run(OP.METADATA, SRIOV, id, join(objectHeader(0, id), le(type, 8)), room);
  }
}

/** Types of the parts in these bytes. */
export const typesIn = (bytes: Uint8Array): number[] => decodeParts(bytes)!.map(({ type }) => type);
export const partValue = (bytes: Uint8Array, type: number, selector: Uint8Array = none): Uint8Array | undefined =>
  decodeParts(bytes)!.find((one) => one.type === type && text(one.selector) === text(selector))?.value;

function succeeds(answer: Answer): Answer {
  if (answer.outcome !== OK) throw new Error(`the command ended with ${answer.outcome}`);
  return answer;
}
