import { NET_SCRATCH_BYTES, NetDevice, VirtioMmio, VirtioPci } from '@ringwire/virtio-device';
import { Lab } from './lab.js';
import { NET, STATION } from './net-options.js';
import type { Backend, Rig, RigWish } from './rig.js';

const BUDGET = 64;
const SOURCE = 0x0018;

/** A network device of the lab's, and what it reaches. */
function device({ iommu, pairs }: RigWish) {
  const lab = new Lab();
  const translation = iommu ? lab.translated(SOURCE) : undefined;
  const space = translation?.space() ?? lab.guest;
  const dma = translation?.dma() ?? lab.plain();
  const scratch = lab.own.allocate(NET_SCRATCH_BYTES);
  const { memory, port } = lab;
  const model = new NetDevice({ ...NET, memory, scratch, backend: port, mac: STATION, pairs });
  return { lab, dma, config: { model, space, translated: iommu } };
}

/** The network device of this project behind PCI, stepped in the driver's thread. */
export const pciBackend: Backend = {
  name: 'pci',
  title: 'an emulated device, virtio over PCI',
  vendor: 'ringwire',
  inTurns: true,
  open(wish): Rig {
    const { lab, dma, config } = device(wish);
    const raised: number[] = [];
    let line = false;
    const host = {
      sendMessage: (_low: number, _high: number, data: number) => raised.push(data),
      setIntx: (level: boolean) => {
        line = level;
        if (level) raised.push(0);
      },
    };
    const { pci, device: virtio } = new VirtioPci({ ...config, host });
    return {
      access: { kind: 'pci', pci },
      dma,
      messages: lab.messages,
      port: lab.port,
      inTurns: true,
      takeInterrupts: () => raised.splice(0),
      isLineUp: () => line,
      step: () => virtio.step(BUDGET) > 0,
      close: () => {},
    };
  },
};

/** The same behind virtio-mmio, which has an interrupt line. */
export const mmioBackend: Backend = {
  name: 'mmio',
  title: 'an emulated device, virtio over MMIO',
  vendor: 'ringwire',
  inTurns: true,
  open(wish): Rig {
    const { lab, dma, config } = device(wish);
    const raised: number[] = [];
    let line = false;
    const mmio = new VirtioMmio({
      ...config,
      interrupt: (level) => {
        line = level;
        if (level) raised.push(0);
      },
    });
    return {
      access: { kind: 'mmio', mmio },
      dma,
      messages: [],
      port: lab.port,
      inTurns: true,
      takeInterrupts: () => raised.splice(0),
      isLineUp: () => line,
      step: () => mmio.device.step(BUDGET) > 0,
      close: () => {},
    };
  },
};
