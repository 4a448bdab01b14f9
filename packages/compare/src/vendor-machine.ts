import { openIxgbePf, openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import type { HostMemory } from '@ringwire/guest-memory';
import {
  IXGBE_SCRATCH_BYTES,
  IxgbeCard,
  type IxgbePort,
  ixgbePhysical,
  ixgbeSriov,
  ixgbeVirtual,
} from '@ringwire/ixgbe';
import { enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { AssignedFunction, SriovNic } from '@ringwire/sriov-nic';
import type { Machine } from './architecture.js';
import { KernelStation } from './kernel-station.js';
import { Lab, MESSAGES } from './lab.js';
import { CountedAccess, type Ledger, newLedger } from './ledger.js';
import { opened } from './virtio-machines.js';

const PF_ID = 0x0100;
const FIRST_VF_ID = 0x0180;
const HOST = 2;
const BUDGET = 64;
/** Turns that the card's physical and virtual drivers need to agree. */
const TURNS = 64;
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

/** Guest number of a function: virtual ones are the guests', the physical one the host's. */
const guestOf = (routingId: number): number => (routingId === PF_ID ? HOST : (routingId - FIRST_VF_ID) / 2);

/**
 * Two guests with a virtual function of an 82599 each, and the host with its physical one.
 * @param isTrapped the whole card is a program of the host's
 * @param portOf what a function is plugged into
 */
export function vendorMachine(
  lab: Lab,
  isTrapped: boolean,
  portOf: (guest: number, ledger: Ledger, memory: HostMemory) => IxgbePort,
): Omit<Machine, 'host' | 'card'> & { step(): boolean; hostTurn(): boolean } {
  const ledger = newLedger();
  const { memory } = lab;
  const hostLedger = newLedger();
  const stations = [0, 1, 2].map((guest) => new KernelStation(guest === HOST ? hostLedger : ledger));
  const card = new IxgbeCard({ memory, mac: Lab.mac(HOST), now: () => 0 });
  const optionsOf = (guest: number) => ({
    card,
    scratch: lab.own.allocate(IXGBE_SCRATCH_BYTES),
    port: portOf(guest, ledger, memory),
  });
  const nic = new SriovNic({
    ...ixgbeSriov(8),
    physicalId: PF_ID,
    physical: (place) => ixgbePhysical(place, optionsOf(HOST)),
    virtual: (place) => ixgbeVirtual(place, optionsOf(place.seat.index)),
    openSpace: (id) => lab.space(guestOf(id), guestOf(id) === HOST ? hostLedger : ledger),
    sendMessage: (id, _low, _high, data) => stations[guestOf(id)]!.message(data),
  });
  const machine = new RootComplex();
  const root = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
  machine.bus.plug(8, root);
  root.secondary.plug(0, nic);
  const found = scanBuses(machine);
  placeBars(machine, found, RANGES);
  const physical = found.find(({ routingId }) => routingId === PF_ID)!;
  const step = (): boolean => nic.step(BUDGET) > 0;
  const hostTurn = (): boolean => stations[HOST]!.turn();
  const pause = (): void => {
    step();
    hostTurn();
  };
  const setupOf = (guest: number, at: FoundFunction) => ({
    access: new CountedAccess(
      new AssignedFunction(machine, at),
      guest === HOST ? hostLedger : ledger,
      isTrapped && guest !== HOST,
    ),
    dma: lab.dma(guest),
    messages: MESSAGES,
    now: () => 0,
    mac: Lab.mac(guest),
    patience: { tries: TURNS, pause },
    events: { frame: (frame: { bytes(): Uint8Array }) => stations[guest]!.onFrame(frame.bytes()) },
  });
  stations[HOST]!.driver = opened(openIxgbePf({ ...setupOf(HOST, physical), vfs: 2 }));
  const functions = enableVfs(machine, physical, 2);
  for (const guest of [0, 1]) stations[guest]!.driver = opened(openIxgbeVf(setupOf(guest, functions[guest]!)));
  return { from: stations[0]!, to: stations[1]!, ledger, step, hostTurn };
}
