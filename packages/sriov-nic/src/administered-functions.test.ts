import {
  type AdminReply,
  guestDma,
  isBreakdown,
  MemberCommands,
  openAdminDriver,
  openPciTransport,
} from '@ringwire/guest-drivers';
import { PageAllocator } from '@ringwire/guest-memory';
import { VfioGroup } from '@ringwire/iommu';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_ADMIN_STATUS } from '@ringwire/virtio-spec/admin';
import { expect, test } from 'vitest';
import { AdministeredFunctions } from './administered-functions.js';
import { AssignedFunction } from './assignment/assigned-function.js';
import { frameTo, macOf, NicStage, numberIn, PF, RAM, RAM_BYTES } from './testing/nic-stage.js';

const MESSAGES = [0, 1].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));

/** A card whose physical function is in the hands of its owner's administration driver, behind the IOMMU as all are. */
class OwnedCard {
  readonly stage = new NicStage(4, false, new AdministeredFunctions());
  readonly driver;
  private isCalled = false;

  constructor() {
    const { stage } = this;
    const host = stage.newGuest();
    host.container.attach(new VfioGroup(PF, [PF]));
    for (const { gpa, physical, bytes, access } of host.ram)
      host.container.map(gpa, physical, bytes, access, host.name);
    stage.assignment.bind(PF, 'virtio-pci');
    stage.messages.route(PF, () => {
      this.isCalled = true;
    });
    const transport = openPciTransport(new AssignedFunction(stage.machine, stage.pf));
    if (isBreakdown(transport)) throw new Error(transport.message);
    const driver = openAdminDriver({
      transport,
      dma: guestDma(host.space, new PageAllocator(RAM, RAM_BYTES)),
      messages: MESSAGES,
      // More than there are: the device itself says who is no member.
      functions: () => 4,
      commandBytes: 0x2000,
      now: () => 0,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  wait(send: (done: (reply: AdminReply) => void) => boolean): AdminReply {
    let reply: AdminReply | undefined;
    expect(send((ended) => (reply = ended))).toBe(true);
    for (let turns = 0; turns < 100 && reply === undefined; turns++) {
      this.stage.turn();
      if (!this.isCalled) continue;
      this.isCalled = false;
      this.driver.interrupt();
    }
    return reply!;
  }
}

test('virtio 1.4 §2.12.1: a physical function administers its virtual ones: one stops, its neighbour does not, and it goes on', () => {
  const card = new OwnedCard();
  const { stage } = card;
  const [first, second] = stage.start(2);
  stage.settle();
  const client = card.driver.commands!;
  for (const group of [client.self, client.sriov]) expect(card.wait((done) => group.begin(done)).status).toBe(0);
  const members = new MemberCommands(client);
  expect(card.wait((done) => members.enableParts(done)).status).toBe(0);

  expect(card.wait((done) => members.stop(1, done)).status).toBe(0);
  const [ours, theirs] = [...first!.drivers.values(), ...second!.drivers.values()];
  ours!.sendBytes(frameTo(macOf(2), macOf(1), 7));
  theirs!.sendBytes(frameTo(macOf(0), macOf(2), 8));
  for (let turn = 0; turn < 20; turn++) stage.turn();
  expect(second!.heard).toEqual([]);
  expect(theirs!.counters.txFrames).toBe(1);
  expect(card.wait((done) => members.getParts(1, (parts, reply) => done(expectParts(parts, reply)))).status).toBe(0);

  expect(card.wait((done) => members.resume(1, done)).status).toBe(0);
  stage.settle();
  expect(second!.heard.map(numberIn)).toEqual([7]);
});

test('… a member is there as long as its function is, and a new function is another member', () => {
  const card = new OwnedCard();
  const { stage } = card;
  const { sriov, self } = card.driver.commands!;
  stage.enable(2);
  for (const group of [self, sriov]) expect(card.wait((done) => group.begin(done)).status).toBe(0);
  const members = new MemberCommands(card.driver.commands!);
  expect(card.wait((done) => members.enableParts(done)).status).toBe(0);
  expect(card.wait((done) => members.stop(2, done)).status).toBe(0);
  stage.disable();
  expect(card.wait((done) => members.resume(2, done)).status).not.toBe(VIRTIO_ADMIN_STATUS.OK);
  const [, vf] = stage.enable(2);
  // What was stopped went with the function.
  const guest = stage.newGuest();
  guest.drive(stage.give(vf!.routingId, guest));
  stage.settle();
  const [driver] = [...guest.drivers.values()];
  driver!.sendBytes(frameTo(macOf(0), macOf(2), 9));
  stage.settle();
  expect(driver!.counters.txFrames).toBe(1);
});

test('SR-08: what administers is the physical function alone: virtual ones offer no such queue', () => {
  const card = new OwnedCard();
  const [guest] = card.stage.start(1);
  const words = Uint32Array.from([0, 1, 2, 3], (word) => guest!.transport!.deviceFeatures(word));
  expect(hasFeature(words, VIRTIO_F.ADMIN_VQ)).toBe(false);
  expect(card.driver.state).toBe('running');
});

function expectParts(parts: readonly unknown[] | undefined, reply: AdminReply): AdminReply {
  expect(parts!.length).toBeGreaterThan(5);
  return reply;
}
