import {
  type AdminDriver,
  AdminMember,
  guestDma,
  isBreakdown,
  MemberCommands,
  openAdminDriver,
  openPciTransport,
} from '@ringwire/guest-drivers';
import { IdentitySpace } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend, NullBackend } from '@ringwire/net-backend';
import { MemberDevice, NET_SCRATCH_BYTES, NetDevice, VirtioPci } from '@ringwire/virtio-device';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { afterEach, expect, test } from 'vitest';
import { DomainMappings } from './domain-mappings.js';
import { joinParts, splitParts, type VpMember } from './member-parts.js';
import { CONTRACT_RAM_BYTES, ContractDriver, type ContractMachine, vdpaContract } from './testing/index.js';
import { IommuStage } from './testing/iommu-stage.js';
import { STATION } from './testing/vdpa-stage.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal } from './vdpa-parent.js';
import { VpParent } from './vp-parent.js';

const stage = new IommuStage();
const ram = stage.processPages.allocate(CONTRACT_RAM_BYTES);
const scratch = stage.host.pages.allocate(NET_SCRATCH_BYTES);
const ownerScratch = stage.host.pages.allocate(NET_SCRATCH_BYTES);
const cable = stage.host.pages.allocate(0x2_0000);
const { domain, space } = stage.function();
const mappings = new DomainMappings(stage.memory, domain, stage.bus);

/** A virtio-net function behind the IOMMU, with MSI-X or with its pin alone. */
function functionMachine(
  hasMsix: boolean,
  ownerOf?: (virtio: VirtioPci) => VpMember,
): ContractMachine & { readonly parent: VpParent; readonly isStopped: () => boolean } {
  const { memory } = stage;
  mappings.clear();
  const backend = new LoopbackBackend(new FrameQueue(memory, cable, 0x2_0000, 64));
  const model = new NetDevice({ memory, scratch, backend, mac: STATION, holdWhenFull: true });
  const raised: (number | undefined)[] = [];
  const virtio = new VirtioPci({
    model,
    space,
    translated: true,
    host: {
      sendMessage: (_low, _high, data) => raised.push(data),
      setIntx: (isAsserted) => {
        if (isAsserted) raised.push(undefined);
      },
    },
  });
  const registers = openPciTransport(virtio.pci);
  if (isBreakdown(registers)) throw new Error(registers.message);
  const messages = Array.from({ length: 4 }, (_, data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));
  const step = (budget: number): number => {
    let done = virtio.device.step(budget);
    for (const vector of raised.splice(0)) {
      parent.interrupt(vector);
      done++;
    }
    return done;
  };
  const parent = new VpParent('pci/0000:3b:00.0', {
    registers,
    mappings,
    step,
    irqs: [40, 41, 42, 43],
    ...(hasMsix ? { messages } : {}),
    ...(ownerOf === undefined ? {} : { member: ownerOf(virtio) }),
  });
  const isStopped = (): boolean => virtio.device.isStopped;
  return { parent, memory, ram, changeConfig: () => model.setLink(false), isStopped };
}

/** What an owner's administration commands do with the function. */
function ownedBy(virtio: VirtioPci): VpMember {
  const member = new MemberDevice(virtio);
  return {
    stop: () => {
      // Notifications on their way leave with a step.
      for (let tries = 0; tries < 3 && !member.stop(); tries++) virtio.device.step(0);
      return member.isStopped;
    },
    resume: () => {
      member.resume();
      return true;
    },
    parts: () => joinParts(member.parts()),
    setParts: (bytes) => {
      const parts = splitParts(bytes);
      return parts !== undefined && member.setParts(parts) === undefined;
    },
  };
}

/**
 * The same, by a driver of the owner's on a real administration virtqueue: each call is commands, their chains, and turns of both
 * functions.
 */
function administered(virtio: VirtioPci): AdminMember {
  const { memory, host } = stage;
  const member = new MemberDevice(virtio);
  const messages: number[] = [];
  const owner = new VirtioPci({
    model: new NetDevice({ memory, scratch: ownerScratch, backend: new NullBackend(), mac: STATION }),
    space: new IdentitySpace(memory),
    host: { sendMessage: (_low, _high, data) => messages.push(data), setIntx: () => {} },
    admin: { queues: 1, sriov: { isEnabled: true, count: 1, member: () => member } },
  });
  const transport = openPciTransport(owner.pci);
  if (isBreakdown(transport)) throw new Error(transport.message);
  const driver = openAdminDriver({
    transport,
    dma: guestDma(new IdentitySpace(memory), host.pages),
    now: () => 0,
    messages: [{ addressLo: 0xfee0_0000, addressHi: 0, data: 0 }],
    functions: () => 1,
  });
  if (isBreakdown(driver)) throw new Error(driver.message);
  drivers.push(driver);
  const pause = (): void => {
    owner.device.step(64);
    // Notifications on their way leave with a step.
    virtio.device.step(0);
    if (messages.splice(0).length > 0) driver.interrupt();
  };
  const { self, sriov } = driver.commands!;
  const commands = new MemberCommands(driver.commands!);
  const begun: number[] = [];
  const done = ({ status }: { readonly status: number }): void => void begun.push(status);
  for (const begin of [() => self.begin(done), () => sriov.begin(done), () => commands.enableParts(done)]) {
    begin();
    for (let turns = 0; turns < 10; turns++) pause();
  }
  expect(begun).toEqual([0, 0, 0]);
  return new AdminMember(commands, 1, { tries: 100, pause });
}

/** Owners' drivers, whose memory is given back when their test is over. */
const drivers: AdminDriver[] = [];
afterEach(() => {
  for (const driver of drivers.splice(0)) driver.close();
});

