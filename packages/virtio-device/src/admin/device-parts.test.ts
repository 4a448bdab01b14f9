import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join } from '../net/testing/frames.js';
import { S } from '../testing/device-bench.js';
import { COMMON } from '../testing/pci-face.js';
import { decodeParts } from './device-part.js';
import { MemberDevice } from './member-device.js';
import { AdminBench, INVALID, le, OK, OP, objectHeader, SELF, SRIOV } from './testing/admin-bench.js';
import { DriverRings, NetFunction, type NetFunctionOptions } from './testing/net-function.js';

const F = VIRTIO_NET_F;
const NO_MEMORY = '12.6';
/** Part types by hand, virtio 1.4 §2.14.1, and their order, §2.12.1.4.4. */
const PART = { DEV: 0x100, DRV: 0x101, COMMON: 0x102, STATUS: 0x103, VQ: 0x104, NOTIFY: 0x105, CVQ: 0x200 } as const;
const OPTIONAL = 1;
const GET = 0;
const SET = 1;

const text = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
/** A part by hand. */
const part = (type: number, selector: Uint8Array, value: Uint8Array, flags = 0): Uint8Array =>
  join(le(type, 2), le(flags, 2), join(selector, new Uint8Array(8 - selector.length)), le(value.length, 4), value);
const none = new Uint8Array(8);
const status = (value: number): Uint8Array => part(PART.STATUS, none, Uint8Array.of(value));

/** A group with members, and an object for each to get parts (its number) and to set them (its number + 10). */
class PartsBench extends AdminBench {
  constructor(features: readonly number[] = [], options: NetFunctionOptions = {}, members = 2) {
    super();
    for (let id = 1; id <= members; id++) this.addMember(features, options);
    this.start().use(SELF, SRIOV);
    this.run(OP.CAP_SET, SELF, 0, hex('0000 000000000000 2020'));
    for (let id = 1; id <= members; id++) {
      expect(this.run(OP.CREATE, SRIOV, id, join(objectHeader(0, id), le(0, 8), le(GET, 8))).outcome).toBe(OK);
      expect(this.run(OP.CREATE, SRIOV, id, join(objectHeader(0, id + 10), le(0, 8), le(SET, 8))).outcome).toBe(OK);
    }
  }

  get(id: number): Uint8Array {
    const { outcome, result } = this.run(OP.GET, SRIOV, id, join(objectHeader(0, id), le(1, 8)));
    expect(outcome).toBe(OK);
    return result;
  }

  select(id: number, headers: Uint8Array): Uint8Array {
    const { outcome, result } = this.run(OP.GET, SRIOV, id, join(objectHeader(0, id), le(0, 8), headers));
    expect(outcome).toBe(OK);
    return result;
  }

  set(id: number, parts: Uint8Array): string {
    return this.run(OP.SET, SRIOV, id, join(objectHeader(0, id + 10), parts)).outcome;
  }

  metadata(id: number, type: number, room = 0x2000): ReturnType<AdminBench['run']> {
    return this.run(OP.METADATA, SRIOV, id, join(objectHeader(0, id), le(type, 8)), room);
  }
}

/** Types of the parts in these bytes. */
const typesIn = (bytes: Uint8Array): number[] => decodeParts(bytes)!.map(({ type }) => type);
const partValue = (bytes: Uint8Array, type: number, selector: Uint8Array = none): Uint8Array | undefined =>
  decodeParts(bytes)!.find((one) => one.type === type && text(one.selector) === text(selector))?.value;

