import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FIRST_VF, NicStage } from '../testing/nic-stage.js';

/** In a virtual function: Express 0x54. */
const DEVICE_CONTROL = 0x5c;

const given = (stage = new NicStage(2)) => {
  const [vf] = stage.enable(2);
  return { stage, vf: vf!, view: stage.give(vf!.routingId, stage.newGuest()) };
};

test('PCIe 5.0 §9.3.4.1: ids and Memory Space Enable of a virtual function are made up for its driver, the rest is its own', () => {
  const { stage, view } = given();
  expect([view.configRead(0, 4), stage.machine.configRead(FIRST_VF, 0, 4)]).toEqual([0x1041_1af4, 0xffff_ffff]);
  expect([view.configRead(1, 2), view.configRead(3, 2), view.configRead(2, 3)]).toEqual([0x411a, 0x0010, 0x00_1041]);
  // Before the first byte there is nothing.
  expect(view.configRead(-2, 4)).toBe(0x1af4_ffff);
  view.configWrite(4, 2, 0xffff);
  expect([view.configRead(4, 2), stage.machine.configRead(FIRST_VF, 4, 2)]).toEqual([0x6, 0x4]);
  expect(view.configRead(8, 4)).toBe(stage.machine.configRead(FIRST_VF, 8, 4));
});

test('PCI 3.0 §6.2.5.1: a guest finds the BAR’s size by sizing, and puts it where it likes; the function stays where it is', () => {
  const { stage, vf, view } = given();
  const { size, address } = vf.bars[0]!;
  view.configWrite(0x10, 4, 0xffff_ffff);
  view.configWrite(0x14, 4, 0xffff_ffff);
  expect([view.configRead(0x10, 4), view.configRead(0x14, 4)]).toEqual([(~(size - 1) | 4) >>> 0, 0xffff_ffff]);
  view.configWrite(0x10, 4, 0x8000_0000);
  view.configWrite(0x14, 4, 0x1);
  expect([view.configRead(0x10, 4), view.configRead(0x14, 4)]).toEqual([0x8000_0004, 1]);
  // Bytes beside the registers reach the function, bytes in them do not.
  view.configWrite(0x0f, 4, 0xabcd_ef00);
  expect([size, view.configRead(0x10, 4)]).toEqual([0x8000, 0x80ab_8004]);
  expect(stage.nic.personalityOf(0)!.pci.barAddress(0)).toBe(address);
});

test('BARs answer while the guest’s Memory Space Enable is set; a reset by the guest clears it and its BARs', () => {
  const { view } = given();
  // num_queues in common configuration.
  expect(view.barRead(0, 0x12, 2)).toBe(0xffff);
  view.configWrite(4, 2, 6);
  expect(view.barRead(0, 0x12, 2)).toBe(3);
  view.configWrite(0x10, 4, 0x8000_0000);
  view.configWrite(DEVICE_CONTROL + 1, 1, 0x80);
  expect([view.barRead(0, 0x12, 2), view.configRead(4, 2), view.configRead(0x10, 4)]).toEqual([0xffff, 0, 4]);
});

test('PCIe 5.0 §9.4.1: what a function in D3hot does not take is recorded there, not by its physical function', () => {
  const { stage, view } = given();
  view.configWrite(4, 2, 6);
  // Power Management at 0x40.
  view.configWrite(0x44, 2, 3);
  const physical = stage.nic.pci.config.bytes.slice();
  view.barWrite(0, 0x14, 1, 1);
  expect([view.configRead(DEVICE_CONTROL + 2, 2), view.barRead(0, 0x14, 1)]).toEqual([0xa, 0xff]);
  expect(stage.nic.pci.config.bytes).toEqual(physical);
});

test('whatever a guest writes: nothing throws, and no byte of another function’s configuration space changes', () => {
  const { stage, view } = given();
  const others = (): string => {
    const hash = createHash('sha1');
    for (const { config } of [stage.nic.pci, stage.port.pci, stage.nic.personalityOf(1)!.pci])
      hash.update(config.bytes);
    return hash.digest('hex');
  };
  const before = others();
  const offset = fc.oneof(fc.integer({ min: 0, max: 0x120 }), fc.integer({ min: -8, max: 0x1010 }));
  fc.assert(
    fc.property(offset, fc.constantFrom(1, 2, 4), fc.integer({ min: 0, max: 0xffff_ffff }), (at, size, value) => {
      view.configWrite(at, size, value);
      view.barWrite(0, at * 64, size, value);
      for (const read of [view.configRead(at, size), view.barRead(0, at * 64, size)])
        if (!Number.isInteger(read) || read < 0 || read >= 2 ** (size * 8)) expect.unreachable();
    }),
    { numRuns: 2000 },
  );
  expect(others()).toBe(before);
});