const commanded = () => functionMachine(true, administered);
for (const { title, run } of vdpaContract('vp_vdpa, whose owner has an administration virtqueue', commanded))
  test(title, run);

test('MG-02: parts that are none, too long, or of what the function is not, are refused over the queue as well', () => {
  let member: AdminMember | undefined;
  functionMachine(true, (virtio) => {
    member = administered(virtio);
    return member;
  });
  expect(member!.stop()).toBe(true);
  const parts = member!.parts()!;
  expect(splitParts(parts)!.length).toBeGreaterThan(3);
  expect(member!.setParts(parts)).toBe(true);
  expect(member!.setParts(parts.subarray(0, parts.length - 1))).toBe(false);
  expect(member!.setParts(new Uint8Array(0x1_0000).fill(1))).toBe(false);
  const strange = { ...splitParts(parts)![0]!, type: 0x2ff, isOptional: false };
  expect(member!.setParts(joinParts([strange]))).toBe(false);
  expect(member!.parts()).toEqual(parts);
  expect(member!.resume()).toBe(true);
});

const owned = () => functionMachine(true, ownedBy);
for (const { title, run } of vdpaContract('vp_vdpa, whose owner has device parts of it', owned)) test(title, run);
for (const { title, run } of vdpaContract('vp_vdpa with MSI-X', () => functionMachine(true))) test(title, run);
for (const { title, run } of vdpaContract('vp_vdpa with a pin', () => functionMachine(false))) test(title, run);

test('the function offers what its registers can carry, and has the one device that it is', () => {
  const { parent } = functionMachine(true);
  expect(parent.maxQueues).toBe(3);
  const offered = (bit: number): boolean => hasFeature(parent.features, bit);
  expect([VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.RING_PACKED].map(offered)).toEqual([true, true]);
  expect([VIRTIO_F.ADMIN_VQ, VIRTIO_F.NOTIF_CONFIG_DATA].map(offered)).toEqual([false, false]);
  expect(parent.add('a', { mtu: 9000 })).toMatchObject({ outcome: VDPA.UNSUPPORTED });
  const device = parent.add('a', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  expect(parent.add('b', {})).toMatchObject({ outcome: VDPA.NO_ROOM });
  device.setStatus(3);
  expect([0, 1, 2].map((index) => device.queueIrq(index))).toEqual([41, 42, 43]);
  parent.remove(device);
});

test('a queue stops by queue reset, and without RING_RESET not at all', () => {
  for (const hasReset of [true, false]) {
    const { parent } = functionMachine(true);
    const device = parent.add('a', {});
    if (isVdpaRefusal(device)) throw new Error(device.message);
    const bits = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, ...(hasReset ? [VIRTIO_F.RING_RESET] : [])];
    device.map(0, { iova: 0x10_0000, bytes: 0x1_0000, host: ram, access: 3 });
    device.setStatus(3);
    device.setDriverFeatures(featureWords(bits));
    device.setStatus(11);
    device.setQueueAddresses(0, { desc: 0x10_0000, driver: 0x10_2000, device: 0x10_4000 });
    expect(device.setQueueReady(0, true)).toBe(VDPA.OK);
    expect(device.setQueueReady(0, false)).toBe(hasReset ? VDPA.OK : VDPA.UNSUPPORTED);
    expect(device.queueReady(0)).toBe(!hasReset);
    expect(device.setStatus(0)).toBe(VDPA.OK);
    parent.remove(device);
  }
});

test('with its owner’s help a queue that was stopped goes on where it was, while the other one runs', () => {
  const machine = functionMachine(true, ownedBy);
  const device = machine.parent.add('a', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  const driver = new ContractDriver(machine, device, { bits: [VIRTIO_F.RING_RESET] });
  driver.map();
  driver.start();
  for (let round = 0; round < 20; round++) {
    for (let sent = 0; sent < 3; sent++) driver.send();
    driver.turn(2);
    for (const index of [0, 1]) {
      expect(device.setQueueReady(index, false)).toBe(VDPA.OK);
      expect(device.queueReady(index)).toBe(false);
      // A queue that was reset has its registers to be written anew.
      driver.place(index);
      expect(device.setQueueReady(index, true)).toBe(VDPA.OK);
      device.kick(index);
    }
  }
  driver.settle();
  expect(driver.heard).toEqual(driver.all);
  expect(driver.sent).toBe(60);
  device.reset();
  machine.parent.remove(device);
});

test('a function that is suspended before it starts where another one stood stays suspended until it is resumed', () => {
  const { parent, isStopped } = functionMachine(true, ownedBy);
  const device = parent.add('a', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  device.map(0, { iova: 0x10_0000, bytes: 0x1_0000, host: ram, access: 3 });
  device.setStatus(3);
  device.setDriverFeatures(featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]));
  device.setStatus(11);
  device.setQueueAddresses(0, { desc: 0x10_0000, driver: 0x10_2000, device: 0x10_4000 });
  expect(device.setQueueState(0, { layout: 'split', lastAvailIdx: 5, usedIdx: 5 })).toBe(VDPA.OK);
  expect(device.setQueueReady(0, true)).toBe(VDPA.OK);
  expect(device.suspend()).toBe(VDPA.OK);
  expect(device.setStatus(15)).toBe(VDPA.OK);
  expect([device.isSuspended, isStopped()]).toEqual([true, true]);
  expect(device.queueState(0)).toMatchObject({ lastAvailIdx: 5, usedIdx: 5 });
  expect([device.resume(), device.isSuspended, isStopped()]).toEqual([VDPA.OK, false, false]);
  device.reset();
  parent.remove(device);
});
