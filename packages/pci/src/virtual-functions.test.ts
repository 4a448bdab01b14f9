import { expect, test } from 'vitest';
import type { PciFunction } from './pci-function.js';
import { FIRST_VF, PF, REGISTERS, SriovMachine, VF_BAR_SIZE, VF_BASE } from './testing/sriov-machine.js';

/** Offsets in the capability. */
const CONTROL = 0x08;
const NUM_VFS = 0x10;
const PAGE_SIZE = 0x20;

const numbered = (change: ConstructorParameters<typeof SriovMachine>[0] = {}): SriovMachine => {
  const stage = new SriovMachine(change);
  stage.number();
  return stage;
};
const ids = (stage: SriovMachine): number[] => [...stage.machine.functions()].map(({ routingId }) => routingId);
/** Places in a virtual function: MSI-X 0x40, Express 0x4c. */
const vfDeviceControl = 0x4c + 0x08;

test('PCIe 5.0 §9.3.3: the capability as it is before software writes it', () => {
  const stage = new SriovMachine();
  const words = [0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x3c];
  expect(words.map((at) => stage.readSriov(at, 4))).toEqual([
    0, 0, 0x0008_0008, 0, 0x0002_0180, 0x10ca_0000, 0x553, 1, 0xc, 0, 0, 0, 0,
  ]);
});

test('PCIe 5.0 §9.2.1.2: functions appear with VF Enable, First VF Offset and VF Stride behind the PF, and go with it', () => {
  const stage = numbered();
  stage.enable(3);
  expect(ids(stage)).toEqual([0x0008, PF, FIRST_VF, FIRST_VF + 1, FIRST_VF + 2]);
  expect([...stage.machine.functions()].at(-1)).toMatchObject({ routingId: 0x182, physicalId: PF, above: 0x0008 });
  expect(stage.machine.configRead(FIRST_VF + 2, 0, 4)).toBe(0xffff_ffff);
  expect(stage.machine.configRead(FIRST_VF + 2, 8, 4)).toBe(0x0200_0001);
  expect(stage.machine.functionAt(FIRST_VF + 3)).toBeUndefined();
  stage.writeSriov(CONTROL, 2, 0x10);
  expect(ids(stage)).toEqual([0x0008, PF]);
  expect(stage.machine.configRead(FIRST_VF, 8, 4)).toBe(0xffff_ffff);
});

test('PCIe 5.0 §9.3.3.9: offset and stride follow ARI Capable Hierarchy; without it, functions are on a further bus', () => {
  const stage = new SriovMachine();
  stage.number(false);
  stage.enable(2, false);
  expect([stage.readSriov(0x14, 4), ...ids(stage).slice(2)]).toEqual([0x0002_0180, 0x280, 0x282]);
  expect(stage.machine.configRead(0x282, 8, 4)).toBe(0x0200_0001);
  stage.writeSriov(CONTROL, 2, 0x10);
  expect(stage.readSriov(0x14, 4)).toBe(0x0001_0080);
});

test('PCIe 5.0 §7.3.1: a port that does not forward ARI reaches no function of device 16', () => {
  const stage = new SriovMachine();
  stage.number(false);
  stage.enable(1);
  expect(stage.machine.configRead(FIRST_VF, 8, 4)).toBe(0xffff_ffff);
  stage.machine.configWrite(0x0008, 0x70, 2, 0x20);
  expect(stage.machine.configRead(FIRST_VF, 8, 4)).toBe(0x0200_0001);
});

