import { isBreakdown, openPciTransport } from '@ringwire/guest-drivers';
import { ACCESS } from '@ringwire/guest-memory';
import { NullBackend } from '@ringwire/net-backend';
import {
  DomainMappings,
  isVdpaRefusal,
  ProcessMemory,
  simParent,
  VDPA,
  type VdpaDevice,
  type VdpaHost,
  type VdpaParent,
  VdpaTransport,
  VpParent,
} from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { NET_SCRATCH_BYTES, NetDevice, VirtioPci } from '@ringwire/virtio-device';
import { Lab, RAM, RAM_BYTES } from './lab.js';
import { NET, STATION } from './net-options.js';
import type { Backend, Rig, RigWish } from './rig.js';

const BUDGET = 64;
const SOURCE = 0x3b00;
const RW = ACCESS.READ | ACCESS.WRITE;

/** A parent with one device, and what that is called. */
type MakeParent = (lab: Lab, host: VdpaHost, wish: RigWish) => VdpaParent;

/** A driver of the host's, or of a container's, on a device of a parent: what virtio-vdpa is. */
function vdpaRig(makeParent: MakeParent, wish: RigWish): Rig {
  const lab = new Lab();
  const host = { memory: lab.memory, pages: lab.own, now: () => 0 };
  const device = makeParent(lab, host, wish).add('vdpa0', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  const raised: number[] = [];
  const transport = new VdpaTransport(device, (vector = 0) => raised.push(vector));
  return {
    access: { kind: 'vdpa', transport },
    dma: wish.iommu ? lab.mapped(new ProcessMemory(device, 0, lab.guest, lab.iovas)) : wholeGuest(lab, device),
    messages: lab.messages,
    port: lab.port,
    inTurns: true,
    takeInterrupts: () => raised.splice(0),
    isLineUp: () => false,
    step: () => device.step(BUDGET) > 0,
    close: () => transport.remove(),
  };
}

/** All of the guest's RAM at its own addresses, as vhost-vdpa maps it. */
function wholeGuest(lab: Lab, device: VdpaDevice) {
  const outcome = device.map(0, { iova: RAM, bytes: RAM_BYTES, host: lab.hostOf(RAM), access: RW });
  if (outcome !== VDPA.OK) throw new Error(`the guest's RAM is not mapped: ${outcome}`);
  return lab.plain();
}

/** A virtio-pci function of anybody's, behind vDPA. */
function vpParent(lab: Lab, _host: VdpaHost, { pairs }: RigWish): VdpaParent {
  const { memory, port, messages } = lab;
  const translation = lab.translated(SOURCE);
  const mappings = new DomainMappings(memory, translation.domain, translation.owner);
  const scratch = lab.own.allocate(NET_SCRATCH_BYTES);
  const model = new NetDevice({ ...NET, memory, scratch, backend: port, mac: STATION, pairs });
  const raised: (number | undefined)[] = [];
  const virtio = new VirtioPci({
    model,
    space: translation.space(),
    translated: true,
    host: {
      sendMessage: (_low, _high, data) => raised.push(data),
      setIntx: (isUp) => {
        if (isUp) raised.push(undefined);
      },
    },
  });
  const registers = openPciTransport(virtio.pci);
  if (isBreakdown(registers)) throw new Error(registers.message);
  const step = (budget: number): number => {
    const vectors = raised.splice(0);
    for (const vector of vectors) parent.interrupt(vector);
    const done = virtio.device.step(budget);
    for (const vector of raised.splice(0)) parent.interrupt(vector);
    return done + vectors.length;
  };
  const parent = new VpParent('pci/0000:3b:00.0', { registers, mappings, messages, step });
  return parent;
}

/** A card of a vendor's: its first function has the cable. */
const cardParent =
  (open: typeof ixgbeParent): MakeParent =>
  (lab, host) =>
    open(host, {
      name: 'pci/0000:01:00.0',
      functions: 1,
      net: NET,
      backend: (place) => (place === 0 ? lab.port : new NullBackend()),
    });

const vdpaBackend = (name: string, title: string, vendor: string, makeParent: MakeParent): Backend => ({
  name,
  title,
  vendor,
  inTurns: true,
  open: (wish) => vdpaRig(makeParent, wish),
});

/** The same of a card, whose functions have one pair each. */
const cardBackend = (name: string, title: string, vendor: string, open: typeof ixgbeParent): Backend => ({
  ...vdpaBackend(name, title, vendor, cardParent(open)),
  cannot: (pairs) => (pairs > 1 ? 'a function of the card has one pair of queues' : undefined),
});

/** vDPA devices of all parents that there are. */
export const VDPA_BACKENDS: readonly Backend[] = [
  vdpaBackend('vdpa-sim', 'vDPA, the software simulator', 'simulator', ({ port }, host, { pairs }) =>
    simParent(host, { pairs, devices: 1, backend: () => port, device: NET }),
  ),
  vdpaBackend('vdpa-vp', 'vDPA, a standard virtio-pci function', 'virtio-pci', vpParent),
  cardBackend('vdpa-82599', 'vDPA, a virtual function of the 82599 with virtio rings', 'Intel 82599', ixgbeParent),
  cardBackend('vdpa-vendor-b', 'vDPA, a virtual function of vendor B’s card', 'vendor B', vendorBParent),
];
