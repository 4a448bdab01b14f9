import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PciPort } from './pci-port.js';
import { ECAM_BYTES, RootComplex } from './root-complex.js';
import { FIRST_VF, PF, PORT, REGISTERS, SriovMachine, VF_BASE } from './testing/sriov-machine.js';
import { started, testFunction } from './testing/test-function.js';

const numbered = (): SriovMachine => {
  const stage = new SriovMachine();
  stage.number();
  return stage;
};
const ecam = (routingId: number, offset: number): number => routingId * 4096 + offset;

test('PCIe 5.0 §7.2.2: ECAM gives every byte of every function, in accesses of any size at any offset', () => {
  const stage = numbered();
  stage.enable(2);
  const { machine } = stage;
  expect(machine.ecamRead(ecam(PF, 0), 4)).toBe(0x10c9_8086);
  expect([1, 2, 3, 4].map((size) => machine.ecamRead(ecam(PF, 1), size))).toEqual([
    0x80, 0xc980, 0x10_c980, 0x0610_c980,
  ]);
  const functions = new Map([...machine.functions()].map(({ routingId, pci }) => [routingId, pci.config.bytes]));
  const byteAt = (offset: number): number => functions.get(Math.floor(offset / 4096))?.[offset % 4096] ?? 0xff;
  const near = fc.constantFrom(0, PORT, PF - 1, PF, FIRST_VF - 1, FIRST_VF, FIRST_VF + 1, FIRST_VF + 2, 0xffff);
  fc.assert(
    fc.property(
      near,
      fc.integer({ min: 0, max: 4095 }),
      fc.integer({ min: 1, max: 40 }),
      (routingId, offset, length) => {
        const into = new Uint8Array(length);
        machine.ecamReadBytes(ecam(routingId, offset), into);
        expect([...into]).toEqual(Array.from(into, (_, i) => byteAt(ecam(routingId, offset) + i)));
        for (const size of [1, 2, 3, 4]) {
          const bytes = Array.from({ length: size }, (_, i) => byteAt(ecam(routingId, offset) + i));
          expect(machine.ecamRead(ecam(routingId, offset), size)).toBe(
            bytes.reduceRight((sum, byte) => sum * 256 + byte, 0),
          );
        }
      },
    ),
  );
});

test('ECAM writes any number of bytes, and nothing past the window or where nobody is', () => {
  const { machine } = numbered();
  machine.ecamWriteBytes(ecam(PF, 0x0b), Uint8Array.of(0xff, 0x10, 0xff, 0xff, 0xff, 0, 0xf0, 0xff));
  // Class code and header type are read-only; Cache Line Size and BAR 0 (4 KiB) are not.
  expect([machine.ecamRead(ecam(PF, 8), 4), machine.ecamRead(ecam(PF, 0xc), 1)]).toEqual([0x0200_0001, 0x10]);
  expect(machine.ecamRead(ecam(PF, 0x10), 4)).toBe(0xfeff_f000);
  for (const offset of [-1, -4096, ECAM_BYTES, 2 ** 40, Number.NaN, 0.5 + ECAM_BYTES, ecam(PF + 1, 0)]) {
    machine.ecamWrite(offset, 4, 0);
    expect(machine.ecamRead(offset, 4)).toBe(0xffff_ffff);
  }
  for (const size of [0, 5, 8, -1, 1.5]) expect(machine.ecamRead(ecam(PF, 0), size)).toBe(0xffff_ffff);
});

test('PCIe 5.0 §7.5.1.3.3: a port leads to the buses it was given, and to none before', () => {
  const stage = new SriovMachine();
  const { machine } = stage;
  expect([machine.configRead(PF, 0, 4), machine.configRead(PORT, 0, 4)]).toEqual([0xffff_ffff, 0x000c_1b36]);
  stage.number();
  expect(machine.configRead(PF, 0, 4)).toBe(0x10c9_8086);
  machine.configWrite(PORT, 0x18, 4, 0x0006_0500);
  expect([machine.configRead(PF, 0, 4), machine.configRead(0x0500, 0, 4)]).toEqual([0xffff_ffff, 0x10c9_8086]);
  expect(machine.routingIdOf(stage.pf)).toBe(0x0500);
});

