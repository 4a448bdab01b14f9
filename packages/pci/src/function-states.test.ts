import { expect, test } from 'vitest';
import { advancedErrorReporting } from './extended-capabilities.js';
import { COMMAND, PBA, started, testFunction } from './testing/test-function.js';

/** Places in the test function: Power Management 0x40, MSI-X 0x48, Express 0x54. */
const PMCSR = 0x44;
const MSIX_CONTROL = 0x4a;
const DEVICE_CONTROL = 0x5c;

test('PCIe 5.0 §6.1.3: INTx follows the level, Interrupt Disable and MSI-X; Interrupt Status the level alone', () => {
  const { pci, events } = started();
  const status = (): number => pci.configRead(6, 2) & 8;
  pci.setIntx(true);
  pci.setIntx(true);
  expect([status(), ...events]).toEqual([8, 'intx on']);
  pci.configWrite(COMMAND, 2, 0x0407);
  expect([status(), ...events]).toEqual([8, 'intx on', 'intx off']);
  pci.configWrite(COMMAND, 2, 0x0007);
  pci.configWrite(MSIX_CONTROL, 2, 0x8000);
  expect([status(), ...events]).toEqual([0, 'intx on', 'intx off', 'intx on', 'intx off']);
  pci.configWrite(MSIX_CONTROL, 2, 0);
  pci.setIntx(false);
  expect([status(), ...events.slice(4)]).toEqual([0, 'intx on', 'intx off']);
});

test('PCIe 5.0 §7.5.1.1.3: a pin does not need bus mastering', () => {
  const { pci, events } = started();
  pci.configWrite(COMMAND, 2, 0x0002);
  events.length = 0;
  pci.setIntx(true);
  expect(events).toEqual(['intx on']);
});

test('a function without a pin has no INTx', () => {
  const { pci, events } = started({ interruptPin: 0 });
  pci.setIntx(true);
  expect([events, pci.configRead(6, 2) & 8]).toEqual([[], 0]);
});

test('PC-20: a function-level reset puts registers back, stops DMA before the device is reset, and reads as done', () => {
  const { pci, events } = started({ extra: [advancedErrorReporting()] });
  pci.configWrite(MSIX_CONTROL, 2, 0xc000);
  pci.barWrite(2, 0x0c, 4, 0);
  pci.msix!.raise(0);
  pci.setIntx(true);
  pci.configWrite(0x3c, 1, 11);
  pci.configWrite(0x0c, 1, 16);
  // Max_Payload_Size and Link Control outlive a function-level reset (§6.6.2), and so does AER.
  pci.configWrite(DEVICE_CONTROL, 2, 0x2830);
  pci.configWrite(0x64, 2, 0x0040);
  pci.configWrite(0x108, 4, 0x0010_0000);
  pci.configWrite(DEVICE_CONTROL + 1, 1, 0xa8);
  expect(events).toEqual(['master off', 'reset function-level', 'bar 0 off', 'bar 2 off', 'bar 3 off']);
  expect(pci.configRead(DEVICE_CONTROL, 2)).toBe(0x2830);
  expect([pci.configRead(0x64, 2), pci.configRead(0x108, 4)]).toEqual([0x0040, 0x0010_0000]);
  expect([COMMAND, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x3c].map((at) => pci.configRead(at, 4))).toEqual([
    0x0010_0000, 0, 0xc, 0, 0, 1, 0x0000_0100,
  ]);
  expect([pci.mayMaster, pci.configRead(MSIX_CONTROL, 2), pci.barRead(0, 0x100, 4)]).toEqual([false, 3, 0xffff_ffff]);
  pci.configWrite(COMMAND, 2, 6);
  expect([pci.barRead(2, 0x0c, 4), pci.barRead(2, PBA, 4)]).toEqual([1, 0]);
});

test('PCIe 5.0 §7.5.3.4: power-on also resets what a function-level reset keeps; Device Control and Link Control then have their defaults', () => {
  const { pci, events } = started({ extra: [advancedErrorReporting()] });
  pci.configWrite(DEVICE_CONTROL, 2, 0x00e0);
  pci.configWrite(0x64, 2, 0x0040);
  pci.configWrite(0x108, 4, 0x0010_0000);
  pci.reset('power-on');
  expect(events.slice(0, 2)).toEqual(['master off', 'reset power-on']);
  expect([pci.configRead(DEVICE_CONTROL, 2), pci.configRead(0x64, 2), pci.configRead(0x108, 4)]).toEqual([
    0x2810, 0, 0,
  ]);
});