describe('getting parts', () => {
  test('dev.admin.device-parts.1: all commands about parts are offered to the SR-IOV group', () => {
    const bench = new PartsBench();
    const { result } = bench.run(OP.LIST_QUERY, SRIOV, 0);
    for (const opcode of [0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11])
      expect((result[opcode >>> 3]! >>> (opcode & 7)) & 1).toBe(1);
  });

  test('dev.admin.device-parts.3,.27,.28,.29,.32: a device’s parts in their order, by hand', () => {
    const bench = new PartsBench();
    const { face } = bench.addMember();
    bench.run(OP.CREATE, SRIOV, 3, join(objectHeader(0, 3), le(0, 8), le(GET, 8)));
    face.setStatus(S.ACK);
    face.setStatus(S.ACK | S.DRIVER);
    face.accept(1, 1);
    face.setStatus(S.ACK | S.DRIVER | S.FEATURES);
    face.writeCommon(COMMON.configMsixVector, 2, 2);
    face.writeCommon(COMMON.queueSelect, 2, 1);
    face.writeCommon(COMMON.queueSize, 2, 32);
    face.writeCommon(COMMON.queueMsixVector, 2, 1);
    face.writeCommon(COMMON.queueDriver, 4, 0x1234_5670);
    face.writeCommon(COMMON.queueDriver + 4, 4, 9);
    const offered = join(...[0, 1, 2, 3].map((word) => le(face.device.offered[word]!, 4)));
    const noVector = 'ffff';
    const queue = (index: number, value: string): Uint8Array => part(PART.VQ, le(index, 2), hex(value));
    const addresses = `${'00'.repeat(8)} ${'00'.repeat(16)}`;
    const selected = face.readCommon(COMMON.deviceFeatureSelect, 4);
    const expected = join(
      part(PART.DEV, none, offered, OPTIONAL),
      part(PART.DRV, none, hex('00000000 01000000 0000000000000000')),
      part(PART.COMMON, le(0x00, 8), le(selected, 4)), // device_feature_select
      part(PART.COMMON, le(0x08, 8), le(1, 4)), // driver_feature_select
      part(PART.COMMON, le(0x10, 8), le(2, 2)), // config_msix_vector
      part(PART.COMMON, le(0x12, 8), le(3, 2)), // num_queues
      part(PART.COMMON, le(0x16, 8), le(1, 2)), // queue_select
      status(0x0b),
      queue(0, `0001 ${noVector} 0000 0000 ${addresses}`),
      queue(1, `2000 0100 0000 0000 ${'00'.repeat(8)} 7056341209000000 ${'00'.repeat(8)}`),
      queue(2, `4000 ${noVector} 0000 0000 ${addresses}`),
      ...[0, 1, 2].map((index) => part(PART.NOTIFY, le(index, 2), join(le(index, 2), le(index, 2), le(0, 4)))),
    );
    const result = bench.get(3);
    expect(text(result.slice(0, expected.length))).toBe(text(expected));
    expect(result.slice(expected.length).every((byte) => byte === 0)).toBe(true);
  });

  test('what a driver set by commands is parts of type 0x200, behind the common ones', () => {
    const bench = new PartsBench();
    const member = bench.addMember([F.CTRL_VQ, F.CTRL_RX, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC, F.MQ], { pairs: 2 });
    bench.run(OP.CREATE, SRIOV, 3, join(objectHeader(0, 3), le(0, 8), le(GET, 8)));
    member.start([0, 1, 4]);
    for (const command of [
      '00 01 01', // ALLMULTI on
      '01 00 01000000 525400000001 02000000 01005e000001 01005e000002',
      '01 01 525400777777',
      '02 00 0500',
      '02 00 ff0f',
      '04 00 0200',
    ])
      expect(member.control(hex(command))).toBe(0);
    const parts = bench.get(3);
    const cvq = (code: string): string | undefined => {
      const value = partValue(parts, PART.CVQ, join(hex(code), new Uint8Array(6)));
      return value === undefined ? undefined : text(value);
    };
    expect([cvq('0000'), cvq('0001')]).toEqual(['00', '01']);
    expect(cvq('0100')).toBe('01000000525400000001020000000100 5e00000101005e000002'.replace(' ', ''));
    expect(cvq('0101')).toBe('525400777777');
    expect(cvq('0200')).toBe('0500ff0f');
    expect(cvq('0400')).toBe('0200');
    expect(cvq('0002')).toBeUndefined();
    const types = typesIn(parts).filter((type) => type <= 0x5ff);
    expect(types).toEqual([...types].sort((a, b) => a - b));
  });

  test('dev.admin.device-parts.26: selected parts, in the device’s order, without those that it does not have', () => {
    const bench = new PartsBench();
    const wanted = [
      part(PART.VQ, le(1, 2), hex('')),
      part(PART.STATUS, none, hex('')),
      part(PART.VQ, le(77, 2), hex('')),
      part(PART.STATUS, none, hex('')),
      part(0x5ff, none, hex('')),
      part(PART.DEV, none, hex('')),
    ];
    const parts = bench.select(1, join(...wanted));
    expect(typesIn(parts)).toEqual([PART.DEV, PART.STATUS, PART.VQ]);
    expect(bench.select(1, hex(''))).toEqual(hex(''));
  });

  test('metadata: size, count and headers say what is got', () => {
    const bench = new PartsBench();
    const parts = bench.get(1);
    const size = new DataView(bench.metadata(1, 0).result.buffer).getUint32(0, true);
    expect(Math.ceil(size / 8) * 8).toBe(parts.length);
    const count = new DataView(bench.metadata(1, 1).result.buffer).getUint32(0, true);
    expect(count).toBe(typesIn(parts).length);
    const list = bench.metadata(1, 2).result;
    expect(list).toHaveLength(8 + 16 * count);
    expect(new DataView(list.buffer).getUint32(0, true)).toBe(count);
    expect(text(list.slice(8, 24))).toBe(text(parts.slice(0, 16)));
    expect(bench.metadata(1, 3).outcome).toBe(INVALID.FIELD);
  });

  test('AD-19 dev.admin.vq.9: metadata that has no room is ENOMEM, and nothing of it is written', () => {
    const bench = new PartsBench();
    const { written } = bench.metadata(1, 2);
    for (const room of [8, 9, 16, written - 1]) {
      expect(bench.metadata(1, 2, room)).toEqual({ outcome: NO_MEMORY, written: 8, result: hex('') });
    }
    expect(bench.metadata(1, 2, written).outcome).toBe(OK);
    expect(bench.metadata(1, 1, 15).outcome).toBe(NO_MEMORY);
  });

  test('AD-20 dev.admin.vq.4: parts that have no room are cut', () => {
    const bench = new PartsBench();
    const whole = bench.get(1);
    for (const room of [8, 9, 24, 100, whole.length + 7]) {
      const answer = bench.run(OP.GET, SRIOV, 1, join(objectHeader(0, 1), le(1, 8)), room);
      expect([answer.outcome, answer.written]).toEqual([OK, room]);
      expect(text(answer.result)).toBe(text(whole.slice(0, room - 8)));
    }
  });

  test('AD-21: ten thousand parts asked for are as many as there are', () => {
    const bench = new PartsBench();
    const wanted = Array.from({ length: 10_000 }, (_, n) => part(PART.VQ, le(n % 5, 2), hex('')));
    expect(typesIn(bench.select(1, join(...wanted)))).toEqual([PART.VQ, PART.VQ, PART.VQ]);
  });

  test('dev.admin.device-parts.2 AD-25: stopped, it gives the same parts each time, and touches nothing', () => {
    const bench = new PartsBench([], {}, 1);
    const member = bench.addMember();
    bench.run(OP.CREATE, SRIOV, 2, join(objectHeader(0, 2), le(0, 8), le(GET, 8)));
    bench.steppable.push(member);
    member.start([0, 1]);
    for (let n = 0; n < 8; n++) member.rings.post();
    for (let n = 0; n < 4; n++) member.rings.send(frameOf(60));
    member.face.kick(1);
    expect(bench.mode(2, 1).outcome).toBe(OK);
    const first = bench.get(2);
    for (let n = 0; n < 4; n++) member.rings.send(frameOf(60));
    member.face.kick(1);
    member.backend.deliver(frameOf(60));
    const published = bench.guest.snapshot();
    member.step();
    expect(bench.guest.changesOutside(published, [])).toEqual([]);
    expect(text(bench.get(2))).toBe(text(first));
  });

  test('objects of the other kind, and no object at all', () => {
    const bench = new PartsBench();
    expect(bench.run(OP.GET, SRIOV, 1, join(objectHeader(0, 11), le(1, 8))).outcome).toBe(INVALID.FIELD);
    expect(bench.run(OP.METADATA, SRIOV, 1, join(objectHeader(0, 11), le(1, 8))).outcome).toBe(INVALID.FIELD);
    bench.mode(1, 1);
    expect(bench.run(OP.SET, SRIOV, 1, join(objectHeader(0, 1), status(0))).outcome).toBe(INVALID.FIELD);
    for (const opcode of [OP.GET, OP.SET, OP.METADATA])
      expect(bench.run(opcode, SRIOV, 1, join(objectHeader(0, 30), le(1, 8))).outcome).toBe('6.3');
    expect(bench.run(OP.GET, SRIOV, 1, join(objectHeader(0, 1), le(2, 8))).outcome).toBe(INVALID.FIELD);
  });
});

