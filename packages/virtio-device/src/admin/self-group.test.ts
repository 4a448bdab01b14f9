import { describe, expect, test } from 'vitest';
import { hex } from '../net/testing/frames.js';
import { AdminBench, INVALID, le, OK, OP, objectData, objectHeader, SELF, SRIOV } from './testing/admin-bench.js';

const NXIO = '6.3';
const NO_SPACE = '28.6';
const EXISTS = '17.3';
const BUSY = '16.3';
/** Capability ids by hand, virtio 1.4 §2.12.1.2, §5.1.6. */
const CAP = { PARTS: 0, FF_RESOURCE: 0x800, FF_SELECTOR: 0x801, FF_ACTION: 0x802 } as const;

const capability = (id: number, data: string): Uint8Array => hex(`${hexOf(le(id, 8))}${data}`);
const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const started = (): AdminBench => {
  const bench = new AdminBench();
  bench.addMember();
  bench.addMember();
  return bench.start().use(SELF, SRIOV);
};
/** Parts objects: to get (0), to set (1). */
const create = (bench: AdminBench, id: number, kind = 0, member = 1): string =>
  bench.run(OP.CREATE, SRIOV, member, objectData(0, id, le(kind, 8))).outcome;

describe('capabilities', () => {
  test('dev.admin.caps.1 dev.net.flow-filter.1: which there are, as a bitmap up to the highest', () => {
    const bench = started();
    const { outcome, result } = bench.run(OP.CAP_LIST, SELF, 0);
    expect(outcome).toBe(OK);
    // 0x800 to 0x802: three bits of word 32
    expect(result).toHaveLength(33 * 8);
    expect(hexOf(result)).toBe(`01${'00'.repeat(255)}0700000000000000`);
  });

  test('dev.admin.caps.2,.10: limits up to the device’s, none before they are set', () => {
    const bench = started();
    expect(bench.run(OP.CAP_GET, SELF, 0, capability(CAP.PARTS, '')).result).toEqual(hex('ffff000000000000'));
    expect(create(bench, 0)).toBe(NO_SPACE);
    for (const limits of ['ffff', '0101', '0000', '0201'])
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, limits)).outcome).toBe(OK);
    expect([create(bench, 0), create(bench, 1), create(bench, 2), create(bench, 2, 1)]).toEqual([OK, OK, NO_SPACE, OK]);
  });

  test('dev.admin.caps.3,.4 dev.admin.commands.7: bits up to the device’s; more than that is EINVAL, and changes nothing', () => {
    const bench = started();
    const device = bench.run(OP.CAP_GET, SELF, 0, capability(CAP.FF_SELECTOR, ''));
    // ETH, 14 bytes, with PARTIAL_MASK; IPV4 is next
    expect(hexOf(device.result)).toMatch(/^0600000000000000 ?01010000 ?0e000000 ?ffffffffffffffffffffffffffff ?0201/);
    const eth = (flags: string, mask: string): string => `01 00000000000000 01${flags}0000 0e000000 ${mask}`;
    const all = 'ff'.repeat(14);
    for (const data of [eth('01', all), eth('00', all), eth('01', `${'00'.repeat(12)}ffff`), '00 00000000000000'])
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.FF_SELECTOR, data)).outcome, data).toBe(OK);
    for (const data of [
      eth('02', all),
      eth('01', all).replace('0e000000', '0f000000'),
      eth('01', all).replace('0e000000', '0d000000'),
      `02 00000000000000 01000000 0e000000 ${all} 01000000 0e000000 ${all}`,
      `01 00000000000000 07000000 0e000000 ${all}`,
      `01 00000000000000 00000000 00000000`,
      'ff',
    ])
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.FF_SELECTOR, data)).outcome, data).toBe(INVALID.FIELD);
    const limits = '40000000 40000000 00010000 00010000 ff 03 0000';
    expect(bench.run(OP.CAP_GET, SELF, 0, capability(CAP.FF_RESOURCE, '')).result).toEqual(hex(`${limits} 00000000`));
    expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.FF_RESOURCE, limits)).outcome).toBe(OK);
    for (const more of ['41000000', '40000000 41000000', '40000000 40000000 01010000', `${limits.slice(0, -10)}ff 04`])
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.FF_RESOURCE, more)).outcome, more).toBe(INVALID.FIELD);
    expect(bench.run(OP.CAP_GET, SELF, 0, capability(CAP.FF_ACTION, '')).result).toEqual(
      hex('0200000000000000 0102000000000000'),
    );
    for (const actions of ['02 00000000000000 0102', '01 00000000000000 02', '00'])
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.FF_ACTION, actions)).outcome).toBe(OK);
    for (const actions of ['01 00000000000000 03', '02 00000000000000 0201', '02 00000000000000 0101', 'ff', '01'])
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.FF_ACTION, actions)).outcome).toBe(INVALID.FIELD);
  });

  test('dev.admin.caps.5,.6: they are the self group’s alone', () => {
    const bench = started();
    for (const opcode of [OP.CAP_LIST, OP.CAP_GET, OP.CAP_SET])
      expect(bench.run(opcode, SRIOV, 1, capability(CAP.PARTS, '0101')).outcome).toBe(INVALID.OPCODE);
  });

  test('dev.admin.caps.7: while there are objects of a capability it stays as it is', () => {
    const bench = started();
    bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, '0101'));
    create(bench, 0);
    expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, '0000')).outcome).toBe(BUSY);
    expect(create(bench, 0, 1)).toBe(EXISTS);
    bench.run(OP.DESTROY, SRIOV, 1, objectHeader(0, 0));
    expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, '0000')).outcome).toBe(OK);
    expect(create(bench, 0)).toBe(NO_SPACE);
  });

  test('dev.admin.caps.8: an id that is not in the list is ENXIO', () => {
    const bench = started();
    for (const id of [1, 0x7ff, 0x803, 0x1000, 0xffff]) {
      expect(bench.run(OP.CAP_GET, SELF, 0, capability(id, '')).outcome).toBe(NXIO);
      expect(bench.run(OP.CAP_SET, SELF, 0, capability(id, '0101')).outcome).toBe(NXIO);
    }
  });

  test('dev.admin.caps.9 dev.admin.resource-objs.12: a reset takes what the driver set, and all objects', () => {
    const bench = started();
    bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, '0101'));
    expect(create(bench, 0)).toBe(OK);
    bench.owner.rings.queues.length = 0;
    bench.start().use(SELF, SRIOV);
    expect(create(bench, 0)).toBe(NO_SPACE);
    bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, '0101'));
    expect(bench.run(OP.QUERY, SRIOV, 1, objectData(0, 0, hex(''))).outcome).toBe(NXIO);
    expect(create(bench, 0)).toBe(OK);
  });
});

