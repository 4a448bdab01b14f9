import { ESWITCH_AREA_BYTES, Eswitch } from '@ringwire/eswitch';
import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import type { Architecture, Machine } from './architecture.js';
import { copiedPort } from './copied-port.js';
import { Lab } from './lab.js';
import type { Ledger } from './ledger.js';
import { vdpaMachine } from './vdpa-machine.js';
import { vendorMachine } from './vendor-machine.js';
import { kernelVirtio, pollVirtio } from './virtio-machines.js';

const PORTS = 3;
const nothing = (): boolean => false;
const VIRTIO = ['virtio-net'];
const VENDORS = ['Intel 82599 VF', 'vendor B VF'];
/** F64: what keeps a guest with a vendor's function where it is. */
const BOUND =
  'the state is in the card, in a form that its vendor alone knows; the guest has that vendor’s driver; what the card writes to memory is not logged';

/** A switch in software of the host's. */
function hostSwitch(): (guest: number, ledger: Ledger) => NetBackend {
  const lan = new LearningSwitch(PORTS);
  return (guest, ledger) => copiedPort(lan.ports[guest]!, ledger);
}

/** The switch in a card. */
function cardSwitch(lab: Lab): Eswitch {
  const at = lab.own.allocate(ESWITCH_AREA_BYTES);
  const card = new Eswitch({ memory: lab.memory, at, virtualFunctions: 2, now: () => 0, floating: true });
  for (const [guest, port] of card.virtual.entries()) port.configure({ mac: Lab.mac(guest) });
  card.physical.configure({ mac: Lab.mac(PORTS - 1) });
  return card;
}

function emulated(): Machine {
  const lan = new LearningSwitch(PORTS);
  const { step, hostTurn, ...rest } = vendorMachine(new Lab(), true, (guest, ledger) => ({
    backend: copiedPort(lan.ports[guest]!, ledger),
  }));
  return { ...rest, host: () => [step(), hostTurn()].includes(true), card: nothing };
}

function vendor(): Machine {
  const lab = new Lab();
  const card = cardSwitch(lab);
  const { step, hostTurn, ...rest } = vendorMachine(lab, false, (guest) => card.virtual[guest] ?? card.physical);
  return { ...rest, host: hostTurn, card: step };
}

/** The six ways, in the order in which the literature has them: from what is slowest to what is fastest, and vDPA. */
export const ARCHITECTURES: readonly Architecture[] = [
  {
    name: 'emulated',
    title: 'a card in software, register by register',
    guestDrivers: VENDORS.slice(0, 1),
    blocker: undefined,
    open: emulated,
  },
  {
    name: 'vhost-net',
    title: 'virtio-net, its device in software of the host',
    guestDrivers: VIRTIO,
    blocker: undefined,
    open: (rings) => {
      const { step, ...rest } = kernelVirtio(new Lab(), rings, true, hostSwitch());
      return { ...rest, host: step, card: nothing };
    },
  },
  {
    name: 'vhost-user',
    title: 'virtio in poll mode on both sides',
    guestDrivers: VIRTIO,
    blocker: undefined,
    open: (rings) => {
      const { step, ...rest } = pollVirtio(new Lab(), rings, hostSwitch());
      return { ...rest, host: step, card: nothing };
    },
  },
  {
    name: 'sriov-vendor',
    title: 'virtual functions with their vendor’s rings, given to guests',
    guestDrivers: VENDORS,
    blocker: BOUND,
    open: vendor,
  },
  {
    name: 'virtio-offload',
    title: 'virtual functions that are virtio themselves, given to guests',
    guestDrivers: VIRTIO,
    blocker: undefined,
    open: (rings) => {
      const lab = new Lab();
      const card = cardSwitch(lab);
      const { step, ...rest } = kernelVirtio(lab, rings, false, (guest) => card.virtual[guest]!.backend);
      return { ...rest, host: nothing, card: step };
    },
  },
  {
    name: 'vdpa',
    title: 'virtio rings in any vendor’s card, its registers in software of the host',
    guestDrivers: VIRTIO,
    blocker: undefined,
    open: (rings) => {
      const lab = new Lab();
      const card = cardSwitch(lab);
      const { step, ...rest } = vdpaMachine(lab, rings, (guest) => card.virtual[guest]!.backend);
      return { ...rest, host: nothing, card: step };
    },
  },
];
