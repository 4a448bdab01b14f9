import { openIxgbePf, openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import { IXGBE_SCRATCH_BYTES, IxgbeCard, ixgbePhysical, ixgbeSriov, ixgbeVirtual } from '@ringwire/ixgbe';
import { SriovNic } from '@ringwire/sriov-nic';
import type { PlainFunction } from '@ringwire/vdpa';
import { CardSlot, PHYSICAL_ID } from '@ringwire/vdpa-vendors';
import type { Machine } from '../architecture.js';
import { CountedAccess, type Ledger, newLedger } from '../ledger.js';
import { KernelStation } from './kernel-station.js';
import { HOST, Lab, MESSAGES } from './lab.js';
import type { Network } from './network.js';
import { opened } from './opened.js';

const FIRST_VF_ID = 0x0180;
const VFS = 2;
/** Place in the network of a function whose host sends nothing. */
const NOBODY = -1;
const BUDGET = 64;
/** Turns that the card's physical and virtual drivers need to agree. */
const TURNS = 64;

/** Guest number of a function: virtual ones are the guests', the physical one the host's. */
const guestOf = (routingId: number): number => (routingId === PHYSICAL_ID ? HOST : (routingId - FIRST_VF_ID) / 2);

/**
 * Two guests with a virtual function of an 82599 each, and the host with its physical one.
 * @param isEmulated the whole card is a program of the host's: register accesses end there, and it translates addresses itself
 */
export function vendorMachine(
  isEmulated: boolean,
  isCounted: boolean,
  networkOf: (lab: Lab, ledger: Ledger) => Network,
): Machine & { readonly assigned: PlainFunction } {
  const lab = new Lab(isCounted);
  const ledger = newLedger();
  const network = networkOf(lab, ledger);
  const { memory } = lab;
  const hostLedger = newLedger();
  const stations = [0, 1, HOST].map((guest) => new KernelStation(guest === HOST ? hostLedger : ledger));
  const card = new IxgbeCard({ memory, mac: Lab.mac(HOST), now: () => 0 });
  const optionsOf = (guest: number) => ({
    card,
    scratch: lab.own.allocate(IXGBE_SCRATCH_BYTES),
    port: { backend: network.port(guest === HOST ? NOBODY : guest) },
  });
  const slot = new CardSlot(
    lab.host,
    (plugs) =>
      new SriovNic({
        ...plugs,
        ...ixgbeSriov(8),
        physical: (place) => ixgbePhysical(place, optionsOf(HOST)),
        virtual: (place) => ixgbeVirtual(place, optionsOf(place.seat.index)),
      }),
    (routingId, vector) => {
      if (isEmulated && routingId !== PHYSICAL_ID) ledger.injections++;
      stations[guestOf(routingId)]!.message(vector);
    },
    (space, routingId) => (isEmulated ? lab.space(guestOf(routingId), ledger) : lab.watched(space, ledger)),
  );
  const step = (): boolean => slot.card.step(BUDGET) > 0;
  const hostTurn = (): boolean => stations[HOST]!.turn();
  const common = {
    messages: MESSAGES,
    now: () => 0,
    patience: {
      tries: TURNS,
      pause: () => {
        step();
        hostTurn();
      },
    },
  };
  const events = (guest: number) => ({
    frame: (frame: { bytes(): Uint8Array }) => stations[guest]!.onFrame(frame.bytes()),
  });
  const physical = { access: slot.physicalAccess, dma: slot.dmaOf(PHYSICAL_ID), mac: Lab.mac(HOST), vfs: VFS };
  stations[HOST]!.driver = opened(openIxgbePf({ ...common, ...physical, events: events(HOST) }));
  slot.enable(VFS);
  let pinnedBytes = 0;
  let tracksDirty = false;
  for (const guest of [0, 1]) {
    if (!isEmulated) {
      const mappings = slot.mappingsOf(slot.requesterOf(guest));
      mappings.map(lab.mapping(guest));
      for (const { bytes } of mappings.mappings) pinnedBytes += bytes;
      tracksDirty = mappings.tracksDirty;
    }
    const access = new CountedAccess(slot.accessOf(guest), ledger, isEmulated);
    const virtual = { access, dma: lab.dma(guest), mac: Lab.mac(guest), events: events(guest) };
    stations[guest]!.driver = opened(openIxgbeVf({ ...common, ...virtual }));
  }
  const config = slot.accessOf(1);
  const assigned = { vendorId: config.configRead(0, 2), deviceId: config.configRead(2, 2), tracksDirty };
  const machine = { from: stations[0]!, to: stations[1]!, ledger, pinnedBytes, assigned };
  return isEmulated
    ? { ...machine, host: () => [step(), hostTurn()].includes(true), card: () => false }
    : { ...machine, host: hostTurn, card: step };
}
