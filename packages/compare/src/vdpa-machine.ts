import { ACCESS, type AddressWindow, type HostMemory, NO_WINDOW } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { isVdpaRefusal, NetParent, TableSpace, VDPA, type VdpaDevice, VdpaTransport } from '@ringwire/vdpa';
import type { Machine } from './architecture.js';
import { type Lab, RAM, RAM_BYTES } from './lab.js';
import { isBuffer, type Ledger, newLedger } from './ledger.js';
import { kernelStation } from './virtio-machines.js';

const BUDGET = 64;

/** A transport whose doorbells are counted: they reach the card without the host. */
class CountedTransport extends VdpaTransport {
  private readonly ledger: Ledger;

  constructor(device: VdpaDevice, ledger: Ledger, interrupt: (vector?: number) => void) {
    super(device, interrupt);
    this.ledger = ledger;
  }

  override notify(index: number, data: number): void {
    this.ledger.kicks++;
    super.notify(index, data);
  }
}

/** What is mapped for a device, on which every address that it asks for is counted. */
class CountedTable extends TableSpace {
  private readonly ledger: Ledger;

  constructor(memory: HostMemory, ledger: Ledger) {
    super(memory);
    this.ledger = ledger;
  }

  override windowFor(): AddressWindow {
    return NO_WINDOW;
  }

  override resolve(address: number, length: number, access: number): number {
    if (isBuffer(access)) this.ledger.dmaAccesses++;
    return super.resolve(address, length, access);
  }
}

/** Two guests with virtio drivers in front of vDPA devices: a vendor's card moves frames, software of the host controls it. */
export function vdpaMachine(
  lab: Lab,
  rings: 'split' | 'packed',
  portOf: (guest: number, ledger: Ledger) => NetBackend,
): Omit<Machine, 'host' | 'card'> & { step(): boolean } {
  const ledger = newLedger();
  const parent = new NetParent({
    name: 'card',
    host: { memory: lab.memory, pages: lab.own, now: () => 0 },
    devices: 2,
    device: { holdWhenFull: true },
    seat: (guest) => ({
      backend: portOf(guest, ledger),
      spaces: [new CountedTable(lab.memory, ledger)],
      close: () => {},
    }),
  });
  const devices: VdpaDevice[] = [];
  const stations = [0, 1].map((guest) =>
    kernelStation(lab, guest, rings, ledger, (station) => {
      const device = parent.add(`vdpa${guest}`, {});
      if (isVdpaRefusal(device)) throw new Error(device.message);
      devices.push(device);
      // All of the guest's RAM, as vhost-vdpa maps it.
      const mapping = { iova: RAM, bytes: RAM_BYTES, host: guest * RAM_BYTES, access: ACCESS.READ | ACCESS.WRITE };
      if (device.map(0, mapping) !== VDPA.OK) throw new Error('the guest is not mapped');
      return new CountedTransport(device, ledger, (vector = 0) => station.message(vector));
    }),
  );
  const step = (): boolean => devices.reduce((done, device) => device.step(BUDGET) > 0 || done, false);
  return { from: stations[0]!, to: stations[1]!, ledger, step };
}