describe('setting parts', () => {
  const stopped = (features: readonly number[] = [], options: NetFunctionOptions = {}): PartsBench => {
    const bench = new PartsBench(features, options);
    expect([bench.mode(1, 1).outcome, bench.mode(2, 1).outcome]).toEqual([OK, OK]);
    return bench;
  };

  test('AD-14 dev.admin.device-parts.4: not while it runs', () => {
    const bench = new PartsBench();
    const parts = bench.get(1);
    expect(bench.set(1, parts)).toBe(INVALID.COMMAND);
    bench.mode(1, 1);
    expect(bench.set(1, parts)).toBe(OK);
    bench.mode(1, 0);
    expect(bench.set(1, parts)).toBe(INVALID.COMMAND);
  });

  test('dev.admin.device-parts.5: the same parts or others, as often as is wanted', () => {
    const bench = stopped();
    const parts = bench.get(1);
    for (let n = 0; n < 3; n++) expect(bench.set(1, parts)).toBe(OK);
    expect(bench.set(1, status(3))).toBe(OK);
    expect(bench.set(1, part(PART.COMMON, le(0x16, 8), le(2, 2)))).toBe(OK);
    expect(partValue(bench.get(1), PART.STATUS)).toEqual(hex('03'));
    expect(partValue(bench.get(1), PART.COMMON, le(0x16, 8))).toEqual(hex('0200'));
    expect(bench.set(1, status(1))).toBe(OK);
    expect(partValue(bench.get(1), PART.STATUS)).toEqual(hex('01'));
  });

  /** Nothing of a list that is refused is kept: here a status of 1 in front of what is wrong. */
  const refuses = (bench: PartsBench, ...wrong: readonly Uint8Array[]): void => {
    const before = text(bench.get(1));
    for (const parts of wrong) {
      expect(bench.set(1, parts), text(parts)).toBe(INVALID.FIELD);
      expect(text(bench.get(1))).toBe(before);
    }
  };

  test('AD-15 dev.admin.device-parts.6: a part of another length is refused, and everything with it', () => {
    const bench = stopped();
    const offered = partValue(bench.get(1), PART.DEV)!;
    refuses(
      bench,
      join(status(1), part(PART.VQ, le(0, 2), new Uint8Array(31))),
      join(status(1), part(PART.VQ, le(0, 2), new Uint8Array(33))),
      join(status(1), part(PART.NOTIFY, le(0, 2), new Uint8Array(4))),
      part(PART.STATUS, none, hex('')),
      part(PART.STATUS, none, hex('0100')),
      part(PART.DRV, none, new Uint8Array(8)),
      part(PART.DEV, none, offered.slice(0, 8)),
      part(PART.COMMON, le(0x16, 8), le(1, 4)),
      part(PART.COMMON, le(0x10, 8), le(1, 1)),
      // Claims 4 GiB, and 64 KiB and a byte.
      join(part(PART.STATUS, none, hex('')).slice(0, 12), hex('ffffffff')),
      join(part(PART.STATUS, none, hex('')).slice(0, 12), hex('01000100')),
    );
  });

  test('AD-16 dev.admin.device-parts.7,.8,.33,.34: device features and read-only fields are compared, and not set', () => {
    const bench = stopped();
    const offered = partValue(bench.get(1), PART.DEV)!;
    const other = offered.slice();
    other[0]! ^= 1;
    refuses(
      bench,
      join(part(PART.DEV, none, other, OPTIONAL), status(1)),
      part(PART.DEV, none, other),
      part(PART.COMMON, le(0x12, 8), le(4, 2)),
      part(PART.NOTIFY, le(0, 2), join(le(1, 2), le(0, 6))),
      // Fields that are no parts: config_generation, a queue's, none.
      part(PART.COMMON, le(0x15, 8), le(0, 1)),
      part(PART.COMMON, le(0x18, 8), le(16, 2)),
      part(PART.COMMON, le(0x40, 8), le(0, 2)),
    );
    expect(bench.set(1, join(part(PART.DEV, none, offered), part(PART.COMMON, le(0x12, 8), le(3, 2))))).toBe(OK);
  });

  test('AD-17: parts out of order, twice, or not known and not optional', () => {
    const bench = stopped();
    const offered = partValue(bench.get(1), PART.DEV)!;
    const drv = part(PART.DRV, none, new Uint8Array(16));
    const unknown = (type: number, flags: number): Uint8Array => part(type, none, hex('01020304'), flags);
    refuses(
      bench,
      join(status(1), drv),
      join(drv, part(PART.DEV, none, offered)),
      join(drv, drv),
      join(status(1), status(1)),
      // Reserved bytes of a selector tell no two parts apart.
      join(status(1), part(PART.STATUS, le(9, 8), hex('01'))),
      join(part(PART.NOTIFY, le(0, 8), new Uint8Array(8)), part(PART.NOTIFY, le(0x1_0000, 8), new Uint8Array(8))),
      join(status(1), unknown(0x106, 0)),
      join(status(1), unknown(0x600, 0)),
      join(status(1), unknown(0xffff, 0)),
      join(status(1), unknown(0x201, 0)),
    );
    expect(bench.set(1, join(unknown(0x106, OPTIONAL), drv, status(1), unknown(0x201, OPTIONAL)))).toBe(OK);
  });

  test('AD-18: a queue with a size or an index that it cannot have', () => {
    const bench = stopped();
    const queue = (index: number, size: number, enabled = 0, high = 0): Uint8Array => {
      const address = join(le(0x1000, 4), le(high, 4));
      return part(
        PART.VQ,
        le(index, 2),
        join(le(size, 2), le(0, 2), le(enabled, 2), le(0, 2), address, address, address),
      );
    };
    refuses(
      bench,
      join(status(1), queue(0, 0)),
      join(status(1), queue(0, 512)),
      join(status(1), queue(0, 24)),
      queue(0, 0xffff),
      queue(3, 16),
      queue(0xffff, 16),
      queue(0, 16, 2),
      // Enabled, and features are not negotiated.
      queue(0, 16, 1),
      part(PART.NOTIFY, le(3, 2), new Uint8Array(8)),
    );
    const negotiated = join(part(PART.DRV, none, hex('0000000001000000 0000000000000000')), status(0x0b));
    refuses(bench, join(negotiated, queue(0, 16, 1, 0x20_0000)));
    expect(bench.set(1, join(negotiated, queue(0, 16, 1, 0x1f_ffff)))).toBe(OK);
  });

  test('a status or features that no driver can have brought about', () => {
    const bench = stopped();
    const drv = (value: string): Uint8Array => part(PART.DRV, none, hex(value));
    refuses(
      bench,
      ...[2, 4, 8, 9, 0x10, 0x20].map(status),
      // No VERSION_1; a feature that was not offered; SUSPEND without its feature; with DRIVER_OK.
      status(0x0b),
      join(drv('00000000 01000200 0000000000000000'), status(0x0b)),
      join(drv('00000000 01000000 0000000000000000'), status(0x1b)),
      join(drv('00000000 01080000 0000000000000000'), status(0x1f)),
    );
    // As long as FEATURES_OK is not set the driver may have written anything.
    expect(bench.set(1, join(drv('ffffffffffffffff ffffffffffffffff'), status(3)))).toBe(OK);
  });

  test('what the driver set by commands: data that the command refuses, of features that were not negotiated', () => {
    const bench = stopped([], { pairs: 2 });
    const features = part(
      PART.DRV,
      none,
      join(le((1 << F.CTRL_VQ) | (1 << F.CTRL_RX) | (1 << F.MQ), 4), le(1, 4), le(0, 8)),
    );
    const base = join(features, status(0x0f));
    const cvq = (code: string, value: string): Uint8Array =>
      part(PART.CVQ, join(hex(code), new Uint8Array(6)), hex(value));
    refuses(
      bench,
      ...[
        ['0000', ''],
        ['0000', '02'],
        ['0000', '0101'],
        ['0100', '00000000'],
        ['0100', '01000000 525400000001 01000000 01005e0001'],
        ['0100', 'ffffffff 525400000001 00000000'],
        ['0400', '0000'],
        ['0400', '0300'],
        ['0400', '01'],
        // Not negotiated: MAC address, VLAN, RSS, coalescing, offloads.
        ['0101', '525400777777'],
        ['0200', '0500'],
        ['0401', '00000000 0000 0000 0000 0100 00'],
        ['0600', '0000000000000000'],
        ['0500', '0000000000000000'],
        // No command that is a part.
        ['0103', '00'],
        ['0801', ''],
      ].map(([code, value]) => join(base, cvq(code!, value!))),
    );
    expect(bench.set(1, join(base, cvq('0000', '00'), cvq('0400', '0200')))).toBe(OK);
  });

  test('dev.admin.device-parts.9: optional parts of no known type are passed over', () => {
    const bench = stopped();
    const before = text(bench.get(1));
    expect(bench.set(1, part(0x1234, none, hex('ff'.repeat(40)), OPTIONAL))).toBe(OK);
    expect(text(bench.get(1))).toBe(before);
  });

  test('dev.admin.vq.1,.2: a list of parts is padded, or cut, as any buffer', () => {
    const bench = stopped();
    expect(bench.set(1, join(status(1), new Uint8Array(100)))).toBe(OK);
    // Without its last byte the value is 0.
    expect(bench.set(1, status(1).slice(0, 16))).toBe(OK);
    expect(partValue(bench.get(1), PART.STATUS)).toEqual(hex('00'));
    expect(bench.set(1, hex(''))).toBe(OK);
  });

  test('random parts neither throw nor leave half of themselves', () => {
    const bench = stopped([F.CTRL_VQ, F.CTRL_RX]);
    const own = decodeParts(bench.get(1))!;
    const types = [...new Set(own.map(({ type }) => type)), PART.CVQ, 0xff00, 0x300, 0x999];
    const one = fc.record({
      type: fc.constantFrom(...types),
      selector: fc.oneof(
        fc.constantFrom(...own.map(({ selector }) => selector)),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
      ),
      value: fc.oneof(fc.constantFrom(...own.map(({ value }) => value)), fc.uint8Array({ maxLength: 40 })),
      flags: fc.constantFrom(0, OPTIONAL),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.nat(8), (parts, cut) => {
        const bytes = join(...parts.map(({ type, selector, value, flags }) => part(type, selector, value, flags)));
        const before = text(bench.get(1));
        const outcome = bench.set(1, bytes.subarray(0, Math.max(0, bytes.length - cut)));
        expect([OK, INVALID.FIELD]).toContain(outcome);
        if (outcome !== OK) expect(text(bench.get(1))).toBe(before);
        bench.mode(1, 0);
        bench.mode(1, 1);
      }),
      { numRuns: 150 },
    );
    expect(bench.owner.face.device.status).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
  });
});

