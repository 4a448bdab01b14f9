import { type NetDriver, SENT } from '@ringwire/guest-drivers';
import { ACCESS, RESOLVE } from '@ringwire/guest-memory';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import {
  FIRST_VF,
  frameTo,
  macOf,
  NicStage,
  numberIn,
  PF,
  RAM,
  RAM_BYTES,
  type StageGuest,
} from './testing/nic-stage.js';

const BROADCAST = new Uint8Array(6).fill(0xff);
const driverOf = (guest: StageGuest): NetDriver => [...guest.drivers.values()][0]!;
const send = (guest: StageGuest, frame: Uint8Array): void => expect(driverOf(guest).sendBytes(frame)).toBe(SENT.OK);
/** Places in a virtual function: Power Management 0x40, MSI-X 0x48, Express 0x54. */
const DEVICE_CONTROL = 0x5c;
const FLR = 0x8000;

test('F41 F43: eight virtual functions, each in a guest of its own, reach one another, every pair both ways', () => {
  const stage = new NicStage(8);
  const guests = stage.start(8);
  stage.settle();
  expect(guests.map((guest) => driverOf(guest).state)).toEqual(Array(8).fill('running'));
  const numbers = [...guests.keys()];
  for (const [from, guest] of guests.entries())
    for (const to of numbers.filter((one) => one !== from)) {
      send(guest, frameTo(macOf(to + 1), macOf(from + 1), from * 8 + to));
      stage.settle();
    }
  for (const [to, { heard }] of guests.entries()) {
    // The first frame to an address that is not learnt yet goes to all; the devices filter.
    const others = numbers.filter((from) => from !== to);
    expect(heard.map(numberIn)).toEqual(others.map((from) => from * 8 + to));
    expect(heard.map((frame) => [frame.length, frame[5], frame[11]])).toEqual(
      others.map((from) => [60, to + 1, from + 1]),
    );
  }
});

test('a guest with two functions sends from one to the other; the physical function is a network device beside them', () => {
  const stage = new NicStage(2);
  const [first, second] = stage.enable(2);
  const guest = stage.newGuest();
  const sender = guest.drive(stage.give(first!.routingId, guest));
  guest.drive(stage.give(second!.routingId, guest));
  const host = stage.driveHost();
  expect(sender.sendBytes(frameTo(BROADCAST, macOf(1), 7))).toBe(SENT.OK);
  stage.settle();
  expect([guest.heard.map(numberIn), host.heard.map(numberIn)]).toEqual([[7], [7]]);
  send(host, frameTo(macOf(2), macOf(0), 8));
  stage.settle();
  expect([guest.heard.map(numberIn), host.heard.map(numberIn)]).toEqual([[7, 8], [7]]);
});

test('dev.basic.reserved-features.9,.10: the function with the SR-IOV capability offers SR_IOV, virtual ones do not', () => {
  const stage = new NicStage(1);
  stage.start(1);
  const host = stage.driveHost();
  const offered = (guest: StageGuest): boolean => {
    const words = Uint32Array.from([0, 1, 2, 3], (word) => guest.transport!.deviceFeatures(word));
    return hasFeature(words, VIRTIO_F.SR_IOV);
  };
  expect([offered(host), offered(stage.guests[0]!)]).toEqual([true, false]);
});

test('F15: every guest has the same addresses, and a function reaches the memory of its own guest alone', () => {
  const stage = new NicStage(4);
  const guests = stage.start(4);
  stage.settle();
  for (const i of guests.keys()) {
    const space = stage.spaces.get(FIRST_VF + i)!;
    const reach = (address: number): number => space.resolve(address, 4, ACCESS.WRITE);
    space.enter();
    expect([reach(RAM), reach(RAM + RAM_BYTES - 4)]).toEqual([i * RAM_BYTES, (i + 1) * RAM_BYTES - 4]);
    // Past its end, and at what are the machine's addresses of guests' memory.
    const elsewhere = [RAM - 4, RAM + RAM_BYTES, ...guests.map((_, n) => n * RAM_BYTES)];
    expect(elsewhere.map(reach)).toEqual(elsewhere.map(() => RESOLVE.FAULT));
    space.leave();
  }
});

test('SR-03: VF Enable written 10 000 times under traffic, on and off: nothing is left over, nothing of a function that went is written', () => {
  const stage = new NicStage(2);
  const guests = [stage.newGuest(), stage.newGuest()];
  const host = stage.driveHost();
  for (let turn = 0; turn < 5000; turn++) {
    // Guests take part in one of 250 turns, the physical function's driver sends in each.
    const isShared = turn % 250 === 0;
    const vfs = stage.enable(isShared ? 2 : 1);
    if (isShared) for (const [i, { routingId }] of vfs.entries()) guests[i]!.drive(stage.give(routingId, guests[i]!));
    driverOf(host).sendBytes(frameTo(BROADCAST, macOf(0), turn));
    if (isShared) send(guests[0]!, frameTo(macOf(2), macOf(1), turn));
    stage.nic.step(16);
    host.turn();
    stage.disable();
    const before = isShared ? guests.map((guest) => guest.digest()) : [];
    stage.nic.step(16);
    if (!isShared) continue;
    expect(guests.map((guest) => guest.digest())).toEqual(before);
    for (const [i, { routingId }] of vfs.entries()) {
      expect(() => guests[i]!.drivers.get(routingId)!.sendBytes(frameTo(macOf(1), macOf(2), 0))).not.toThrow();
      stage.assignment.release(routingId);
      guests[i]!.forget();
    }
  }
  // The cache of the IOMMU has room for 2048 requesters: each was given up.
  expect([stage.made, stage.closed, stage.nic.personalityOf(0), host.container.mappings.length]).toEqual([
    5020,
    5020,
    undefined,
    1,
  ]);
  expect(stage.pins.pinnedBytes).toBe(RAM_BYTES);
});