describe('resource objects', () => {
  const ready = (limits = '0202'): AdminBench => {
    const bench = started();
    bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, limits));
    return bench;
  };
  const about = (bench: AdminBench, opcode: number, id: number, member = 1): string =>
    bench.run(opcode, SRIOV, member, objectData(0, id, le(0, 8))).outcome;

  test('AD-22 dev.admin.resource-objs.3,.5,.6,.9: as many as the driver asked for, under any id, then ENOSPC', () => {
    const bench = ready('0300');
    expect([create(bench, 2), create(bench, 0), create(bench, 1)]).toEqual([OK, OK, OK]);
    expect([create(bench, 3), create(bench, 0xffff_ffff)]).toEqual([NO_SPACE, NO_SPACE]);
    for (const id of [0, 1, 2]) expect(about(bench, OP.QUERY, id)).toBe(OK);
    expect(about(bench, OP.DESTROY, 1)).toBe(OK);
    expect(create(bench, 3)).toBe(INVALID.FIELD);
    expect(create(bench, 1)).toBe(OK);
  });

  test('AD-23 dev.admin.resource-objs.1,.2: one id twice is EEXIST, an object that is not there ENXIO', () => {
    const bench = ready();
    for (const opcode of [OP.MODIFY, OP.QUERY, OP.DESTROY]) expect(about(bench, opcode, 1)).toBe(NXIO);
    expect(create(bench, 1)).toBe(OK);
    expect([create(bench, 1), create(bench, 1, 1), create(bench, 1, 0, 2)]).toEqual([EXISTS, EXISTS, EXISTS]);
    expect(about(bench, OP.DESTROY, 1)).toBe(OK);
    expect(about(bench, OP.DESTROY, 1)).toBe(NXIO);
  });

  test('dev.admin.resource-objs.10,.11: QUERY says what was set last; MODIFY that fails leaves it', () => {
    const bench = ready();
    const query = (): string => hexOf(bench.run(OP.QUERY, SRIOV, 1, objectData(0, 0, hex(''))).result);
    create(bench, 0);
    expect(query()).toBe('0000000000000000');
    expect(bench.run(OP.MODIFY, SRIOV, 1, objectData(0, 0, hex('02'))).outcome).toBe(INVALID.FIELD);
    expect(query()).toBe('0000000000000000');
    expect(bench.run(OP.MODIFY, SRIOV, 1, objectData(0, 0, hex('01 ffffffffffffff'))).outcome).toBe(OK);
    expect(query()).toBe('0100000000000000');
  });

  test('an object for one member is nothing to another', () => {
    const bench = ready();
    create(bench, 0, 0, 1);
    for (const opcode of [OP.MODIFY, OP.QUERY, OP.DESTROY, OP.GET, OP.METADATA])
      expect(about(bench, opcode, 0, 2)).toBe(NXIO);
    expect(about(bench, OP.QUERY, 0, 1)).toBe(OK);
  });

  test('objects of types that there are not, and of those in the other group', () => {
    const bench = ready();
    for (const type of [1, 0x1ff, 0x200, 0x202, 0x203, 0xffff])
      expect(bench.run(OP.CREATE, SRIOV, 1, objectData(type, 0, le(0, 8))).outcome).toBe(INVALID.FIELD);
    for (const type of [0, 1, 0x1ff, 0x203, 0xffff])
      expect(bench.run(OP.CREATE, SELF, 0, objectData(type, 0, le(0, 8))).outcome).toBe(INVALID.FIELD);
  });

  test('objects of a virtual function go with it', () => {
    const bench = ready();
    create(bench, 0, 0, 2);
    bench.sriov.members.pop();
    expect(about(bench, OP.QUERY, 0, 2)).toBe(INVALID.MEMBER);
    expect(create(bench, 0, 0, 1)).toBe(OK);
    bench.sriov.isEnabled = false;
    expect(bench.run(OP.CAP_SET, SELF, 0, capability(CAP.PARTS, '0101')).outcome).toBe(OK);
  });
});