describe('one device’s parts in another', () => {
  const ALL = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC, F.MQ, F.GUEST_CSUM, F.CTRL_GUEST_OFFLOADS];
  const FORMATS = [
    ['split', []],
    ['packed', [VIRTIO_F.RING_PACKED]],
    ['split in order', [VIRTIO_F.IN_ORDER, VIRTIO_F.EVENT_IDX]],
    ['packed with events', [VIRTIO_F.RING_PACKED, VIRTIO_F.EVENT_IDX]],
  ] as const;

  /** A running source, and a destination that was never used; both know one driver's rings. */
  const pair = (rings: readonly number[]): { bench: PartsBench; from: NetFunction; to: NetFunction } => {
    const bench = new PartsBench([], { pairs: 2 }, 0);
    const from = bench.addMember([...ALL, ...rings], { pairs: 2 });
    const to = bench.adopt(new NetFunction(bench.guest, bench.host, from.rings, { pairs: 2 }));
    for (const [id, kind] of [
      [1, GET],
      [2, SET],
    ] as const)
      bench.run(OP.CREATE, SRIOV, id, join(objectHeader(0, kind === GET ? 1 : 12), le(0, 8), le(kind, 8)));
    bench.steppable.push(from, to);
    return { bench, from, to };
  };

  const move = (bench: PartsBench): void => {
    expect(bench.mode(1, 1).outcome).toBe(OK);
    const parts = bench.get(1);
    expect(bench.mode(2, 1).outcome).toBe(OK);
    expect(bench.set(2, parts)).toBe(OK);
    expect(bench.mode(2, 0).outcome).toBe(OK);
  };

  test.each(FORMATS)('%s: frames go on in both directions where they left off, and settings hold', (_, rings) => {
    const { bench, from, to } = pair(rings);
    from.start([0, 1, 2, 3, 4]);
    for (const command of ['00 00 00', '02 00 0500', '01 01 525400777777', '04 00 0200', '05 00 0000000000000000'])
      expect(from.control(hex(command))).toBe(0);
    const own = (seed: number): Uint8Array => frameOf(60, seed, '525400777777');
    for (let n = 0; n < 12; n++) from.rings.post();
    expect(from.receive([own(1), own(2), own(3)])).toHaveLength(3);
    for (let n = 0; n < 21; n++) {
      from.rings.send(frameOf(60, n));
      from.face.kick(1);
      from.step();
      from.rings.collect(1);
    }
    expect(from.backend.sent).toHaveLength(21);
    // Sent, and neither taken nor notified of, when the source is stopped.
    from.rings.send(frameOf(64, 99));
    move(bench);
    expect(to.face.status()).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    to.step();
    to.step();
    expect([from.backend.sent.length + to.backend.sent.length, from.rings.collect(1).length]).toEqual([22, 1]);
    expect(to.receive([own(4), own(5)])).toHaveLength(2);
    // The filters: neither the address of old, nor a VLAN that was not added; one that was.
    expect(to.receive([frameOf(60, 6)])).toHaveLength(0);
    const tagged = (id: string): Uint8Array => join(own(7).subarray(0, 12), hex(`8100${id}`), own(7).subarray(12));
    expect(to.receive([tagged('0006')])).toHaveLength(0);
    expect(to.receive([tagged('0005')])).toHaveLength(1);
    // Two pairs, as it was told before.
    to.rings.send(frameOf(60, 8), 1);
    to.face.kick(3);
    to.step();
    expect(to.rings.collect(3)).toHaveLength(1);
    // All but offloads, which a driver turned off: parts of the destination are those of the source.
    expect(to.device.sink.offloads).toBe(0);
    const source = bench.sriov.members[1]!.parts().map((one) => [one.type, text(one.selector)]);
    expect(bench.sriov.members[2]!.parts().map((one) => [one.type, text(one.selector)])).toEqual(source);
  });

  test('RSS, hashes, tunnels, contexts and coalescing, of directions and of one queue', () => {
    const features = [F.CTRL_VQ, F.MQ, F.RSS, F.HASH_REPORT, F.HASH_TUNNEL, F.RSS_CONTEXT, F.NOTF_COAL, F.VQ_NOTF_COAL];
    const bench = new PartsBench([], { pairs: 2 }, 0);
    const from = bench.addMember(features, { pairs: 2 });
    const to = bench.adopt(new NetFunction(bench.guest, bench.host, from.rings, { pairs: 2 }));
    bench.run(OP.CREATE, SRIOV, 1, join(objectHeader(0, 1), le(0, 8), le(GET, 8)));
    bench.run(OP.CREATE, SRIOV, 2, join(objectHeader(0, 12), le(0, 8), le(SET, 8)));
    bench.steppable.push(from, to);
    from.start([0, 1, 2, 3, 4]);
    const key = `28 ${'5a'.repeat(40)}`;
    const rss = `02000000 0100 0000 0000 0100 0200 ${key}`;
    const commands = [
      `04 01 ${rss}`,
      `04 02 01000000 0000000000000000 ${key}`,
      '07 00 01000000',
      `09 01 0300 000000000000 ${rss}`,
      '06 00 0a000000 64000000',
      '06 01 05000000 32000000',
      '06 02 0200 0000 07000000 08000000',
    ];
    for (const command of commands) expect(from.control(hex(command)), command).toBe(0);
    const settings = (id: number): string[] =>
      bench.sriov.members[id]!.parts()
        .filter(({ type }) => type === PART.CVQ)
        .map(({ selector, value }) => `${text(selector)} ${text(value)}`);
    const before = settings(1);
    expect(before.map((one) => one.slice(0, 4))).toEqual(['0401', '0402', '0700', '0600', '0601', '0602', '0901']);
    move(bench);
    expect(settings(2)).toEqual(before);
    // What the driver may still do with them: the context is there once.
    expect(to.control(hex(commands[3]!))).toBe(1);
    expect(to.control(hex('09 03 0300'))).toBe(0);
    // Queues and contexts that there are not, twice, or with bytes too few or too many.
    bench.mode(2, 1);
    const context = `0300 3700 ${rss}`;
    for (const [code, value] of [
      ['0602', '0400 0000 07000000 08000000'],
      ['0602', '0000 0000 07000000'],
      ['0901', '0300'],
      ['0901', context.replace('0300', '0000')],
      ['0901', context.replace('3700', '3800')],
      ['0901', `${context} 00`],
      ['0901', `${context} ${context}`],
      ['0401', `${rss} 00`],
      ['0700', '00000080'],
    ] as const)
      expect(bench.set(2, part(PART.CVQ, join(hex(code), new Uint8Array(6)), hex(value))), value).toBe(INVALID.FIELD);
    expect(bench.set(2, part(PART.CVQ, hex('0901 000000000000'), hex(context)))).toBe(OK);
  });

  test('what comes of another vendor’s device: no part says where it stood, and the split ring does', () => {
    const { bench, from, to } = pair([]);
    from.start([0, 1, 4]);
    for (let n = 0; n < 5; n++) from.rings.post();
    expect(from.receive([frameOf(60)])).toHaveLength(1);
    bench.mode(1, 1);
    const foreign = decodeParts(bench.get(1))!.filter(({ type }) => type < 0x600);
    bench.mode(2, 1);
    const parts = join(
      ...foreign.map(({ type, selector, value, isOptional }) => part(type, selector, value, isOptional ? OPTIONAL : 0)),
    );
    expect(bench.set(2, parts)).toBe(OK);
    bench.mode(2, 0);
    expect(to.receive([frameOf(60), frameOf(61)])).toEqual([72, 73]);
  });

  test('a packed ring without that part is a device that needs a reset, and says why', () => {
    const { bench, from, to } = pair([VIRTIO_F.RING_PACKED]);
    from.start([0, 1, 4]);
    bench.mode(1, 1);
    bench.mode(2, 1);
    const foreign = decodeParts(bench.get(1))!.filter(({ type }) => type < 0x600);
    bench.set(2, join(...foreign.map(({ type, selector, value }) => part(type, selector, value))));
    expect(bench.mode(2, 0).outcome).toBe(OK);
    expect(to.face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
    expect(to.face.device.resetReason).toBe(
      'queue 0 cannot be restored: where the device stood in the ring is not known',
    );
    to.step();
    expect(to.face.takeInterrupts().config).toBe(true);
  });

  test('a device that runs takes over another life whole: nothing of its own is left', () => {
    const { bench, from, to } = pair([]);
    from.start([0, 1, 4]);
    to.rings = new DriverRings(bench.guest, bench.ram, ALL);
    to.start([0, 1, 2, 3, 4]);
    for (const command of ['00 01 01', '02 00 0500', '04 00 0200']) expect(to.control(hex(command))).toBe(0);
    to.rings = from.rings;
    move(bench);
    expect(bench.sriov.members[2]!.parts()).toEqual(bench.sriov.members[1]!.parts());
    from.rings.post();
    expect(to.receive([frameOf(60)])).toHaveLength(1);
    // And to a life that has not begun.
    bench.mode(2, 1);
    expect(bench.set(2, join(part(PART.DRV, none, new Uint8Array(16)), status(0)))).toBe(INVALID.FIELD);
    const off = [0, 1, 4].map((index) =>
      part(PART.VQ, le(index, 2), join(le(256, 2), le(0xffff, 2), new Uint8Array(28))).slice(),
    );
    off[2]!.set(le(64, 2), 16);
    expect(bench.set(2, join(part(PART.DRV, none, new Uint8Array(16)), status(0), ...off))).toBe(OK);
    bench.mode(2, 0);
    expect(to.face.status()).toBe(0);
  });

  test('queues that lie nowhere in the destination’s memory', () => {
    const { bench, from, to } = pair([]);
    from.start([0, 1]);
    bench.mode(1, 1);
    bench.mode(2, 1);
    const queue = join(le(16, 2), le(0, 2), le(1, 4), le(0x7_0000_0000, 8), le(0x7_0000_0000, 8), le(0x7_0000_0000, 8));
    expect(bench.set(2, bench.get(1))).toBe(OK);
    expect(bench.set(2, part(PART.VQ, le(1, 2), queue))).toBe(OK);
    expect(bench.mode(2, 0).outcome).toBe(OK);
    expect(to.face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
    expect(to.face.device.resetReason).toContain('queue 1 cannot be restored');
  });

  test('FAILED, DEVICE_NEEDS_RESET and SUSPEND go with it', () => {
    for (const bits of [S.FAILED, S.SUSPEND]) {
      const { bench, from, to } = pair([VIRTIO_F.SUSPEND]);
      from.start([0, 1, 4]);
      from.face.setStatus(from.face.status() | bits);
      move(bench);
      expect(to.face.status()).toBe(from.face.status());
      expect(to.face.status() & bits).toBe(bits);
      expect(to.face.readCommon(COMMON.configMsixVector, 2)).toBe(0);
    }
    const { bench, from, to } = pair([]);
    from.start([0, 1, 4]);
    from.face.device.needsReset('a test');
    move(bench);
    expect(to.face.status()).toBe(from.face.status());
  });

  test('dev.admin.device-parts.25: a reset of the member ends what was set, and all parts are as at first', () => {
    const { bench, from, to } = pair([]);
    bench.mode(2, 1);
    bench.run(OP.CREATE, SRIOV, 2, join(objectHeader(0, 2), le(0, 8), le(GET, 8)));
    const fresh = text(bench.get(2));
    from.start([0, 1, 4]);
    bench.mode(1, 1);
    expect(bench.set(2, bench.get(1))).toBe(OK);
    expect(text(bench.get(2))).not.toBe(fresh);
    to.face.setStatus(0);
    expect(text(bench.get(2))).toBe(fresh);
    // By a function-level reset likewise, which ends the stop as well.
    expect(bench.set(2, bench.get(1))).toBe(OK);
    to.face.virtio.pci.reset('function-level');
    expect(bench.sriov.members[2]!.isStopped).toBe(false);
    expect(text(bench.get(2))).toBe(fresh);
    expect(new MemberDevice(to.face.virtio).parts()).toHaveLength(decodeParts(hex(fresh))!.length);
  });
});
