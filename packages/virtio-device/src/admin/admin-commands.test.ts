import { BufferList } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { hex, join } from '../net/testing/frames.js';
import { COMMON } from '../testing/pci-face.js';
import { AdminBench, head, INVALID, le, OK, OP, objectData, SELF, SRIOV } from './testing/admin-bench.js';

/** CREATE, MODIFY, QUERY, DESTROY, and the capabilities: opcodes 7 to 13. */
const SELF_LIST = '833f000000000000';
/** Objects, parts and mode: opcodes 10 to 17. */
const SRIOV_LIST = '03fc030000000000';

const text = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const started = (): AdminBench => {
  const bench = new AdminBench();
  bench.addMember();
  bench.addMember();
  return bench.start();
};

describe('administration queues in the registers', () => {
  test('dev.pci.common-cfg.16,.17: admin_queue_index is behind num_queues, and both fit into 16 bits', () => {
    const bench = new AdminBench([], { queues: 3 }).start();
    const { face } = bench.owner;
    // rx, tx, control
    expect(face.readCommon(COMMON.numQueues, 2)).toBe(3);
    expect(face.readCommon(COMMON.adminQueueIndex, 2)).toBe(3);
    expect(face.readCommon(COMMON.adminQueueNum, 2)).toBe(3);
    expect([3, 4, 5, 6].map((index) => face.queueSize(index))).toEqual([16, 64, 64, 0]);
    expect(() => new AdminBench([], { queues: 0x1_0000 - 2 })).toThrow('admin.queues is 65534, want 1 to 65533');
  });

  test('without ADMIN_VQ there are no such queues', () => {
    const bench = new AdminBench();
    const rings = bench.owner.rings as { features: Uint32Array };
    rings.features = Uint32Array.of(0, 1, 0, 0);
    bench.start();
    const { face } = bench.owner;
    expect(face.readCommon(COMMON.adminQueueIndex, 2)).toBe(0);
    expect(face.readCommon(COMMON.adminQueueNum, 2)).toBe(0);
    expect(face.queueSize(3)).toBe(0);
    expect(face.enabled(3)).toBe(0);
  });
});

describe('which commands there are', () => {
  test('dev.admin.commands.5 dev.admin.commands.14 dev.admin.caps.1 dev.admin.legacy.1: lists by group, without legacy', () => {
    const bench = started();
    expect(bench.run(OP.LIST_QUERY, SELF, 0)).toEqual({ outcome: OK, written: 16, result: hex(SELF_LIST) });
    expect(bench.run(OP.LIST_QUERY, SRIOV, 0)).toEqual({ outcome: OK, written: 16, result: hex(SRIOV_LIST) });
  });

  test('dev.admin.commands.13: using commands of one group says nothing of another', () => {
    const bench = started();
    expect(bench.run(OP.LIST_USE, SELF, 0, hex(SELF_LIST)).outcome).toBe(OK);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(OK);
    expect(bench.run(OP.MODE, SRIOV, 1).outcome).toBe(INVALID.OPCODE);
  });

  test('AD-01 dev.admin.commands.15,.17,.18: before a list is used there are only the two that make one', () => {
    const bench = started();
    for (let opcode = 2; opcode <= 0x12; opcode++) {
      expect(bench.run(opcode, SELF, 0).outcome).toBe(INVALID.OPCODE);
      expect(bench.run(opcode, SRIOV, 1).outcome).toBe(INVALID.OPCODE);
    }
    expect(bench.run(OP.LIST_QUERY, SELF, 0).outcome).toBe(OK);
  });

  test('dev.admin.commands.16: what was used last is what counts', () => {
    const bench = started();
    expect(bench.run(OP.LIST_USE, SELF, 0, hex('8300000000000000')).outcome).toBe(OK);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(OK);
    expect(bench.run(OP.CAP_GET, SELF, 0, le(0, 8)).outcome).toBe(INVALID.OPCODE);
    expect(bench.run(OP.LIST_USE, SELF, 0, hex('0301000000000000')).outcome).toBe(OK);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(INVALID.OPCODE);
    expect(bench.run(OP.CAP_GET, SELF, 0, le(0, 8)).outcome).toBe(OK);
  });

  test('AD-07 dev.admin.commands.6: a list with what was not offered is refused, and the old one stays', () => {
    const bench = started();
    bench.run(OP.LIST_USE, SELF, 0, hex('8300000000000000'));
    for (const list of ['8700000000000000', '8300000000000080', '8300000000000000 0100000000000000'])
      expect(bench.run(OP.LIST_USE, SELF, 0, hex(list)).outcome, list).toBe(INVALID.FIELD);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(OK);
    expect(bench.run(OP.CAP_GET, SELF, 0, le(0, 8)).outcome).toBe(INVALID.OPCODE);
    // Words of zeros behind it are allowed.
    expect(bench.run(OP.LIST_USE, SELF, 0, hex('8300000000000000 0000000000000000')).outcome).toBe(OK);
  });

  test('AD-08: a list without the list commands holds until reset', () => {
    const bench = started();
    expect(bench.run(OP.LIST_USE, SELF, 0, hex('8000000000000000')).outcome).toBe(OK);
    expect(bench.run(OP.LIST_QUERY, SELF, 0).outcome).toBe(INVALID.OPCODE);
    expect(bench.run(OP.LIST_USE, SELF, 0, hex(SELF_LIST)).outcome).toBe(INVALID.OPCODE);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(OK);
  });

  test('dev.admin.commands.15,.19,.21,.22,.23: a reset ends the list; the same ones are offered and taken again', () => {
    const bench = started().use(SELF, SRIOV);
    bench.owner.rings.queues.length = 0;
    bench.start();
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(INVALID.OPCODE);
    expect(bench.run(OP.LIST_USE, SELF, 0, hex(SELF_LIST)).outcome).toBe(OK);
    expect(bench.run(OP.LIST_USE, SRIOV, 0, hex(SRIOV_LIST)).outcome).toBe(OK);
    expect(text(bench.run(OP.LIST_QUERY, SELF, 0).result)).toBe(SELF_LIST);
  });
});