test('PCIe 5.0 §9.3.4.1: the header of a virtual function is 0 but for what it has itself, whatever is written', () => {
  const stage = numbered();
  stage.enable(1);
  const { machine } = stage;
  for (let at = 0; at < 0x40; at += 4) machine.configWrite(FIRST_VF, at, 4, 0xffff_ffff);
  expect(Array.from({ length: 16 }, (_, i) => machine.configRead(FIRST_VF, i * 4, 4))).toEqual([
    // Command has Bus Master Enable alone; Status the capability list.
    0xffff_ffff, 0x0010_0004, 0x0200_0001, 0, 0, 0, 0, 0, 0, 0, 0, 0x1100_1af4, 0, 0x40, 0, 0,
  ]);
  // Device Control: but for the reset, the settings are the physical function's. So is Link Control.
  machine.configWrite(FIRST_VF, vfDeviceControl, 2, 0x7fff);
  machine.configWrite(FIRST_VF, 0x4c + 0x10, 2, 0xffff);
  machine.configWrite(FIRST_VF, 0x4c + 0x28, 2, 0xffff);
  expect([0x08, 0x10, 0x28].map((at) => machine.configRead(FIRST_VF, 0x4c + at, 2))).toEqual([0, 0, 0]);
  // Function Level Reset Capability.
  expect(machine.configRead(FIRST_VF, 0x4c + 4, 4) & 0x1000_0000).toBe(0x1000_0000);
});

test('PCIe 5.0 §9.3.3.3.4: VF MSE decodes the VF BARs of all, each share behind the one before', () => {
  const stage = numbered();
  stage.enable(4);
  const { machine, registers } = stage;
  machine.memoryWrite(VF_BASE + 0x10_0000 + 2 * VF_BAR_SIZE + REGISTERS, 4, 0x1234_5678);
  expect([...registers.get('vf2')!.subarray(0, 4)]).toEqual([0x78, 0x56, 0x34, 0x12]);
  expect([0, 1, 3].map((n) => registers.get(`vf${n}`)!.some((byte) => byte !== 0))).toEqual([false, false, false]);
  stage.writeSriov(CONTROL, 2, 0x11);
  expect(machine.memoryRead(VF_BASE + 0x10_0000 + 2 * VF_BAR_SIZE + REGISTERS, 4)).toBe(0xffff_ffff);
  // The functions are still there.
  expect(machine.configRead(FIRST_VF + 2, 8, 4)).toBe(0x0200_0001);
  stage.writeSriov(CONTROL, 2, 0x19);
  expect(machine.memoryRead(VF_BASE + 0x10_0000 + 2 * VF_BAR_SIZE + REGISTERS, 2)).toBe(0x5678);
});

test('PCIe 5.0 §9.3.3.14: sizing says one share; a VF BAR that moves takes all shares along', () => {
  const stage = numbered();
  stage.enable(2);
  stage.registers.get('vf1')![0] = 0xab;
  stage.writeSriov(0x24, 4, 0xffff_ffff);
  stage.writeSriov(0x30, 4, 0xffff_ffff);
  expect([stage.readSriov(0x24, 4), stage.readSriov(0x30, 4)]).toEqual([0xffff_c00c, 0xffff_f000]);
  stage.writeSriov(0x24, 4, 0x20_0000);
  expect(stage.machine.memoryRead(VF_BASE + 0x10_0000 + VF_BAR_SIZE + REGISTERS, 1)).toBe(0xff);
  expect(stage.machine.memoryRead(VF_BASE + 0x20_0000 + VF_BAR_SIZE + REGISTERS, 1)).toBe(0xab);
});

test('PCIe 5.0 §9.3.3.13: with larger system pages, shares are as large, and what is behind stays the same', () => {
  const stage = numbered();
  // 64 KiB.
  stage.writeSriov(PAGE_SIZE, 4, 0x10);
  stage.writeSriov(0x24, 4, 0xffff_ffff);
  stage.writeSriov(0x30, 4, 0xffff_ffff);
  expect([stage.readSriov(0x24, 4), stage.readSriov(0x30, 4)]).toEqual([0xffff_000c, 0xffff_0000]);
  stage.writeSriov(0x24, 4, 0x10_0000);
  stage.enable(2);
  stage.registers.get('vf1')![0] = 0xab;
  expect(stage.machine.memoryRead(VF_BASE + 0x11_0000 + REGISTERS, 1)).toBe(0xab);
  expect(stage.machine.memoryRead(VF_BASE + 0x11_8000, 4)).toBe(0);
});

