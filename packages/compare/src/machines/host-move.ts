import { NetParent, TableSpace, type VdpaDevice } from '@ringwire/vdpa';
import type { MovingMachine, Rings } from '../architecture.js';
import { newLedger } from '../ledger.js';
import { POLLED } from './host-machine.js';
import { Lab } from './lab.js';
import { hostNetwork, OTHER_HOST } from './network.js';
import { movingGuests } from './vdpa-guests.js';
import { added } from './vdpa-machine.js';
import type { DriverKind } from './virtio-guest.js';

const BUDGET = 64;
const PLACES = [0, 1, OTHER_HOST];

/**
 * Two guests whose devices are software of the host, and another host with the same: rings and positions are asked for by vhost's
 * operations, which vDPA has, while the host keeps the registers.
 */
export function hostMove(rings: Rings, kind: DriverKind): MovingMachine {
  const lab = new Lab(false);
  const ledger = newLedger();
  const network = hostNetwork(lab, ledger);
  const parent = new NetParent({
    name: 'vhost',
    host: lab.host,
    devices: PLACES.length,
    device: { holdWhenFull: true, ...(kind === 'poll' ? POLLED : {}) },
    seat: (place) => ({ backend: network.port(place), spaces: [new TableSpace(lab.memory)], close: () => {} }),
  });
  const [first, second, target] = PLACES.map((place) => added(parent, Math.min(place, 1))) as VdpaDevice[];
  const all = [first!, second!, target!];
  const step = (): boolean => all.reduce((done, device) => device.step(BUDGET) > 0 || done, false);
  const devices = [first!, second!];
  return movingGuests(lab, rings, kind, ledger, network, { devices, isHosted: true, step, target: target! });
}