describe('what is looked at first', () => {
  test('AD-02 dev.admin.commands.1,.2: group types 2 to 65535 are refused', () => {
    const bench = started().use(SELF, SRIOV);
    for (const group of [2, 3, 0x100, 0x8000, 0xffff])
      for (const opcode of [OP.LIST_QUERY, OP.LIST_USE, OP.MODE])
        expect(bench.run(opcode, group, 1).outcome, `${group}`).toBe(INVALID.GROUP);
  });

  test('AD-03 dev.admin.commands.3: opcodes that nobody offered are refused', () => {
    const bench = started().use(SELF, SRIOV);
    for (const opcode of [2, 6, 0x12, 0x7fff, 0x8000, 0xffff]) {
      expect(bench.run(opcode, SELF, 0).outcome).toBe(INVALID.OPCODE);
      expect(bench.run(opcode, SRIOV, 1).outcome).toBe(INVALID.OPCODE);
    }
  });

  test('AD-04 dev.admin.commands.1,.2,.3,.4: a bad group before a bad opcode before a bad member', () => {
    const bench = started().use(SELF, SRIOV);
    expect(bench.run(0x7fff, 2, 99).outcome).toBe(INVALID.GROUP);
    expect(bench.run(0x7fff, SRIOV, 99).outcome).toBe(INVALID.OPCODE);
    expect(bench.run(OP.MODE, SRIOV, 99).outcome).toBe(INVALID.MEMBER);
    expect(bench.run(OP.CAP_LIST, SELF, 1).outcome).toBe(INVALID.MEMBER);
  });

  test('AD-05 dev.admin.commands.25: without VF Enable there is no SR-IOV group, not even for its lists', () => {
    const bench = started().use(SELF, SRIOV);
    bench.sriov.isEnabled = false;
    for (const opcode of [OP.LIST_QUERY, OP.LIST_USE, OP.MODE, 0x7fff])
      expect(bench.run(opcode, SRIOV, 1).outcome).toBe(INVALID.GROUP);
    expect(bench.run(OP.LIST_QUERY, SELF, 0).outcome).toBe(OK);
    bench.sriov.isEnabled = true;
    expect(bench.run(OP.MODE, SRIOV, 1).outcome).toBe(OK);
  });

  test('AD-06 dev.admin.commands.4,.26: members outside of 1 to NumVFs are refused, at all of 64 bits', () => {
    const bench = started().use(SRIOV);
    for (const member of [0n, 3n, 1n << 16n, (1n << 32n) + 1n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n])
      expect(bench.run(OP.MODE, SRIOV, member).outcome, `${member}`).toBe(INVALID.MEMBER);
    for (const member of [1, 2]) expect(bench.run(OP.MODE, SRIOV, member).outcome).toBe(OK);
    // A virtual function that the owner cannot find.
    bench.sriov.members[2] = undefined;
    expect(bench.run(OP.MODE, SRIOV, 2).outcome).toBe(INVALID.MEMBER);
  });

  test('AD-27 dev.admin.commands.25: a device without SR-IOV owns no such group', () => {
    const bench = new AdminBench();
    const plain = bench.addMember([41], { admin: {} });
    plain.start([3]);
    const ask = (bytes: Uint8Array): string => {
      const at = plain.rings.ask(3, bytes, 64);
      plain.face.kick(3);
      plain.step();
      plain.rings.collect(3);
      return text(bench.guest.read(at, 4));
    };
    expect(ask(head(OP.LIST_QUERY, SRIOV, 0))).toBe('16000400');
    expect(ask(head(OP.MODE, SRIOV, 1))).toBe('16000400');
    expect(ask(head(OP.LIST_QUERY, SELF, 0))).toBe('00000000');
  });

  test('AD-28: a legacy access past the window is refused as any legacy access is', () => {
    const bench = started().use(SELF, SRIOV);
    for (const opcode of [2, 3, 4, 5])
      expect(bench.run(opcode, SRIOV, 1, hex('ff00000000000000 0102030405060708')).outcome).toBe(INVALID.OPCODE);
  });

  test('dev.admin.commands.7,.8,.9: a command that is answered EINVAL changes nothing', () => {
    const bench = started().use(SELF, SRIOV);
    const { device } = bench.owner.face;
    const member = bench.sriov.members[1]!;
    const before = [device.status, JSON.stringify(member.parts()), member.isStopped];
    for (const [opcode, group, data] of [
      [OP.MODE, SRIOV, 'ff'],
      [OP.LIST_USE, SRIOV, 'ffffffffffffffff'],
      [OP.CREATE, SRIOV, '0900'],
      [0x99, SRIOV, ''],
    ] as const)
      expect(bench.run(opcode, group, 1, hex(data)).outcome).toMatch(/^22\./);
    expect([device.status, JSON.stringify(member.parts()), member.isStopped]).toEqual(before);
    expect(bench.run(OP.MODE, SRIOV, 1).outcome).toBe(OK);
  });
});

