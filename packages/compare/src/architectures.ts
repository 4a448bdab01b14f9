import { VENDOR_B_ID } from '@ringwire/nic-spec/vendor-b';
import { functionObstacles } from '@ringwire/vdpa';
import type { Architecture } from './architecture.js';
import { hostMachine } from './machines/host-machine.js';
import { hostMove } from './machines/host-move.js';
import { cardNetwork, hostNetwork } from './machines/network.js';
import { offloadMachine, offloadMove } from './machines/offload-machine.js';
import { vdpaMachine, vdpaMove } from './machines/vdpa-machine.js';
import { vendorMachine } from './machines/vendor-machine.js';

const VIRTIO = ['virtio-net'];
const VENDORS = ['Intel 82599 VF', 'vendor B VF'];
/** What a guest with a function of the 82599's would find at a host with another vendor's card. */
const VF_B = { vendorId: VENDOR_B_ID.VENDOR, deviceId: VENDOR_B_ID.VF };

/** The six ways, in the order in which the literature has them: from what is slowest to what is fastest, and vDPA. */
export const ARCHITECTURES: readonly Architecture[] = [
  {
    name: 'emulated',
    title: 'a card in software, register by register',
    guestDrivers: VENDORS.slice(0, 1),
    way: 'host',
    open: (_rings, isCounted) => vendorMachine(true, isCounted, hostNetwork),
    openMove: () => ({ obstacles: ['the 82599 in software does not tell the state of its registers and rings'] }),
  },
  {
    name: 'vhost-net',
    title: 'virtio-net, its device in software of the host',
    guestDrivers: VIRTIO,
    way: 'host',
    open: (rings, isCounted) => hostMachine(rings, 'kernel', isCounted),
    openMove: (rings) => hostMove(rings, 'kernel'),
  },
  {
    name: 'vhost-user',
    title: 'virtio in poll mode on both sides',
    guestDrivers: VIRTIO,
    way: 'host',
    open: (rings, isCounted) => hostMachine(rings, 'poll', isCounted),
    openMove: (rings) => hostMove(rings, 'poll'),
  },
  {
    name: 'sriov-vendor',
    title: 'virtual functions with their vendor’s rings, given to guests',
    guestDrivers: VENDORS,
    way: 'vendor',
    open: (_rings, isCounted) => vendorMachine(false, isCounted, cardNetwork),
    openMove: () => ({ obstacles: functionObstacles(vendorMachine(false, false, cardNetwork).assigned, VF_B) }),
  },
  {
    name: 'virtio-offload',
    title: 'virtual functions that are virtio themselves, given to guests',
    guestDrivers: VIRTIO,
    way: 'standard',
    open: offloadMachine,
    openMove: offloadMove,
  },
  {
    name: 'vdpa',
    title: 'virtio rings in any vendor’s card, its registers in software of the host',
    guestDrivers: VIRTIO,
    way: 'standard',
    open: vdpaMachine,
    openMove: vdpaMove,
  },
];
