import { expect, test } from 'vitest';
import { PCI_AER_UNCORRECTABLE } from './capability-layouts.js';
import { PF, PORT, SriovMachine } from './testing/sriov-machine.js';

/** Places in the physical function: Express 0x40, AER 0x100. In the port: Express 0x48, AER 0x100. */
const DEVICE_CONTROL = 0x48;
const DEVICE_STATUS = 0x4a;
const UNCORRECTABLE = 0x104;
const UNCORRECTABLE_MASK = 0x108;
const SEVERITY = 0x10c;
const CORRECTABLE = 0x110;
const CORRECTABLE_MASK = 0x114;
const FIRST_ERROR = 0x118;
const HEADER = 0x11c;
const ROOT_STATUS = 0x130;
const ERROR_SOURCE = 0x134;
const UNSUPPORTED = 1 << 20;
/** In the port's window, and behind no BAR. */
const NOWHERE = 0xfe12_3456;

const numbered = (): SriovMachine => {
  const stage = new SriovMachine();
  stage.number();
  return stage;
};
const status = ({ machine }: SriovMachine): number[] =>
  [DEVICE_STATUS, UNCORRECTABLE, CORRECTABLE].map((at) => machine.configRead(PF, at, at === DEVICE_STATUS ? 2 : 4));
const header = ({ machine }: SriovMachine): number[] =>
  [0, 4, 8, 12].map((at) => machine.configRead(PF, HEADER + at, 4));

test('PCIe 5.0 §6.2.5: a write that nobody claims is an unsupported request, recorded with its header, and told', () => {
  const stage = numbered();
  const { machine } = stage;
  machine.configWrite(PF, DEVICE_CONTROL, 2, 0xf);
  machine.memoryWrite(NOWHERE, 2, 0);
  expect(status(stage)).toEqual([0xa, UNSUPPORTED, 0]);
  // MWr of 1 word from 00:00.0, byte enables 1100, and the address.
  expect([machine.configRead(PF, FIRST_ERROR, 4), ...header(stage)]).toEqual([20, 0x4000_0001, 0xc, 0xfe12_3454, 0]);
  // The port: uncorrectable, non-fatal, from 01:00.0.
  expect([machine.configRead(PORT, ROOT_STATUS, 4), machine.configRead(PORT, ERROR_SOURCE, 4)]).toEqual([
    0x24, 0x0100_0000,
  ]);
});

test('§6.2.4.2: the header of the first error stays until software clears it; the root port counts further messages', () => {
  const stage = numbered();
  const { machine } = stage;
  machine.configWrite(PF, DEVICE_CONTROL, 2, 0xf);
  machine.memoryWrite(NOWHERE, 2, 0);
  machine.memoryWrite(0xfe20_0000, 4, 0);
  expect([header(stage)[2], machine.configRead(PORT, ROOT_STATUS, 4)]).toEqual([0xfe12_3454, 0x2c]);
  machine.configWrite(PF, UNCORRECTABLE, 4, UNSUPPORTED);
  machine.memoryWrite(0xfe20_0000, 4, 0);
  expect([header(stage)[2], machine.configRead(PF, UNCORRECTABLE, 4)]).toEqual([0xfe20_0000, UNSUPPORTED]);
});

test('§6.2.3.2.4.1: a read in vain is an advisory error, masked until software wants it in detail', () => {
  const stage = numbered();
  const { machine } = stage;
  expect(machine.memoryRead(NOWHERE, 4)).toBe(0xffff_ffff);
  expect([...status(stage), machine.configRead(PORT, ROOT_STATUS, 4)]).toEqual([0x9, 0, 0x2000, 0]);
  machine.configWrite(PF, CORRECTABLE_MASK, 4, 0);
  machine.configWrite(PF, DEVICE_CONTROL, 2, 0x9);
  machine.memoryRead(0x10_0012_3456, 1);
  expect(status(stage)).toEqual([0x9, UNSUPPORTED, 0x2000]);
  // MRd with an address of 64 bits.
  expect(header(stage)).toEqual([0x2000_0001, 0x4, 0x10, 0x12_3454]);
  expect([machine.configRead(PORT, ROOT_STATUS, 4), machine.configRead(PORT, ERROR_SOURCE, 4)]).toEqual([0x1, 0x0100]);
});

test('§7.8.4.3, §7.8.4.4: a masked error sends nothing and keeps no header; a fatal one says so', () => {
  const stage = numbered();
  const { machine } = stage;
  machine.configWrite(PF, DEVICE_CONTROL, 2, 0xf);
  machine.configWrite(PF, UNCORRECTABLE_MASK, 4, UNSUPPORTED);
  machine.memoryWrite(NOWHERE, 2, 0);
  expect([...status(stage), ...header(stage), machine.configRead(PORT, ROOT_STATUS, 4)]).toEqual([
    0xa,
    UNSUPPORTED,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  machine.configWrite(PF, UNCORRECTABLE_MASK, 4, 0);
  machine.configWrite(PF, UNCORRECTABLE, 4, UNSUPPORTED);
  machine.configWrite(PF, SEVERITY, 4, UNSUPPORTED);
  machine.memoryWrite(NOWHERE, 2, 0);
  expect([machine.configRead(PF, DEVICE_STATUS, 2) & 4, machine.configRead(PORT, ROOT_STATUS, 4)]).toEqual([4, 0x54]);
});

test('§7.5.3.4: without the enables in Device Control nothing is told; SERR Enable tells uncorrectable ones all the same', () => {
  const stage = numbered();
  const { machine } = stage;
  machine.configWrite(PF, DEVICE_CONTROL, 2, 0x8);
  machine.memoryWrite(NOWHERE, 2, 0);
  expect(machine.configRead(PORT, ROOT_STATUS, 4)).toBe(0);
  machine.configWrite(PF, 4, 2, 0x106);
  machine.memoryWrite(NOWHERE, 2, 0);
  expect([machine.configRead(PORT, ROOT_STATUS, 4), machine.configRead(PF, 6, 2) & 0x4000]).toEqual([0x24, 0x4000]);
});

test('§6.2.3.2: a device that gives up a request reports a completer abort, in Status too', () => {
  const stage = numbered();
  const { machine } = stage;
  machine.configWrite(PF, CORRECTABLE_MASK, 4, 0);
  const request = [0x0000_0001, 0xf, 0xfe00_0000, 0] as const;
  machine.reportError({ pci: stage.pf, routingId: PF }, PCI_AER_UNCORRECTABLE.COMPLETER_ABORT, request, false);
  expect(status(stage)).toEqual([0x1, 1 << 15, 0x2000]);
  expect([machine.configRead(PF, FIRST_ERROR, 4), machine.configRead(PF, 6, 2) & 0x0800]).toEqual([15, 0x0800]);
});

test('§6.2.4: what AER recorded survives a function-level reset, until software clears it', () => {
  const stage = numbered();
  const { machine } = stage;
  machine.memoryWrite(NOWHERE, 2, 0);
  machine.configWrite(PF, DEVICE_CONTROL, 2, 0x8000);
  expect([machine.configRead(PF, UNCORRECTABLE, 4), machine.configRead(PF, FIRST_ERROR, 4), header(stage)[2]]).toEqual([
    UNSUPPORTED,
    20,
    0xfe12_3454,
  ]);
  machine.configWrite(PF, UNCORRECTABLE, 4, UNSUPPORTED);
  expect(machine.configRead(PF, UNCORRECTABLE, 4)).toBe(0);
});