test('SR-01: NumVFs above TotalVFs is not taken, also when it comes byte by byte; no function beyond the total', () => {
  const stage = numbered();
  stage.writeSriov(NUM_VFS, 2, 5);
  for (const [at, size, value] of [
    [NUM_VFS, 2, 9],
    [NUM_VFS, 2, 0xffff],
    [NUM_VFS, 1, 9],
    [NUM_VFS + 1, 1, 1],
    [NUM_VFS, 4, 0x105],
    [NUM_VFS - 1, 4, 0x01_0500],
  ] as const) {
    stage.writeSriov(at, size, value);
    expect(stage.readSriov(NUM_VFS, 2)).toBe(5);
  }
  stage.writeSriov(CONTROL, 2, 0x19);
  expect([stage.virtualFunctions.functions.length, stage.machine.functionAt(FIRST_VF + 5)]).toEqual([5, undefined]);
});

test('SR-02: NumVFs, System Page Size and ARI Capable Hierarchy do not change while VF Enable is set', () => {
  const stage = numbered();
  stage.enable(3);
  const before = ids(stage);
  stage.writeSriov(NUM_VFS, 2, 7);
  stage.writeSriov(PAGE_SIZE, 4, 0x10);
  stage.writeSriov(CONTROL, 2, 0x09);
  expect([stage.readSriov(NUM_VFS, 2), stage.readSriov(PAGE_SIZE, 4), stage.readSriov(CONTROL, 2)]).toEqual([
    3, 1, 0x19,
  ]);
  expect([ids(stage), stage.readSriov(0x14, 4)]).toEqual([before, 0x0001_0080]);
  stage.writeSriov(CONTROL, 2, 0);
  stage.writeSriov(NUM_VFS, 2, 7);
  expect(stage.readSriov(NUM_VFS, 2)).toBe(7);
});

test('SR-03: VF Enable toggled 10 000 times: what was there before answers nothing, may send nothing and is not kept', () => {
  const stage = numbered();
  stage.writeSriov(NUM_VFS, 2, 2);
  for (let turn = 0; turn < 10_000; turn++) {
    stage.writeSriov(CONTROL, 2, 0x19);
    const last = stage.virtualFunctions.functions[1]!;
    last.configWrite(4, 2, 4);
    stage.writeSriov(CONTROL, 2, 0x10);
    if (last.mayMaster || !last.removed || last.configRead(8, 4) !== 0xffff_ffff) expect.unreachable();
  }
  expect([stage.virtualFunctions.functions.length, ids(stage)]).toEqual([0, [0x0008, PF]]);
  expect(stage.log.filter((line) => line === 'vf1 removed')).toHaveLength(10_000);
});

test('SR-04: a byte write that does not cover VF Enable does not act on it', () => {
  const stage = numbered();
  stage.writeSriov(NUM_VFS, 2, 2);
  stage.writeSriov(CONTROL + 1, 1, 0x01);
  stage.writeSriov(CONTROL + 1, 2, 0x0101);
  expect([stage.readSriov(CONTROL, 2), stage.virtualFunctions.functions.length]).toEqual([0, 0]);
  stage.writeSriov(CONTROL, 1, 0x09);
  stage.writeSriov(CONTROL + 1, 1, 0);
  expect([stage.readSriov(CONTROL, 2), stage.virtualFunctions.functions.length]).toEqual([0x09, 2]);
});

test('SR-05: a System Page Size of no bit, of several, or not supported, is not taken', () => {
  const stage = numbered();
  stage.writeSriov(PAGE_SIZE, 4, 2);
  // 16 KiB and 2 GiB are not supported: no bit is left.
  for (const pages of [0, 3, 0x553, 4, 0x8_0000]) {
    stage.writeSriov(PAGE_SIZE, 4, pages);
    expect(stage.readSriov(PAGE_SIZE, 4)).toBe(2);
  }
});