test('SR-08: a virtual function has no SR-IOV capability, and nothing of the physical function behind its BARs', () => {
  const stage = new NicStage(2);
  const [vf] = stage.enable(2);
  const guest = stage.newGuest();
  const view = stage.give(vf!.routingId, guest);
  guest.drive(view);
  const physical = stage.nic.pci.config.bytes.slice();
  const sibling = stage.nic.personalityOf(1)!.pci.config.bytes.slice();
  for (let at = 0x100; at < 0x1000; at += 4) {
    expect(view.configRead(at, 4)).toBe(0);
    view.configWrite(at, 4, 0xffff_ffff);
  }
  const { size } = vf!.bars[0]!;
  for (const offset of [size, size + 0x14, -4, 2 ** 32, Number.NaN]) {
    view.barWrite(0, offset, 4, 0);
    expect(view.barRead(0, offset, 4)).toBe(0xffff_ffff);
  }
  for (const bar of [1, 2, 3, 4, 5, 6, -1]) expect(view.barRead(bar, 0, 4)).toBe(0xffff_ffff);
  const words = Uint32Array.from([0, 1, 2, 3], (word) => guest.transport!.deviceFeatures(word));
  expect([hasFeature(words, VIRTIO_F.ADMIN_VQ), hasFeature(words, VIRTIO_F.SR_IOV)]).toEqual([false, false]);
  expect(stage.nic.pci.config.bytes).toEqual(physical);
  expect(stage.nic.personalityOf(1)!.pci.config.bytes).toEqual(sibling);
});

test('SR-09: a function-level reset of one function under traffic of all: the others lose nothing', () => {
  const stage = new NicStage(4);
  const guests = stage.start(4);
  const host = stage.driveHost();
  stage.settle();
  const count = 100;
  for (let number = 0; number < count; number++) {
    send(guests[0]!, frameTo(macOf(2), macOf(1), number));
    send(guests[1]!, frameTo(macOf(1), macOf(2), number));
    send(host, frameTo(macOf(1), macOf(0), 1000 + number));
    if (driverOf(guests[3]!).state === 'running') driverOf(guests[3]!).sendBytes(frameTo(macOf(1), macOf(4), 5000));
    if (number === 50) stage.machine.configWrite(FIRST_VF + 3, DEVICE_CONTROL, 2, FLR);
    stage.settle();
  }
  const numbers = Array.from({ length: count }, (_, number) => number);
  expect(guests[1]!.heard.map(numberIn)).toEqual(numbers);
  expect(guests[0]!.heard.map(numberIn).filter((number) => number < 1000)).toEqual(numbers);
  expect(guests[0]!.heard.map(numberIn).filter((number) => number >= 1000 && number < 2000)).toEqual(
    numbers.map((number) => 1000 + number),
  );
  expect(stage.machine.configRead(FIRST_VF + 3, 4, 2)).toBe(0);
});

test('SR-10: a function-level reset of the PF with virtual functions at work: they are gone, and write nothing any more', () => {
  const stage = new NicStage(4);
  const guests = stage.start(4);
  stage.settle();
  send(guests[0]!, frameTo(macOf(2), macOf(1), 1));
  stage.machine.configWrite(PF, DEVICE_CONTROL, 2, FLR);
  const before = guests.map((guest) => guest.digest());
  for (let turns = 0; turns < 10; turns++) stage.nic.step(16);
  expect(guests.map((guest) => guest.digest())).toEqual(before);
  expect([stage.closed, stage.machine.configRead(FIRST_VF, 8, 4)]).toEqual([4, 0xffff_ffff]);
  // New functions are as after power-on, and drivers find them again.
  for (const [i] of guests.entries()) stage.assignment.release(FIRST_VF + i);
  stage.place();
  const [vf] = stage.enable(4);
  guests[0]!.forget();
  expect(guests[0]!.drive(stage.give(vf!.routingId, guests[0]!)).state).toBe('running');
});

test('SR-26: a frame to all of 64 virtual functions, one of them being reset: 63 copies arrive', () => {
  const stage = new NicStage(64);
  const guests = stage.start(64);
  const host = stage.driveHost();
  stage.settle();
  send(host, frameTo(BROADCAST, macOf(0), 1));
  stage.machine.configWrite(FIRST_VF + 20, DEVICE_CONTROL, 2, FLR);
  stage.settle();
  expect(guests.map(({ heard }) => heard.map(numberIn))).toEqual(guests.map((_, i) => (i === 20 ? [] : [1])));
});
