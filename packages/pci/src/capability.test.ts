import { expect, test } from 'vitest';
import type { Capability } from './capability.js';
import { pciExpress } from './express-capability.js';
import {
  accessControlServices,
  advancedErrorReporting,
  alternativeRoutingId,
  deviceSerialNumber,
} from './extended-capabilities.js';
import type { PciFunction } from './pci-function.js';
import { COMMAND, started, testFunction } from './testing/test-function.js';
import { vendorSpecific } from './vendor-capability.js';

/** Places in the test function: Power Management 0x40, Express 0x54. */
const PMCSR = 0x44;
const DEVICE_CONTROL = 0x5c;

const SERIAL = [0x52, 0x54, 0x00, 0xff, 0xff, 0x12, 0x34, 0x56];
const EXTENDED = [
  advancedErrorReporting(),
  deviceSerialNumber(SERIAL),
  accessControlServices(0x1f),
  alternativeRoutingId(2),
];

test('PCIe 5.0 §7.5, §7.6.3: chains in the order of the list, each at a multiple of 4', () => {
  const { pci } = testFunction({
    extra: [vendorSpecific(new Uint8Array(15)), vendorSpecific(new Uint8Array(16)), ...EXTENDED],
  });
  const legacy = [0x40, 0x48, 0x54, 0x90, 0xa0];
  expect(pci.configRead(0x34, 1)).toBe(0x40);
  expect(legacy.map((at) => pci.configRead(at, 2))).toEqual([0x4801, 0x5411, 0x9010, 0xa009, 0x0009]);
  const extended = [0x100, 0x148, 0x154, 0x15c];
  expect(extended.map((at) => pci.configRead(at, 4))).toEqual([0x1482_0001, 0x1541_0003, 0x15c1_000d, 0x0001_000e]);
  expect([0x158, 0x160, 0x14c, 0x150].map((at) => pci.configRead(at, 4))).toEqual([
    0x0000_001f, 0x0000_0200, 0xff12_3456, 0x5254_00ff,
  ]);
  expect([pci.capabilityAt(0x11), pci.capabilityAt(0x0d, true), pci.capabilityAt(0x0d)]).toEqual([0x48, 0x154, -1]);
});

test('without extended capabilities, the first word from 0x100 on is 0', () => {
  expect(testFunction().pci.configRead(0x100, 4)).toBe(0);
});

test('PC-22: headers of capabilities and extended capabilities are read-only, whatever the width', () => {
  const { pci } = started({ extra: [vendorSpecific(Uint8Array.of(9, 9, 16, 0, 1, 2, 3, 4)), ...EXTENDED] });
  const headers = (): number[] =>
    [0x34, 0x40, 0x48, 0x54, 0x90]
      .map((at) => pci.configRead(at, 2))
      .concat([0x100, 0x148, 0x154].map((at) => pci.configRead(at, 4)));
  const before = headers();
  for (let at = 0x34; at < 0x200; at++) {
    if (at >= DEVICE_CONTROL && at < DEVICE_CONTROL + 2) continue; // not a reset in the middle
    if (at === PMCSR) continue;
    pci.configWrite(at, 1, 0xff);
    pci.configWrite(at, 1, 0);
  }
  for (const at of [0x40, 0x48, 0x54, 0x90, 0x100, 0x148]) pci.configWrite(at, 2, 0xffff);
  for (const at of [0x100, 0x148, 0x154]) pci.configWrite(at, 4, 0xffff_ffff);
  expect(headers()).toEqual(before);
});

test('a vendor-specific capability is read-only but for the bits given as writable', () => {
  const writable = new Uint8Array(20);
  writable.fill(0xff, 8, 20);
  writable[4] = 0x07;
  const { pci } = testFunction({
    extra: [
      vendorSpecific(
        Uint8Array.from({ length: 20 }, (_, i) => i),
        { writable },
      ),
    ],
  });
  pci.configWrite(0x92, 2, 0xffff);
  pci.configWrite(0x94, 4, 0xffff_ffff);
  pci.configWrite(0x98, 4, 0x1234_5678);
  expect([0x90, 0x94, 0x98, 0x9c].map((at) => pci.configRead(at, 4))).toEqual([
    0x0302_0009, 0x0706_0507, 0x1234_5678, 0x0f0e_0d0c,
  ]);
});