test('SR-06: one byte before the first function and one past the last are not decoded', () => {
  const stage = numbered();
  stage.enable(4);
  const base = VF_BASE + 0x10_0000;
  const { machine } = stage;
  expect([machine.memoryRead(base, 1), machine.memoryRead(base + 4 * VF_BAR_SIZE - 1, 1)]).toEqual([0, 0]);
  expect([machine.memoryRead(base - 1, 1), machine.memoryRead(base + 4 * VF_BAR_SIZE, 1)]).toEqual([0xff, 0xff]);
  // Across the end: each byte is who claims it.
  expect(machine.memoryRead(base + 4 * VF_BAR_SIZE - 2, 4)).toBe(0xffff_0000);
});

test('SR-07: what is written across the border to the next function changes only what its bytes lie in', () => {
  const stage = numbered({
    vfBars: [
      { index: 0, space: 'memory64', size: VF_BAR_SIZE },
      { index: 3, space: 'memory32', size: 0x1000 },
    ],
  });
  stage.enable(3);
  const { machine, registers } = stage;
  const untouched = (): boolean =>
    ['vf1', 'vf2', 'pf'].every((name) => registers.get(name)!.every((byte) => byte === 0));
  const base = VF_BASE + 0x10_0000;
  for (const back of [1, 2, 3]) machine.memoryWrite(base + VF_BAR_SIZE - back, 4, 0xffff_ffff);
  machine.memoryWriteBytes(base + VF_BAR_SIZE - REGISTERS, new Uint8Array(2 * REGISTERS).fill(0xff));
  expect(untouched()).toBe(true);
  // Through the function itself nothing past its own share is in reach.
  stage.virtualFunctions.functions[0]!.barWrite(0, VF_BAR_SIZE + REGISTERS, 4, 1);
  stage.virtualFunctions.functions[0]!.windowWrite(0, VF_BAR_SIZE + REGISTERS, 4, 1);
  expect(untouched()).toBe(true);
});

test('SR-09: a function-level reset of one changes nothing of the others', () => {
  const stage = numbered();
  stage.enable(3);
  const { machine, registers, log } = stage;
  for (const n of [0, 1, 2]) {
    machine.configWrite(FIRST_VF + n, 4, 2, 4);
    machine.memoryWrite(VF_BASE + 0x10_0000 + n * VF_BAR_SIZE + REGISTERS, 4, 0x1111 * (n + 1));
  }
  const others = [0, 2].map((n) => stage.virtualFunctions.functions[n]!.config.bytes.slice());
  log.length = 0;
  machine.configWrite(FIRST_VF + 1, vfDeviceControl, 2, 0x8000);
  expect(log).toEqual(['vf1 master false', 'vf1 reset function-level']);
  expect([machine.configRead(FIRST_VF + 1, 4, 2), machine.configRead(FIRST_VF + 1, vfDeviceControl, 2)]).toEqual([
    0, 0,
  ]);
  expect([0, 2].map((n) => stage.virtualFunctions.functions[n]!.config.bytes)).toEqual(others);
  expect([registers.get('vf0')![0], registers.get('vf2')![0]]).toEqual([0x11, 0x33]);
  // Its BAR is the physical function's, and is still decoded.
  expect(machine.memoryRead(VF_BASE + 0x10_0000 + VF_BAR_SIZE, 4)).toBe(0);
});

