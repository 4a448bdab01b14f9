import type { DmaMemory } from '@ringwire/guest-drivers';
import type { CardFunction, CardMachine } from '../claims/card-machine.js';
import { ixgbeStation, vendorBStation } from '../claims/kernel-station.js';
import { PollStation } from '../claims/poll-station.js';
import type { Station, StationSetup } from '../claims/station.js';

/** Who drives functions, and how. */
export interface StationPlan extends Pick<StationSetup, 'now' | 'pause'> {
  readonly rings: 'split' | 'packed';
  /** In place of the function's own memory. */
  readonly dma?: DmaMemory;
}

/** Bring a driver up on a function, whatever it was before. */
export function openStation(machine: CardMachine, of: CardFunction, plan: StationPlan): Station {
  const setup: StationSetup = { access: machine.access(of), dma: machine.dma(of), mac: of.mac, ...plan };
  const station = stationOf(machine, of, setup);
  of.onMessage = (data) => station.message(data);
  return station;
}

function stationOf(machine: CardMachine, of: CardFunction, setup: StationSetup): Station {
  if (of.kind === 'virtio') return new PollStation(setup);
  if (of.kind === 'vendor-b') return vendorBStation(setup);
  const vfs = machine.guests.filter(({ kind }) => kind === '82599').length;
  return ixgbeStation(setup, of.vf < 0 ? vfs : undefined).station;
}
