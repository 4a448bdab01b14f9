import { SENT } from '@ringwire/guest-drivers';
import { PinAccount } from '@ringwire/iommu';
import { expect, test } from 'vitest';
import { FIRST_VF, frameTo, macOf, NicStage, numberIn, PF, RAM_BYTES } from '../testing/nic-stage.js';
import { PASS_THROUGH } from './function-assignment.js';
import { isRefusal, REFUSED, type Refusal } from './refusal.js';

const PORT = 0x0008;
const codeOf = (outcome: object | undefined): number => (isRefusal(outcome) ? outcome.code : 0);
const messageOf = (outcome: object | undefined): string => (outcome as Refusal).message;
const BROADCAST = new Uint8Array(6).fill(0xff);
/** In the port: ACS control behind AER, whose capability is at 0x100. */
const ACS_CONTROL = 0x148 + 6;

test('F31: a function has one driver, which has to let go of it before another one gets it', () => {
  const { assignment } = new NicStage(2);
  expect(assignment.bind(PF, 'virtio-pci')).toBeUndefined();
  expect(assignment.driverOf(PF)).toBe('virtio-pci');
  const again = assignment.bind(PF, PASS_THROUGH);
  expect([codeOf(again), messageOf(again)]).toEqual([REFUSED.BOUND, '0000:01:00.0 is bound to virtio-pci']);
  expect(assignment.unbind(PF)).toBeUndefined();
  expect(codeOf(assignment.unbind(PF))).toBe(REFUSED.NOT_OURS);
  expect(assignment.bind(PF, PASS_THROUGH)).toBeUndefined();
  expect(codeOf(assignment.bind(PORT, PASS_THROUGH))).toBe(REFUSED.BRIDGE);
  expect(codeOf(assignment.bind(FIRST_VF, PASS_THROUGH))).toBe(REFUSED.NO_FUNCTION);
});

test('F31: the whole card given to a guest: its driver works the physical function; the host’s SR-IOV stays out of its reach', () => {
  const stage = new NicStage(2);
  const { assignment } = stage;
  const guest = stage.newGuest();
  expect(codeOf(assignment.assign(PF, guest))).toBe(REFUSED.NOT_OURS);
  assignment.bind(PF, PASS_THROUGH);
  const view = stage.give(PF, guest);
  const driver = guest.drive(view);
  expect([driver.state, driver.sendBytes(frameTo(BROADCAST, macOf(0), 1))]).toEqual(['running', SENT.OK]);
  stage.settle();
  const before = stage.nic.pci.config.bytes.slice();
  const { at } = stage.pf.sriov!;
  view.configWrite(at + 0x10, 2, 2);
  view.configWrite(at + 0x08, 2, 0x19);
  view.configWrite(at + 0x06, 4, 0x19_0000);
  expect([stage.nic.virtualFunctions.functions.length, stage.nic.pci.config.bytes]).toEqual([0, before]);
  // BAR registers are the guest's own: the machine's addresses stay.
  view.configWrite(0x10, 4, 0xdead_0000);
  view.configWrite(0x0e, 4, 0xbeef_0000);
  expect(stage.nic.pci.barAddress(0)).toBe(stage.pf.bars[0]!.address);
  // Also when the guest resets it, and starts anew.
  view.configWrite(0x5c, 2, 0x8000);
  guest.forget();
  expect([view.configRead(0x10, 4), guest.drive(view).state]).toEqual([4, 'running']);
  expect(assignment.release(PF)).toBeUndefined();
  expect([view.configRead(0, 4), assignment.guestOf(PF)]).toEqual([0xffff_ffff, undefined]);
});