test('PCIe 5.0 §7.5.2.2: in D3hot BARs are off, nothing is sent and the pin is down; D0 without No_Soft_Reset is a reset', () => {
  const { pci, events, messages, accesses } = started();
  pci.configWrite(MSIX_CONTROL, 2, 0x8000);
  pci.barWrite(2, 0x0c, 4, 0);
  pci.configWrite(PMCSR, 2, 3);
  expect(events).toEqual(['master off', 'bar 0 off', 'bar 2 off', 'bar 3 off']);
  expect([pci.barRead(0, 0x100, 4), pci.barRead(3, 0, 1), pci.windowRead(0, 0x100, 4)]).toEqual([0xffff_ffff, 0xff, 0]);
  pci.msix!.raise(0);
  pci.setIntx(true);
  expect([messages, accesses, events.length]).toEqual([[], [], 4]);
  // Configuration space answers, and shows the state.
  expect([pci.configRead(0, 4), pci.configRead(PMCSR, 2)]).toEqual([0x1041_1af4, 3]);
  pci.configWrite(PMCSR, 1, 0);
  expect(events.slice(4)).toEqual(['reset d3hot']);
  expect([pci.configRead(PMCSR, 2), pci.configRead(COMMAND, 2), pci.configRead(MSIX_CONTROL, 2)]).toEqual([0, 0, 3]);
});

test('PCIe 5.0 §7.5.2.2: with No_Soft_Reset, everything goes on after D3hot, events kept meanwhile included', () => {
  const { pci, events, messages } = started({ noSoftReset: true });
  pci.configWrite(MSIX_CONTROL, 2, 0x8000);
  pci.barWrite(2, 0x00, 4, 0xfee0_0000);
  pci.barWrite(2, 0x0c, 4, 0);
  pci.configWrite(PMCSR, 2, 3);
  pci.msix!.raise(0);
  pci.configWrite(PMCSR, 2, 0);
  expect(messages).toEqual(['fee00000/0=0']);
  expect(events.slice(4)).toEqual(['master on', 'bar 0 10fe000000', 'bar 2 fd000000', 'bar 3 c040']);
  expect([pci.configRead(PMCSR, 2), pci.configRead(COMMAND, 2)]).toEqual([8, 7]);
});

test('PCIe 5.0 §7.5.2.2: D1 and D2, which are not supported, are dropped', () => {
  const { pci, events } = started();
  for (const state of [1, 2]) {
    pci.configWrite(PMCSR, 2, state);
    expect(pci.configRead(PMCSR, 2)).toBe(0);
  }
  pci.configWrite(PMCSR, 2, 3);
  events.length = 0;
  pci.configWrite(PMCSR, 2, 2);
  expect([pci.configRead(PMCSR, 2), events]).toEqual([3, []]);
});

test('PC-25: removed while a kick is being handled: nothing more of it arrives, and nothing answers or is called afterwards', () => {
  const test = started();
  const { pci, accesses, events } = test;
  pci.configWrite(MSIX_CONTROL, 2, 0x8000);
  pci.barWrite(2, 0x0c, 4, 0);
  test.onAccess = () => pci.remove();
  pci.barWrite(0, 0x101, 4, 0);
  expect(accesses).toEqual(['w1@1=0']);
  expect(events).toEqual(['bar 0 off', 'bar 2 off', 'bar 3 off', 'removed']);
  pci.msix!.raise(0);
  pci.setIntx(true);
  pci.configWrite(COMMAND, 2, 0);
  pci.configWrite(DEVICE_CONTROL, 2, 0x8000);
  pci.barWrite(0, 0x100, 4, 0);
  pci.windowWrite(0, 0x100, 4, 0);
  pci.reset('power-on');
  pci.remove();
  expect([pci.configRead(0, 4), pci.configRead(0xfff, 1), pci.barRead(0, 0x100, 4), pci.barRead(3, 0, 2)]).toEqual([
    0xffff_ffff, 0xff, 0xffff_ffff, 0xffff,
  ]);
  expect([accesses.length, events.length, test.messages.length, pci.mayMaster]).toEqual([1, 4, 0, false]);
});

test('PC-25: a read during which the function goes gives all ones; an asserted pin goes down', () => {
  const test = started();
  const { pci, events } = test;
  pci.setIntx(true);
  test.onAccess = () => pci.remove();
  expect(pci.barRead(0, 0x101, 3)).toBe(0xff_ffff);
  expect(events).toEqual(['intx on', 'intx off', 'bar 0 off', 'bar 2 off', 'bar 3 off', 'removed']);
});

test('resetting a function that was never started tells its device, and moves nothing', () => {
  const { pci, events } = testFunction();
  pci.reset('function-level');
  expect(events).toEqual(['reset function-level']);
});
