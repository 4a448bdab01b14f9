import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { NET_DROP } from '../net/net-drop.js';
import { frameOf, hex, join } from '../net/testing/frames.js';
import { S } from '../testing/device-bench.js';
import { COMMON } from '../testing/pci-face.js';
import { AdminBench, head, INVALID, le, OK, OP, objectHeader, SELF, SRIOV } from './testing/admin-bench.js';
import type { NetFunction } from './testing/net-function.js';

const F = VIRTIO_NET_F;
const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;

/** An owner and one member that runs. */
function running(features: readonly number[] = [F.CTRL_VQ, F.STATUS]): { bench: AdminBench; member: NetFunction } {
  const bench = new AdminBench([], { queues: 2 });
  const member = bench.addMember(features);
  bench.start([], 2).use(SELF, SRIOV);
  member.start([0, 1, 2]);
  bench.steppable.push(member);
  return { bench, member };
}

/** DEV_MODE_SET, made available and not waited for. */
const postMode = (bench: AdminBench, flags: number, queue = 0): number =>
  bench.post(join(head(OP.MODE, SRIOV, 1), le(flags, 8)), 8, queue);

describe('a stopped member', () => {
  test('dev.admin.device-parts.10,.18,.19: touches no memory and interrupts for nothing', () => {
    const { bench, member } = running();
    for (let n = 0; n < 4; n++) member.rings.post();
    expect(bench.mode(1, 1).outcome).toBe(OK);
    member.face.takeInterrupts();
    member.rings.send(frameOf(60));
    const before = bench.guest.snapshot();
    member.face.kick(1);
    member.backend.deliver(frameOf(60));
    member.device.setLink(false);
    for (let n = 0; n < 3; n++) expect(member.step()).toBe(0);
    expect(bench.guest.changesOutside(before, [])).toEqual([]);
    expect(member.face.takeInterrupts()).toEqual({ used: false, config: false });
    // A frame that another device brings in the middle of its own burst, too.
    member.backend.bring(frameOf(60));
    expect(bench.guest.changesOutside(before, [{ gpa: 0x100_0000, length: 0x40_0000 }])).toEqual([]);
    expect(member.device.drops[NET_DROP.RX_STOPPED]).toBe(1);
  });

  test('dev.admin.device-parts.13,.14: takes notifications, and sees to them when it goes on', () => {
    const { bench, member } = running();
    bench.mode(1, 1);
    member.rings.send(frameOf(60));
    member.face.kick(1);
    member.device.setLink(false);
    expect(bench.mode(1, 0).outcome).toBe(OK);
    member.step();
    expect(member.rings.collect(1)).toHaveLength(1);
    expect(member.face.takeInterrupts()).toEqual({ used: true, config: true });
  });

  test('dev.admin.device-parts.11,.12 AD-25: what it had taken is used and told before the command ends', () => {
    const { bench, member } = running([F.CTRL_VQ, F.NOTF_COAL]);
    for (let n = 0; n < 8; n++) member.rings.post();
    // Notifications wait for a hundred packets, or a second.
    expect(member.control(hex('06 01 64000000 40420f00'))).toBe(0);
    member.face.takeInterrupts();
    expect(member.receive([frameOf(60), frameOf(60), frameOf(60)])).toHaveLength(3);
    expect(member.face.takeInterrupts().used).toBe(false);
    const at = postMode(bench, 1);
    bench.owner.step();
    // Its driver is told in the member's own step, and the owner's command waits for that.
    expect(bench.owner.rings.collect(bench.admin)).toEqual([]);
    expect(bench.owner.face.device.deadline()).toBeLessThan(Number.POSITIVE_INFINITY);
    member.step();
    expect(member.face.takeInterrupts().used).toBe(true);
    bench.owner.step();
    expect(bench.answer(at).outcome).toBe(OK);
    expect(bench.owner.face.device.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test('dev.admin.device-parts.15,.16: its registers and configuration space go on as ever', () => {
    const { bench, member } = running();
    const { face } = member;
    bench.mode(1, 1);
    expect(face.status()).toBe(RUNNING);
    expect(face.cfg(0, 4)).toBe(0x1041_1af4);
    expect([0, 1, 2].map((index) => face.enabled(index))).toEqual([1, 1, 1]);
    face.writeCommon(COMMON.configMsixVector, 2, 3);
    expect(face.readCommon(COMMON.configMsixVector, 2)).toBe(3);
    expect(face.config(0, 4)).toBe(0x1200_5452);
    // A device reset, and a whole start, which shows when it goes on.
    member.rings.queues.length = 0;
    member.start([0, 1, 2]);
    expect(face.status()).toBe(RUNNING);
    member.rings.send(frameOf(60));
    expect(member.step()).toBe(0);
    bench.mode(1, 0);
    member.step();
    expect(member.rings.collect(1)).toHaveLength(1);
  });

  test('dev.admin.device-parts.17: it says nothing of power management events', () => {
    const { bench, member } = running();
    bench.mode(1, 1);
    member.device.setLink(false);
    member.step();
    const { pci } = member.face.virtio;
    // Power management capability, PMCSR: PME_Status and PME_En.
    expect(pci.configRead(pci.capabilityAt(1) + 4, 2) & 0x8100).toBe(0);
  });

  test('dev.admin.device-parts.23,.24: stopping what is stopped and resuming what runs succeed', () => {
    const { bench, member } = running();
    for (const flags of [0, 0, 1, 1, 0, 0]) expect(bench.mode(1, flags).outcome).toBe(OK);
    member.rings.send(frameOf(60));
    member.face.kick(1);
    member.step();
    expect(member.rings.collect(1)).toHaveLength(1);
  });

  test('flags that there are not', () => {
    const { bench } = running();
    for (const flags of [2, 3, 0x80, 0xff]) expect(bench.mode(1, flags).outcome).toBe(INVALID.FIELD);
    expect(bench.sriov.members[1]!.isStopped).toBe(false);
  });

  test('a member whose driver never started it', () => {
    const bench = new AdminBench();
    const member = bench.addMember();
    bench.start().use(SRIOV);
    expect(bench.mode(1, 1).outcome).toBe(OK);
    member.start([0, 1]);
    member.rings.send(frameOf(60));
    member.face.kick(1);
    expect(member.step()).toBe(0);
    expect(bench.mode(1, 0).outcome).toBe(OK);
    member.step();
    expect(member.rings.collect(1)).toHaveLength(1);
  });
});

describe('a member that is in the middle of something', () => {
  /** Within a frame that the member sends: it is at work, and a reset is asked for by what the frame meets. */
  const midst = (member: NetFunction, call: () => void): void => {
    member.backend.onFrame = () => {
      member.backend.onFrame = undefined;
      call();
    };
    member.rings.send(frameOf(60));
    member.face.kick(1);
    member.step();
  };

  test('dev.admin.device-parts.20,.21,.22: commands wait for a reset, a function-level one, a power state', () => {
    for (const [change, status] of [
      [(member: NetFunction) => member.face.setStatus(0), 0],
      [(member: NetFunction) => member.face.virtio.pci.reset('function-level'), 0],
      // D3hot, from which the function comes back as it was.
      [({ face: { virtio } }: NetFunction) => virtio.pci.configWrite(virtio.pci.capabilityAt(1) + 4, 2, 3), RUNNING],
    ] as const) {
      const { bench, member } = running();
      bench.run(OP.CAP_SET, SELF, 0, hex('0000 000000000000 0202'));
      bench.run(OP.CREATE, SRIOV, 1, join(objectHeader(0, 1), le(0, 8), le(1, 8)));
      const answered: number[] = [];
      let at = 0;
      let set = 0;
      midst(member, () => {
        change(member);
        at = postMode(bench, 1);
        set = bench.post(join(head(OP.SET, SRIOV, 1), objectHeader(0, 1)), 8, 1);
        bench.owner.step();
        answered.push(...bench.owner.rings.collect(bench.admin), ...bench.owner.rings.collect(bench.admin + 1));
        expect(member.face.device.status).toBe(RUNNING);
      });
      expect(answered).toEqual([]);
      member.step();
      bench.owner.step();
      expect(bench.answer(at).outcome).toBe(OK);
      expect(bench.answer(set, 1).outcome).toBe(OK);
      expect(member.face.device.status).toBe(status);
      expect(bench.sriov.members[1]!.isStopped).toBe(true);
    }
  });

  test('AD-26 dev.admin.commands.10: VF Enable is cleared while a command waits: it fails, and the member is left alone', () => {
    const { bench, member } = running();
    let at = 0;
    midst(member, () => {
      at = postMode(bench, 1);
      bench.owner.step();
      bench.sriov.isEnabled = false;
    });
    bench.owner.step();
    expect(bench.answer(at).outcome).toBe(INVALID.GROUP);
    expect(bench.sriov.members[1]!.isStopped).toBe(false);
    expect(bench.run(OP.LIST_QUERY, SELF, 0).outcome).toBe(OK);
  });

  test('AD-13 dev.admin.vq.8: two queues with commands for one member, neither of which stops the other', () => {
    const { bench, member } = running();
    let first = 0;
    let second = 0;
    let list = 0;
    midst(member, () => {
      first = postMode(bench, 1);
      second = bench.post(join(head(OP.MODE, SRIOV, 1), le(0, 8)), 8, 1);
      bench.owner.step();
      list = bench.post(head(OP.LIST_QUERY, SELF, 0), 8, 1);
    });
    for (let n = 0; n < 4; n++) {
      bench.owner.step();
      member.step();
    }
    expect(bench.answer(first).outcome).toBe(OK);
    expect(bench.owner.rings.collect(bench.admin + 1)).toEqual([8, 8]);
    expect([second, list].map((place) => bench.guest.read(place, 2)[0])).toEqual([0, 0]);
  });

  test('a command behind one that waits is not carried out before it', () => {
    const { bench, member } = running();
    let answered: number[] = [];
    midst(member, () => {
      postMode(bench, 1);
      bench.post(head(OP.LIST_QUERY, SELF, 0), 8);
      for (let n = 0; n < 3; n++) bench.owner.step();
      answered = bench.owner.rings.collect(bench.admin);
    });
    expect(answered).toEqual([]);
    bench.owner.step();
    member.step();
    bench.owner.step();
    expect(bench.owner.rings.collect(bench.admin)).toEqual([8, 8]);
  });
});
