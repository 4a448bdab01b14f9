import { NullBackend } from '@ringwire/net-backend';
import { enableVfs, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import {
  AssignedFunction,
  SriovNic,
  VIRTIO_NET_VF_ID,
  virtioFunction,
  virtioPhysical,
  virtioVfBars,
} from '@ringwire/sriov-nic';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { Lab, lasting } from './lab.js';
import { NET, STATION } from './net-options.js';
import type { Backend, Rig } from './rig.js';

const BUDGET = 64;
const PF_ID = 0x0100;
const FIRST_VF_ID = 0x0180;
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

/** A virtual function that is a virtio network device itself, given to the guest: full offload. */
export const vfBackend: Backend = {
  name: 'sriov-vf',
  title: 'a virtual function of a card, virtio itself, given to the guest',
  vendor: 'ringwire',
  inTurns: true,
  open({ iommu, pairs }): Rig {
    const lab = new Lab();
    const { memory, own } = lab;
    const translation = lab.translated(FIRST_VF_ID);
    // Without an IOMMU of its own, the guest has all of its RAM at its own addresses: that is what its host gives a function.
    const dma = iommu ? translation.dma() : translation.identity();
    const raised: number[] = [];
    const net = { ...NET, pairs };
    const nic = new SriovNic({
      physicalId: PF_ID,
      totalVfs: 1,
      vfDeviceId: VIRTIO_NET_VF_ID,
      routing: { first: FIRST_VF_ID - PF_ID, stride: 1 },
      vfBars: virtioVfBars(pairs),
      physical: (place) =>
        virtioPhysical(place, {
          memory,
          scratch: own.allocate(NET_SCRATCH_BYTES),
          backend: new NullBackend(),
          mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
        }),
      virtual: (place) =>
        virtioFunction(place, {
          memory,
          scratch: own.allocate(NET_SCRATCH_BYTES),
          backend: lab.port,
          mac: STATION,
          net,
        }),
      openSpace: (id) => (id === PF_ID ? lasting(lab.physical) : translation.space()),
      sendMessage: (id, _low, _high, data) => {
        if (id === FIRST_VF_ID) raised.push(data);
      },
    });
    const machine = new RootComplex();
    const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    machine.bus.plug(8, port);
    port.secondary.plug(0, nic);
    const found = scanBuses(machine);
    placeBars(machine, found, RANGES);
    const [vf] = enableVfs(machine, found.find(({ routingId }) => routingId === PF_ID)!, 1);
    return {
      access: { kind: 'pci', pci: new AssignedFunction(machine, vf!) },
      dma,
      messages: lab.messages,
      port: lab.port,
      inTurns: true,
      takeInterrupts: () => raised.splice(0),
      isLineUp: () => false,
      step: () => nic.step(BUDGET) > 0,
      close: () => {},
    };
  },
};
