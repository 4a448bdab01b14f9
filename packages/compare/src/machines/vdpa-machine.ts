import { isVdpaRefusal, type VdpaDevice, type VdpaParent } from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import type { Machine, MovingMachine, Rings } from '../architecture.js';
import { type Ledger, newLedger } from '../ledger.js';
import { Lab } from './lab.js';
import { cardNetwork, type Network, OTHER_HOST } from './network.js';
import { movingGuests, vdpaGuests } from './vdpa-guests.js';

const BUDGET = 64;
const GUESTS = [0, 1];

/** Devices of a parent. @throws Error for one that is refused: none of these has a reason to be */
export const added = (parent: VdpaParent, guest: number): VdpaDevice => {
  const device = parent.add(`vdpa${guest}`, { mac: Lab.mac(guest) });
  if (isVdpaRefusal(device)) throw new Error(device.message);
  return device;
};

/** Both guests' devices, on a card of vendor B's: its functions have virtio rings, too. */
function firstCard(lab: Lab, network: Network, ledger: Ledger): VdpaDevice[] {
  const card = vendorBParent(lab.host, {
    name: 'pci/0000:01:00.0',
    functions: GUESTS.length,
    backend: (place) => network.port(place),
    net: { holdWhenFull: true },
    wrap: (space) => lab.watched(space, ledger),
  });
  return GUESTS.map((guest) => added(card, guest));
}

/** Two guests with vDPA devices of one card. */
export function vdpaMachine(rings: Rings, isCounted: boolean): Machine {
  const lab = new Lab(isCounted);
  const ledger = newLedger();
  const devices = firstCard(lab, cardNetwork(lab), ledger);
  // One step is the whole card's.
  const step = (): boolean => devices[0]!.step(BUDGET) > 0;
  return vdpaGuests(lab, rings, 'kernel', ledger, { devices, isHosted: false, step });
}

/** The same, and a host with a card of the 82599's that has virtio rings. */
export function vdpaMove(rings: Rings): MovingMachine {
  const lab = new Lab(false);
  const ledger = newLedger();
  const network = cardNetwork(lab);
  const devices = firstCard(lab, network, ledger);
  const other = ixgbeParent(lab.host, {
    name: 'pci/0000:02:00.0',
    functions: 1,
    backend: (place) => network.port(place < 0 ? place : OTHER_HOST),
    net: { holdWhenFull: true },
  });
  const target = added(other, 1);
  const cards = [devices[0]!, target];
  const step = (): boolean => cards.reduce((done, card) => card.step(BUDGET) > 0 || done, false);
  return movingGuests(lab, rings, 'kernel', ledger, network, { devices, isHosted: false, step, target });
}
