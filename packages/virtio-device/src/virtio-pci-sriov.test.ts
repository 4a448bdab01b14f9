import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { PciPort, RootComplex, VirtualFunctions } from '@ringwire/pci';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { explainDevice } from './explain-device.js';
import { registersBarBytes } from './pci-layout.js';
import { RecordingModel } from './testing/recording-model.js';
import { VirtioPci } from './virtio-pci.js';

const HOST = { sendMessage: () => {}, setIntx: () => expect.unreachable() };
const space = new IdentitySpace(HostMemory.create(0x1_0000));
const BAR = 0xfe00_0000;
/** The only extended capability. */
const SRIOV = 0x100;
const model = (): RecordingModel => new RecordingModel({ queueSizes: [16, 16] });

/** A physical function at 01:00.0 with two virtual ones at 01:00.1 and .2, their registers at {@link BAR}. */
function card() {
  const made: VirtioPci[] = [];
  const virtualFunctions = new VirtualFunctions({
    totalVfs: 2,
    vfDeviceId: 0x1041,
    routing: { first: 1, stride: 1 },
    vfBars: [{ index: 0, space: 'memory64', size: registersBarBytes(2) }],
    make: (virtual) => {
      made.push(new VirtioPci({ model: model(), space, host: HOST, virtual }));
      return made.at(-1)!.pci;
    },
  });
  const pf = new VirtioPci({ model: model(), space, host: HOST, virtualFunctions });
  const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
  const machine = new RootComplex();
  machine.bus.plug(8, port);
  port.secondary.plug(0, pf);
  machine.configWrite(8, 0x18, 4, 0x0001_0100);
  machine.configWrite(8, 0x20, 4, 0xfe00_fe00);
  machine.configWrite(8, 0x04, 2, 6);
  machine.configWrite(0x100, SRIOV + 0x24, 4, BAR);
  machine.configWrite(0x100, SRIOV + 0x10, 2, 2);
  machine.configWrite(0x100, SRIOV + 0x08, 2, 1);
  return { machine, pf, vfs: made, setMemory: (on: boolean) => machine.configWrite(0x100, SRIOV + 8, 2, on ? 9 : 1) };
}

test('dev.basic.reserved-features.9,.10: SR_IOV is offered by the function that has the capability, by no other', () => {
  const { pf, vfs } = card();
  expect([pf, ...vfs].map(({ device }) => hasFeature(device.offered, VIRTIO_F.SR_IOV))).toEqual([true, false, false]);
  const alone = new VirtioPci({ model: model(), space, host: HOST });
  expect(hasFeature(alone.device.offered, VIRTIO_F.SR_IOV)).toBe(false);
});

test('PCIe 5.0 §9.3.4.1: a virtual function has no ids, no BARs and no pin; its registers are in its share of the VF BAR', () => {
  const { machine, vfs, setMemory } = card();
  expect([0x00, 0x10, 0x14, 0x3c].map((at) => machine.configRead(0x102, at, 4))).toEqual([0xffff_ffff, 0, 0, 0]);
  expect(machine.memoryRead(BAR + 0x12, 2)).toBe(0xffff);
  setMemory(true);
  const share = registersBarBytes(2);
  // device_status of both: the second one is written.
  machine.memoryWrite(BAR + share + 0x14, 1, 1);
  expect([machine.memoryRead(BAR + 0x14, 1), machine.memoryRead(BAR + share + 0x14, 1)]).toEqual([0, 1]);
  expect(vfs.map(({ device }) => device.status)).toEqual([0, 1]);
  // A device that asks for the pin is not heard, and Interrupt Status stays 0.
  vfs[1]!.pci.setIntx(true);
  expect(vfs[1]!.pci.config.get16(6) & 8).toBe(0);
});

test('an explanation knows that VF MSE, not Command, lets accesses through to a virtual function', () => {
  const { vfs, setMemory } = card();
  const unreached = 'Memory space is off in the Command register, or in VF MSE: accesses do not reach the registers.';
  expect(explainDevice(vfs[0]!.device)).toContain(unreached);
  setMemory(true);
  expect(explainDevice(vfs[0]!.device)).not.toContain(unreached);
});

test('registersBarBytes is what the device’s own layout takes', () => {
  for (const queues of [1, 3, 64, 65, 511]) {
    const queueSizes = new Array<number>(queues).fill(16);
    const { layout } = new VirtioPci({ model: new RecordingModel({ queueSizes }), space, host: HOST });
    expect(registersBarBytes(queues)).toBe(layout.registersSize);
  }
});
