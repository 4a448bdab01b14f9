import { PCI_CAP_ID, PCI_COMMAND, PCI_HEADER, PCI_MSIX, PCI_MSIX_CONTROL } from '@ringwire/pci';
import { snapshotDevice } from '@ringwire/virtio-device';
import { PVIRTQ_DESC, VIRTQ_AVAIL, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { LoopedMachine } from './looped-machine.js';

/** What can go wrong between a driver and its device, done on purpose: each leaves the machine as it is found then. */
export const MISTAKES: Readonly<
  Record<string, { readonly what: string; readonly make: (machine: LoopedMachine) => void }>
> = {
  'bus-master': {
    what: 'bus mastering is switched off before the last frames',
    make: (machine) => {
      machine.virtio.pci.configWrite(PCI_HEADER.COMMAND, 2, PCI_COMMAND.MEMORY_SPACE_ENABLE);
      machine.send(60);
      machine.settle();
    },
  },
  'function-mask': {
    what: "MSI-X' Function Mask is set before the last frames",
    make: (machine) => {
      const { pci } = machine.virtio;
      const control = pci.capabilityAt(PCI_CAP_ID.MSI_X) + PCI_MSIX.MESSAGE_CONTROL;
      pci.configWrite(control, 2, PCI_MSIX_CONTROL.ENABLE | PCI_MSIX_CONTROL.FUNCTION_MASK);
      machine.send(60);
      machine.settle();
    },
  },
  link: {
    what: 'the cable is pulled out before the last frames',
    make: (machine) => {
      machine.net.setLink(false);
      machine.send(60);
      machine.settle();
    },
  },
  ring: {
    what: 'the driver makes nonsense available on the transmit queue',
    make: (machine) => {
      breakRing(machine);
      machine.virtio.device.notify(TRANSMIT);
      machine.virtio.device.step(64);
    },
  },
  'no-notification': {
    what: 'the last frame is sent, and the device not told or not scheduled',
    make: (machine) => {
      machine.send(60);
    },
  },
};

const TRANSMIT = 1;

/** Split: an available index far ahead. Packed: NEXT on every slot, all of them available, so that no chain ends. */
function breakRing({ virtio, guest }: LoopedMachine): void {
  const { desc, driver, size, layout, position } = snapshotDevice(virtio.device).queues[TRANSMIT]!;
  if (layout === 'split') {
    guest.write(Number(driver) + VIRTQ_AVAIL.idx, Uint8Array.of(0xff, 0x7f));
    return;
  }
  if (position?.layout !== 'packed') return;
  const { lastAvailIdx, lastAvailWrapCounter: wrap } = position;
  for (let slot = 0; slot < size; slot++) {
    // AVAIL equals the wrap counter of the lap that the slot is met in, USED does not. virtio 1.4 §2.8.1
    const isSet = slot >= lastAvailIdx === (wrap === 1);
    const flags = VIRTQ_DESC_F.NEXT | (isSet ? VIRTQ_DESC_F.AVAIL : VIRTQ_DESC_F.USED);
    guest.write(Number(desc) + slot * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags, Uint8Array.of(flags & 0xff, flags >>> 8));
  }
}