describe('buffers', () => {
  test('AD-09 dev.admin.vq.1,.4: what the driver did not give of a command is zero', () => {
    const bench = started();
    // Opcode 0 of group 0: one byte of zero is a whole LIST_QUERY.
    for (const length of [1, 7, 15, 16, 23]) {
      const at = bench.post(head(OP.LIST_QUERY, SELF, 0).slice(0, length), 64);
      bench.owner.step();
      expect(bench.answer(at), `${length}`).toEqual({ outcome: OK, written: 16, result: hex(SELF_LIST) });
    }
    // LIST_USE without a list uses nothing; a list that is cut in its first byte is one of 8 bits.
    const cut = bench.post(join(head(OP.LIST_USE, SELF, 0), hex('83')), 64);
    bench.owner.step();
    expect(bench.answer(cut).outcome).toBe(OK);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(OK);
    expect(bench.run(OP.LIST_USE, SELF, 0).outcome).toBe(OK);
    expect(bench.run(OP.CAP_LIST, SELF, 0).outcome).toBe(INVALID.OPCODE);
  });

  test('AD-10 dev.admin.vq.1,.4,.6: of a longer answer as much is written as there is room, and said so', () => {
    const bench = started();
    for (const room of [1, 2, 3, 4, 8, 12]) {
      const at = bench.post(head(OP.LIST_QUERY, 7, 0), room);
      const before = bench.guest.snapshot();
      bench.owner.step();
      expect(bench.answer(at).written).toBe(Math.min(room, 8));
      expect(text(bench.guest.read(at, Math.min(room, 8)))).toBe('1600040000000000'.slice(0, 2 * Math.min(room, 8)));
      const { device } = bench.owner.rings.places[bench.admin]!;
      expect(
        bench.guest.changesOutside(before, [
          { gpa: at, length: room },
          { gpa: device, length: 0x88 },
        ]),
      ).toEqual([]);
    }
    // No room at all: nothing is begun.
    bench.post(join(head(OP.LIST_USE, SELF, 0), hex('8000000000000000')), 0);
    bench.owner.step();
    expect(bench.owner.rings.collect(bench.admin)).toEqual([0]);
    expect(bench.run(OP.LIST_QUERY, SELF, 0).outcome).toBe(OK);
  });

  test('AD-11 dev.admin.vq.2,.3,.4: longer parts than needed are ignored from where the structure ends', () => {
    const bench = started();
    const long = new Uint8Array(0x2000).fill(0xff);
    expect(bench.run(OP.LIST_QUERY, SELF, 0, long)).toEqual({ outcome: OK, written: 16, result: hex(SELF_LIST) });
    bench.use(SELF);
    const answer = bench.run(OP.CAP_GET, SELF, 0, join(le(0, 8), long));
    // Two bytes, and zeros up to a multiple of 64 bits.
    expect(answer).toEqual({ outcome: OK, written: 16, result: hex('ffff000000000000') });
    expect(bench.run(OP.CAP_SET, SELF, 0, join(hex('0000 000000000000 0101'), long)).outcome).toBe(OK);
  });

  test('dev.admin.vq.3,.5,.6 dev.admin.commands.5: an answer is whole words, its reserved bytes zeros', () => {
    const bench = started();
    const at = bench.post(head(OP.LIST_QUERY, SELF, 0), 64);
    bench.owner.step();
    expect(bench.answer(at).written % 8).toBe(0);
    expect(text(bench.guest.read(at, 16))).toBe(`0000000000000000${SELF_LIST}`);
  });

  test('AD-12: the answer may lie where the command is: it was copied first', () => {
    const bench = started().use(SELF, SRIOV);
    const { rings, face } = bench.owner;
    // DRIVER_CAP_SET of DEV_PARTS, one object of either kind; the answer covers everything up to the data.
    const bytes = join(head(OP.CAP_SET, SELF, 0), hex('0000 000000000000 0101'));
    const at = rings.write(bytes);
    rings.queues[bench.admin]!.add(new BufferList(2).addReadable(at, bytes.length).addWritable(at, 32));
    rings.queues[bench.admin]!.publish();
    face.kick(bench.admin);
    bench.owner.step();
    expect(bench.answer(at).outcome).toBe(OK);
    expect(bench.run(OP.CREATE, SRIOV, 1, objectData(0, 0, le(0, 8))).outcome).toBe(OK);
    expect(bench.run(OP.CREATE, SRIOV, 1, objectData(0, 1, le(0, 8))).outcome).toBe('28.6');
  });

  test('dev.admin.vq.7: commands of one queue in their order', () => {
    const bench = started();
    const posts = [
      bench.post(join(head(OP.LIST_USE, SELF, 0), hex(SELF_LIST)), 8),
      bench.post(join(head(OP.CAP_LIST, SELF, 0)), 16),
      bench.post(join(head(OP.LIST_USE, SELF, 0), hex('0300000000000000')), 8),
      bench.post(join(head(OP.CAP_LIST, SELF, 0)), 16),
    ];
    bench.owner.step();
    expect(bench.owner.rings.collect(bench.admin)).toEqual([8, 16, 8, 8]);
    expect(posts.map((at) => text(bench.guest.read(at, 4)))).toEqual(['00000000', '00000000', '00000000', '16000200']);
  });

  test('commands of a faulty chain come back with length 0, and the next one is carried out', () => {
    const bench = started();
    bench.owner.rings.queues[bench.admin]!.addReadable(0xdead_0000, 24);
    bench.owner.rings.queues[bench.admin]!.publish();
    bench.owner.face.kick(bench.admin);
    bench.owner.step();
    expect(bench.owner.rings.collect(bench.admin)).toEqual([0]);
    expect(bench.run(OP.LIST_QUERY, SELF, 0).outcome).toBe(OK);
  });
});