/** What virtio's PCI_CFG does: offset, length and BAR are written, then the data field is an access of that BAR. */
function windowCapability(): Capability {
  const writable = new Uint8Array(20).fill(0xff, 8);
  writable[4] = 0xff;
  const word = (bytes: Uint8Array, at: number): number =>
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  const touches = (at: number, size: number): boolean => at < 20 && at + size > 16;
  return vendorSpecific(new Uint8Array(20), {
    writable,
    hooks: {
      beforeRead(pci: PciFunction, bytes, at, size) {
        if (!touches(at, size)) return;
        const value = pci.windowRead(bytes[4]!, word(bytes, 8), word(bytes, 12));
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(16, value, true);
      },
      afterWrite(pci, bytes, at, size) {
        if (touches(at, size)) pci.windowWrite(bytes[4]!, word(bytes, 8), word(bytes, 12), word(bytes, 16));
      },
    },
  });
}

test('PC-15 PC-16: a window in configuration space reaches a BAR that is not decoded; what is not there reads as 0 and takes no write', () => {
  const { pci, accesses, registers } = testFunction({ extra: [windowCapability()] });
  const select = (bar: number, offset: number, length: number): void => {
    pci.configWrite(0x94, 1, bar);
    pci.configWrite(0x98, 4, offset);
    pci.configWrite(0x9c, 4, length);
  };
  registers.set([0x11, 0x22, 0x33, 0x44], 4);
  select(0, 0x104, 2);
  expect(pci.configRead(0xa0, 4)).toBe(0x2211);
  pci.configWrite(0xa0, 4, 0x8877_6655);
  expect([...registers.slice(4, 8)]).toEqual([0x55, 0x66, 0x33, 0x44]);
  expect(accesses).toEqual(['r2@4', 'w2@4=6655']);
  // Selecting is no access, nor is reading what was selected, nor an offset that is none.
  for (const offset of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    pci.configRead(offset, 4);
    pci.configWrite(offset, 4, 0);
  }
  expect([pci.configRead(0x98, 4), accesses.length]).toEqual([0x104, 2]);
  for (const [bar, offset, length] of [
    [6, 0x100, 4],
    [7, 0x100, 4],
    [0xff, 0x100, 4],
    [1, 0x100, 4],
    [0, 0x4000, 4],
    [0, 0xffff_fffc, 4],
    [0, 0x3ffe, 4],
    [0, 0x104, 0],
    [0, 0x104, 5],
    [0, 0x104, 0xffff_ffff],
  ] as const) {
    select(bar, offset, length);
    pci.configWrite(0xa0, 4, 0xffff_ffff);
    expect(pci.configRead(0xa0, 4)).toBe(0);
  }
  expect([...registers.slice(4, 8), accesses.length]).toEqual([0x55, 0x66, 0x33, 0x44, 2]);
});

test('a hook that removes the function ends the access', () => {
  const calls: string[] = [];
  const hooks = {
    beforeRead: (pci: PciFunction): void => pci.remove(),
    afterWrite: (pci: PciFunction): void => {
      calls.push('write');
      pci.remove();
    },
  };
  const reading = started({ extra: [vendorSpecific(new Uint8Array(8), { hooks })] });
  expect(reading.pci.configRead(0x90, 4)).toBe(0xffff_ffff);
  const writing = started({
    extra: [vendorSpecific(new Uint8Array(8), { hooks }), vendorSpecific(new Uint8Array(8), { hooks })],
  });
  writing.pci.configWrite(0x96, 4, 0);
  expect([calls, writing.events.at(-1)]).toEqual([['write'], 'removed']);
});

test('an endpoint by hand: version 2, function-level reset, one lane of 2.5 GT/s; and an integrated one without a link', () => {
  const { pci } = testFunction({
    capabilities: [pciExpress({ linkSpeed: 3, linkWidth: 4, maxPayload: 1, at: 0xa0 })],
    bars: [],
  });
  expect([0xa0, 0xa4, 0xa8, 0xac, 0xb0, 0xc4, 0xc8, 0xcc, 0xd0].map((at) => pci.configRead(at, 4))).toEqual([
    0x0002_0010, 0x1000_8021, 0x0000_2810, 0x0040_0043, 0x0043_0000, 0x0000_0010, 0, 0x0000_000e, 0x0000_0003,
  ]);
  const integrated = testFunction({ capabilities: [pciExpress({ type: 9, functionLevelReset: false })], bars: [] });
  expect([0x40, 0x44, 0x4c, 0x6c].map((at) => integrated.pci.configRead(at, 4))).toEqual([
    0x0092_0010, 0x0000_8020, 0, 0,
  ]);
  integrated.pci.configWrite(0x48, 2, 0xffff);
  expect([integrated.pci.configRead(0x48, 2), integrated.events]).toEqual([0x79ff, []]);
});

test('ordinary writes leave what they do not name', () => {
  const { pci } = started();
  pci.configWrite(COMMAND, 1, 6);
  expect(pci.configRead(COMMAND, 4)).toBe(0x0010_0006);
});