test('PCIe 5.0 §7.5.1.3.8: memory goes through open windows alone, and to where BARs are at that moment', () => {
  const stage = numbered();
  const { machine, registers } = stage;
  machine.memoryWrite(0xfe00_0002, 2, 0xbeef);
  expect([...registers.get('pf')!.subarray(0, 5)]).toEqual([0, 0, 0xef, 0xbe, 0]);
  expect([machine.memoryRead(0xfe00_0000, 4), machine.memoryRead(0xfe00_0003, 1)]).toEqual([0xbeef_0000, 0xbe]);
  machine.configWrite(PF, 0x10, 4, 0xfe40_0000);
  expect([machine.memoryRead(0xfe00_0000, 4), machine.memoryRead(0xfe40_0000, 4)]).toEqual([0xffff_ffff, 0xbeef_0000]);
  // Outside the window the function decodes its BAR, but nothing comes there.
  machine.configWrite(PF, 0x10, 4, 0xfd00_0000);
  expect([stage.pf.barAddress(0), machine.memoryRead(0xfd00_0000, 4)]).toEqual([0xfd00_0000, 0xffff_ffff]);
  machine.configWrite(PF, 0x10, 4, 0xfe00_0000);
  // The port's Memory Space Enable; a base above the limit.
  machine.configWrite(PORT, 4, 2, 0);
  expect(machine.memoryRead(0xfe00_0000, 4)).toBe(0xffff_ffff);
  machine.configWrite(PORT, 4, 2, 6);
  machine.configWrite(PORT, 0x20, 4, 0xfd00_fe00);
  expect(machine.memoryRead(0xfe00_0000, 4)).toBe(0xffff_ffff);
});

test('of two BARs at one address the function with the lower number answers; when it moves away, the other one does', () => {
  const machine = new RootComplex();
  const tests = [testFunction(), testFunction()];
  machine.bus.plug(0x20, tests[0]!);
  machine.bus.plug(0x18, tests[1]!);
  for (const [i, { pci, registers }] of tests.entries()) {
    registers[0] = 0xa0 + i;
    pci.configWrite(0x10, 4, 0xd000_0000);
    pci.configWrite(0x04, 2, 2);
  }
  expect(machine.memoryRead(0xd000_0100, 1)).toBe(0xa1);
  tests[1]!.pci.configWrite(0x10, 4, 0xd000_4000);
  expect([machine.memoryRead(0xd000_0100, 1), machine.memoryRead(0xd000_4100, 1)]).toEqual([0xa0, 0xa1]);
  expect(machine.memoryRead(0xd000_3fff, 2)).toBe(0);
});

test('I/O ports are routed as memory is, in a space of their own', () => {
  const machine = new RootComplex();
  const stage = started();
  machine.bus.plug(0x18, stage);
  machine.ioWrite(0xc041, 2, 0x1234);
  expect([machine.ioRead(0xc041, 2), machine.ioRead(0xc080, 1), machine.memoryRead(0xc041, 2)]).toEqual([
    0x1234, 0xff, 0xffff,
  ]);
});

