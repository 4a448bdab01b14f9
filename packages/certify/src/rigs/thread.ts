import { DeviceThread, ParkingSpot, threadScratchBytes } from '@ringwire/device-thread';
import { cableSpotAt, SharedCable } from '@ringwire/net-backend';
import { Lab, RAM, RAM_BYTES } from './lab.js';
import { NET, STATION } from './net-options.js';
import type { Backend, Rig } from './rig.js';

const SOURCE = 0x0020;
const CABLE_BYTES = 0x8_0000;
const CABLE_FRAMES = 64;
/** ms for a device that runs by itself to do something. */
const TURN_MS = 1;

/** The device in a worker of its own, which its driver reaches through shared memory alone. */
export const threadBackend: Backend = {
  name: 'thread',
  title: 'an emulated device in a thread of its own, virtio over PCI',
  vendor: 'ringwire',
  inTurns: false,
  open({ iommu, pairs }): Rig {
    const lab = new Lab();
    const translation = iommu ? lab.translated(SOURCE) : undefined;
    const { memory, own } = lab;
    const place = { at: own.allocate(CABLE_BYTES), bytes: CABLE_BYTES, frames: CABLE_FRAMES };
    const thread = new DeviceThread({
      transport: 'pci',
      memory: memory.wasm!,
      space:
        translation === undefined
          ? { type: 'regions', regions: [{ gpa: RAM, size: RAM_BYTES, host: lab.hostOf(RAM) }] }
          : { type: 'vtd', rootTable: translation.rootTable, sourceId: SOURCE, bus: translation.words },
      model: {
        type: 'net',
        mac: [...STATION],
        pairs,
        scratch: own.allocate(threadScratchBytes(0)),
        backend: { type: 'cable', ...place, end: 0 },
        ...NET,
      },
    });
    const { link } = thread;
    const raised: number[] = [];
    link.interrupts = {
      message: (_low, _high, data) => raised.push(data),
      level: (isUp) => {
        if (isUp) raised.push(0);
      },
    };
    const device = new ParkingSpot(memory.i32, cableSpotAt(place, 0) >> 2);
    const cable = new SharedCable(memory, place, 1, () => device.wake());
    cable.attach(lab.port);
    cable.running(true);
    return {
      access: { kind: 'pci', pci: link },
      dma: translation?.dma() ?? lab.plain(),
      messages: lab.messages,
      port: lab.port,
      inTurns: false,
      takeInterrupts: () => raised.splice(0),
      isLineUp: () => false,
      step() {
        const moved = lab.port.exchange(cable);
        return link.waitForInterrupt(TURN_MS) > 0 || moved;
      },
      close: () => thread.close(),
    };
  },
};