test('F46: a function has one guest at a time, a guest several functions; it is reset before the next guest gets it', () => {
  const stage = new NicStage(3);
  const { assignment } = stage;
  const [a, b] = stage.enable(3);
  const first = stage.newGuest();
  const second = stage.newGuest();
  first.drive(stage.give(a!.routingId, first));
  first.drive(stage.give(b!.routingId, first));
  stage.settle();
  const taken = assignment.assign(a!.routingId, second);
  expect([codeOf(taken), messageOf(taken)]).toEqual([REFUSED.ASSIGNED, '0000:01:10.0 is given to guest 0']);
  expect(codeOf(assignment.unbind(a!.routingId))).toBe(REFUSED.ASSIGNED);
  expect(assignment.guestOf(a!.routingId)).toBe(first);
  const old = stage.nic.personalityOf(0)!.pci;
  expect([old.mayMaster, old.configRead(4, 2)]).toEqual([true, 4]);
  assignment.release(a!.routingId);
  // The same function, as after power-on: no bus mastering, no MSI-X, and none of the first guest's memory.
  expect([old.removed, old.mayMaster, old.configRead(4, 2), old.configRead(0x4a, 2) & 0x8000]).toEqual([
    false,
    false,
    0,
    0,
  ]);
  expect(stage.requesters.domainOf(a!.routingId)).toBeUndefined();
  expect(stage.requesters.domainOf(b!.routingId)).toBe(first.container.domain);
  second.drive(stage.give(a!.routingId, second));
  expect(stage.requesters.domainOf(a!.routingId)).toBe(second.container.domain);
  const digest = first.digest();
  expect([...second.drivers.values()][0]!.sendBytes(frameTo(macOf(3), macOf(1), 5))).toBe(SENT.OK);
  stage.nic.step(16);
  expect(first.digest()).toBe(digest);
});

test('F46: what a guest leaves behind does not reach the next one: a frame that waited is not sent, no interrupt comes late', () => {
  const stage = new NicStage(2);
  const [first, second] = stage.start(2);
  stage.settle();
  [...first!.drivers.values()][0]!.sendBytes(frameTo(macOf(2), macOf(1), 1));
  stage.assignment.release(FIRST_VF);
  stage.settle();
  expect(second!.heard).toEqual([]);
  const third = stage.newGuest();
  third.drive(stage.give(FIRST_VF, third));
  stage.settle();
  [...second!.drivers.values()][0]!.sendBytes(frameTo(macOf(1), macOf(2), 2));
  stage.settle();
  expect([third.heard.map(numberIn), first!.heard, stage.messages.unrouted]).toEqual([[2], [], 0]);
});

test('F31: groups follow ACS: with it on, every function is one; off, all behind the port goes together', () => {
  const stage = new NicStage(2);
  const { assignment, machine } = stage;
  const ids = stage.enable(2).map(({ routingId }) => routingId);
  expect(assignment.groups()).toEqual([[PORT], [PF], [ids[0]], [ids[1]]]);
  machine.configWrite(PORT, ACS_CONTROL, 2, 0x1b);
  expect(assignment.groups()).toEqual([[PORT, PF, ...ids]]);
  const first = stage.newGuest();
  const second = stage.newGuest();
  // A driver of the host's has the physical function, which is in the group.
  assignment.bind(PF, 'virtio-pci');
  const shared = assignment.assign(ids[0]!, first);
  expect([codeOf(shared), messageOf(shared)]).toEqual([
    REFUSED.GROUP_SHARED,
    '0000:01:10.0 cannot be kept apart from 0000:01:00.0, which is bound to virtio-pci',
  ]);
  assignment.unbind(PF);
  stage.give(ids[0]!, first);
  // All of the group has the guest's domain now, and nobody else gets any of it.
  expect([PORT, PF, ...ids].map((id) => stage.requesters.domainOf(id) === first.container.domain)).toEqual(
    Array(4).fill(true),
  );
  expect(codeOf(assignment.assign(ids[1]!, second))).toBe(REFUSED.GROUP_ELSEWHERE);
  expect(codeOf(assignment.bind(PF, 'virtio-pci'))).toBe(REFUSED.GROUP_ELSEWHERE);
  stage.give(ids[1]!, first);
  assignment.release(ids[0]!);
  expect(stage.requesters.domainOf(ids[0]!)).toBe(first.container.domain);
  assignment.release(ids[1]!);
  expect([PORT, PF, ...ids].map((id) => stage.requesters.domainOf(id))).toEqual(Array(4).fill(undefined));
});