test('a switch: config and memory find their way through three ports, and a port without numbers leads nowhere', () => {
  const machine = new RootComplex();
  const port = (kind: 'root-port' | 'upstream-port' | 'downstream-port'): PciPort =>
    new PciPort({ kind, vendorId: 0x1b36, deviceId: 1 });
  const [root, up, left, right] = [
    port('root-port'),
    port('upstream-port'),
    port('downstream-port'),
    port('downstream-port'),
  ];
  const card = started();
  machine.bus.plug(8, root);
  root.secondary.plug(0, up);
  up.secondary.plug(0, left);
  up.secondary.plug(8, right);
  right.secondary.plug(0, card);
  for (const [id, buses] of [
    [0x0008, 0x04_0100],
    [0x0100, 0x04_0201],
    [0x0208, 0x04_0402],
  ] as const) {
    machine.configWrite(id, 0x18, 4, buses);
    machine.configWrite(id, 0x20, 4, 0xfd10_fd00);
    machine.configWrite(id, 4, 2, 6);
  }
  card.registers[4] = 0x77;
  card.pci.configWrite(0x10, 4, 0xfd10_0000);
  card.pci.configWrite(0x14, 4, 0);
  expect(machine.configRead(0x0400, 0, 4)).toBe(0x1041_1af4);
  expect(machine.memoryRead(0xfd10_0104, 1)).toBe(0x77);
  expect([...machine.functions()].map(({ routingId, above }) => [routingId, above])).toEqual([
    [0x0008, undefined],
    [0x0100, 0x0008],
    [0x0200, 0x0100],
    [0x0208, 0x0100],
    [0x0400, 0x0208],
  ]);
  // A port that was never numbered is no way to bus 0 or 3.
  expect([0x0300, 0x0301].map((id) => machine.configRead(id, 0, 4))).toEqual([0xffff_ffff, 0xffff_ffff]);
});

test('PCIe 5.0 §7.5.1.3.13: Secondary Bus Reset resets what is behind the port, which is out of reach meanwhile', () => {
  const stage = numbered();
  stage.enable(2);
  const { machine, log } = stage;
  log.length = 0;
  machine.configWrite(PORT, 0x3e, 2, 0x40);
  expect(log).toEqual(['vf1 removed', 'vf0 removed', 'pf master false', 'pf reset power-on']);
  expect([machine.configRead(PF, 0, 4), machine.memoryRead(0xfe00_0000, 4)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  machine.configWrite(PORT, 0x3e, 2, 0);
  expect([machine.configRead(PF, 0, 4), machine.configRead(PF, 4, 2), log.length]).toEqual([0x10c9_8086, 0, 4]);
  // A reset of the port itself ends it as well.
  machine.configWrite(PORT, 0x3e, 2, 0x40);
  stage.port.pci.reset('power-on');
  stage.number();
  expect(machine.configRead(PF, 0, 4)).toBe(0x10c9_8086);
});

test('a place on a bus is taken once, and one below 256', () => {
  const machine = new RootComplex();
  machine.bus.plug(8, testFunction());
  expect(() => machine.bus.plug(8, testFunction())).toThrow('place is 8, want one from 0 to 255 that is free');
  expect(() => machine.bus.plug(256, testFunction())).toThrow('place is 256');
});

test('whatever is written where: nothing throws, and what is read is a number of that many bytes', () => {
  const stage = numbered();
  stage.enable(4);
  const { machine } = stage;
  const at = fc.oneof(
    fc.integer({ min: 0, max: 0x20_0fff }),
    fc.constantFrom(ecam(PF, 0x160), ecam(FIRST_VF, 0), ecam(PORT, 0x18)),
  );
  const address = fc.oneof(
    fc.integer({ min: 0xfdff_ff00, max: 0xff00_0000 }),
    fc.integer({ min: VF_BASE - 8, max: VF_BASE + 0x20_0000 }),
  );
  const word = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(at, address, fc.constantFrom(1, 2, 3, 4), word, (offset, memory, size, value) => {
      machine.ecamWrite(offset, size, value);
      machine.memoryWrite(memory, size, value);
      for (const read of [machine.ecamRead(offset, size), machine.memoryRead(memory + REGISTERS, size)])
        if (!Number.isInteger(read) || read < 0 || read >= 2 ** (size * 8)) expect.unreachable();
      expect(stage.virtualFunctions.functions.length).toBeLessThanOrEqual(8);
    }),
    { numRuns: 2000 },
  );
});