test('SR-10: a function-level reset of the PF ends its functions first, the last one first; VF Enable reads 0', () => {
  const stage = numbered();
  stage.enable(3);
  for (const vf of stage.virtualFunctions.functions) vf.configWrite(4, 2, 4);
  const old = [...stage.virtualFunctions.functions];
  stage.log.length = 0;
  // Device Control of the physical function: Express at 0x40.
  stage.machine.configWrite(PF, 0x48, 2, 0x8000);
  expect(stage.log).toEqual([
    'vf2 removed',
    'vf1 removed',
    'vf0 removed',
    'pf master false',
    'pf reset function-level',
  ]);
  expect([stage.readSriov(CONTROL, 2), stage.readSriov(NUM_VFS, 2), ...old.map(({ mayMaster }) => mayMaster)]).toEqual([
    0,
    0,
    false,
    false,
    false,
  ]);
});

test('the PF pulled out: its functions go before it', () => {
  const stage = numbered();
  stage.enable(2);
  stage.log.length = 0;
  stage.port.secondary.unplug(0);
  expect(stage.log).toEqual(['vf1 removed', 'vf0 removed', 'pf removed']);
  expect([ids(stage), stage.machine.configRead(FIRST_VF, 8, 4)]).toEqual([[0x0008], 0xffff_ffff]);
});

test('PCIe 5.0 §9.3.4.1.3: bus mastering is each function’s own, the PF’s has no say; without it messages stay pending', () => {
  const stage = numbered();
  stage.enable(2);
  const { machine, log } = stage;
  const [first, second] = stage.virtualFunctions.functions as [PciFunction, PciFunction];
  for (const n of [0, 1]) {
    // MSI-X Enable; the table is in VF BAR 3, 4 KiB each.
    machine.configWrite(FIRST_VF + n, 0x42, 2, 0x8000);
    machine.memoryWrite(0xfe80_0000 + n * 0x1000, 4, 0xfee0_0000);
    machine.memoryWrite(0xfe80_0008 + n * 0x1000, 4, 0x40 + n);
    machine.memoryWrite(0xfe80_000c + n * 0x1000, 4, 0);
  }
  machine.configWrite(PF, 4, 2, 2);
  machine.configWrite(FIRST_VF, 4, 2, 4);
  log.length = 0;
  first.msix!.raise(0);
  second.msix!.raise(0);
  expect([log, second.msix!.isPending(0), machine.memoryRead(0xfe80_1800, 4)]).toEqual([
    ['vf0 message fee00000=40'],
    true,
    1,
  ]);
  machine.configWrite(FIRST_VF + 1, 4, 2, 4);
  expect(log).toEqual(['vf0 message fee00000=40', 'vf1 master true', 'vf1 message fee00000=41']);
});

test('functions past bus 255 do not exist: their requests would carry ids of others', () => {
  const stage = new SriovMachine({ routing: { first: 0x80, stride: 0x1000 } });
  stage.virtualFunctions.physicalId = () => 0xf000;
  stage.enable(8);
  expect(stage.seats.map(({ routingId }) => routingId)).toEqual([0xf080]);
});

test('what no SR-IOV capability can be is the caller’s mistake', () => {
  const made = (change: ConstructorParameters<typeof SriovMachine>[0]) => () => new SriovMachine(change);
  expect(made({ totalVfs: 0 })).toThrow('totalVfs is 0, want 1 to 65535 (PCIe 5.0 §9.3.3)');
  expect(made({ routing: { first: 0, stride: 1 } })).toThrow('First VF Offset is 0');
  expect(made({ routing: { first: 1, stride: 0 } })).toThrow('VF Stride is 0');
  expect(made({ totalVfs: 0x1000, routing: { first: 1, stride: 0x100 } })).toThrow(
    'routing id of the last VF, from the PF',
  );
  expect(made({ supportedPageSizes: 1 })).toThrow('supportedPageSizes is 1, want all of 1363');
  const stage = new SriovMachine({ vfBars: [{ index: 0, space: 'memory64', size: 0x1000 }] });
  expect(() => stage.enable(1)).toThrow('BAR 0 size is 16384, want at most 4096, a VF BAR');
});
