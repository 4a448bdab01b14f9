import { openPciTransport } from '@ringwire/guest-drivers';
import { type VdpaDevice, VpParent } from '@ringwire/vdpa';
import { messagesFor } from '@ringwire/vdpa-vendors';
import type { Machine, MovingMachine, Rings } from '../architecture.js';
import { CountedAccess, newLedger } from '../ledger.js';
import { Lab } from './lab.js';
import { cardNetwork, type Network, OTHER_HOST } from './network.js';
import { OffloadCard } from './offload-card.js';
import { opened } from './opened.js';
import { memberOf, ownerOf } from './owned-member.js';
import { movingGuests } from './vdpa-guests.js';
import { virtioGuest } from './virtio-guest.js';

const BUDGET = 64;
const GUESTS = [0, 1];

/** Two guests that have a virtual function each to themselves, registers and all. */
export function offloadMachine(rings: Rings, isCounted: boolean): Machine {
  const lab = new Lab(isCounted);
  const ledger = newLedger();
  const network = cardNetwork(lab);
  const interrupts: ((vector: number) => void)[] = [];
  const card = new OffloadCard(lab, {
    places: GUESTS,
    port: network.port,
    message: (at, vector) => interrupts[at]?.(vector),
    wrap: (space) => lab.watched(space, ledger),
  });
  let pinnedBytes = 0;
  const [from, to] = GUESTS.map((guest) =>
    virtioGuest(lab, guest, rings, 'kernel', ledger, (interrupt) => {
      interrupts[guest] = interrupt;
      const mappings = card.slot.mappingsOf(card.slot.requesterOf(guest));
      mappings.map(lab.mapping(guest));
      for (const { bytes } of mappings.mappings) pinnedBytes += bytes;
      return opened(openPciTransport(new CountedAccess(card.slot.accessOf(guest), ledger, false)));
    }),
  );
  const step = (): boolean => card.step(BUDGET) > 0;
  return { from: from!, to: to!, ledger, pinnedBytes, host: () => false, card: step };
}

/**
 * The same functions with their registers in the host's hands, as vp_vdpa has them, and a second card: what registers do not say
 * is told and taken as device parts, by administration commands of the cards' physical functions.
 */
export function offloadMove(rings: Rings): MovingMachine {
  const lab = new Lab(false);
  const ledger = newLedger();
  const network = cardNetwork(lab);
  const here = ownedFunctions(lab, network, GUESTS);
  const there = ownedFunctions(lab, network, [OTHER_HOST]);
  const step = (): boolean => [here.card.step(BUDGET), there.card.step(BUDGET)].some((done) => done > 0);
  const [devices, target] = [here.devices, there.devices[0]!];
  return movingGuests(lab, rings, 'kernel', ledger, network, { devices, isHosted: false, step, target });
}

/** Functions of one card as vDPA devices, each of which the card's owner stops and asks for its parts. @param places of the network */
export function ownedFunctions(
  lab: Lab,
  network: Network,
  places: readonly number[],
): { card: OffloadCard; devices: VdpaDevice[] } {
  const parents: VpParent[] = [];
  const card = new OffloadCard(lab, {
    places,
    port: network.port,
    message: (at, vector) => parents[at]?.interrupt(vector),
  });
  const owner = ownerOf(card);
  for (const at of places.keys()) {
    const registers = opened(openPciTransport(card.slot.accessOf(at)));
    parents.push(
      new VpParent(`pci/0000:01:00.${at + 1}`, {
        registers,
        mappings: card.slot.mappingsOf(card.slot.requesterOf(at)),
        messages: messagesFor(registers.queueLimit + 1),
        member: memberOf(card, owner, at),
        step: (budget) => card.step(budget),
      }),
    );
  }
  const devices = parents.map((parent) => {
    const device = parent.add('vdpa', {});
    if ('outcome' in device) throw new Error(device.message);
    return device;
  });
  return { card, devices };
}
