import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join } from '../net/testing/frames.js';
import { S } from '../testing/device-bench.js';
import { COMMON } from '../testing/pci-face.js';
import { INVALID, le, OK, OP, objectHeader, SRIOV } from './testing/admin-bench.js';
import {
  GET,
  none,
  OPTIONAL,
  PART,
  PartsBench,
  part,
  partValue,
  status,
  text,
  typesIn,
} from './testing/parts-bench.js';

const F = VIRTIO_NET_F;
const NO_MEMORY = '12.6';

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