test('groups that change while a guest has part of one: nothing more of it is given away', () => {
  const stage = new NicStage(2);
  const ids = stage.enable(2).map(({ routingId }) => routingId);
  const guest = stage.newGuest();
  stage.give(ids[0]!, guest);
  stage.machine.configWrite(PORT, ACS_CONTROL, 2, 0);
  expect(codeOf(stage.assignment.assign(ids[1]!, guest))).toBe(REFUSED.GROUP_CHANGED);
  expect(codeOf(stage.assignment.assign(ids[1]!, stage.newGuest()))).toBe(REFUSED.GROUP_ELSEWHERE);
  stage.assignment.unbind(ids[1]!);
  expect(codeOf(stage.assignment.bind(ids[1]!, 'virtio-pci'))).toBe(REFUSED.GROUP_ELSEWHERE);
});

test('a physical function with virtual ones switched on is not given away', () => {
  const stage = new NicStage(2);
  stage.assignment.bind(PF, PASS_THROUGH);
  stage.enable(1);
  expect(codeOf(stage.assignment.assign(PF, stage.newGuest()))).toBe(REFUSED.HAS_VFS);
  stage.disable();
  expect(codeOf(stage.assignment.assign(PF, stage.newGuest()))).toBe(0);
});

test('F21: the guest’s memory is pinned while it has a function; past its limit nothing is given, and nothing stays mapped', () => {
  const stage = new NicStage(2);
  const [a, b] = stage.enable(2);
  const poor = stage.newGuest(new PinAccount('poor', RAM_BYTES - 4096));
  const outcome = stage.assignment.assign(a!.routingId, poor);
  expect([codeOf(outcome), messageOf(outcome)]).toEqual([
    REFUSED.NOT_MAPPED,
    'the memory of guest 0 is not mapped: VFIO outcome 7',
  ]);
  expect([stage.pins.pinnedBytes, stage.requesters.domainOf(a!.routingId), poor.container.groups]).toEqual([
    0,
    undefined,
    [],
  ]);
  const guest = stage.newGuest();
  stage.give(a!.routingId, guest);
  stage.give(b!.routingId, guest);
  expect(stage.pins.pinnedBytes).toBe(RAM_BYTES);
  stage.assignment.release(a!.routingId);
  expect(stage.pins.pinnedBytes).toBe(RAM_BYTES);
  stage.assignment.release(b!.routingId);
  expect(stage.pins.pinnedBytes).toBe(0);
});

test('a function that goes while a guest has it: the guest reads all ones; the one that comes in its place is nobody’s', () => {
  const stage = new NicStage(2);
  const [vf] = stage.enable(2);
  const guest = stage.newGuest();
  const view = stage.give(vf!.routingId, guest);
  guest.drive(view);
  stage.disable();
  expect([view.configRead(0, 4), view.barRead(0, 0x14, 1)]).toEqual([0xffff_ffff, 0xff]);
  const [again] = stage.enable(2);
  expect(again!.routingId).toBe(vf!.routingId);
  // The guest's domain is still there: the new function is not to be used before it is taken away.
  expect([view.configRead(0, 4), codeOf(stage.assignment.assign(again!.routingId, stage.newGuest()))]).toEqual([
    0xffff_ffff,
    REFUSED.ASSIGNED,
  ]);
  stage.assignment.release(vf!.routingId);
  expect(codeOf(stage.assignment.bind(again!.routingId, PASS_THROUGH))).toBe(0);
  expect(codeOf(stage.assignment.assign(again!.routingId, stage.newGuest()))).toBe(0);
});

test('a function that cannot be reset is not given away', () => {
  const stage = new NicStage(1);
  const [vf] = stage.enable(1);
  const { config } = stage.nic.personalityOf(0)!.pci;
  // Device Capabilities without Function Level Reset Capability.
  config.set32(0x58, config.get32(0x58) & ~0x1000_0000);
  const outcome = stage.assignment.assign(vf!.routingId, stage.newGuest());
  expect([codeOf(outcome), messageOf(outcome)]).toEqual([REFUSED.NO_RESET, '0000:01:10.0 has no function-level reset']);
});
