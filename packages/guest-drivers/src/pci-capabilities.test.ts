import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_PCI_CFG_TYPE } from '@ringwire/virtio-spec/transport';
import { expect, test } from 'vitest';
import { BREAK, isBreakdown } from './breakdown.js';
import { findCapabilities } from './pci-capabilities.js';
import { openPciTransport } from './pci-transport.js';
import { ScriptedDevice } from './testing/scripted-device.js';
import { GOOD_CAPABILITIES, ScriptedPci, type ScriptedPciOptions } from './testing/scripted-pci.js';

const space = new GuestMemory(HostMemory.create(0x1_0000), [{ gpa: 0, size: 0x1_0000, host: 0 }]);
const { COMMON_CFG, NOTIFY_CFG, DEVICE_CFG, ISR_CFG, PCI_CFG } = VIRTIO_PCI_CFG_TYPE;

const functionWith = (options: ScriptedPciOptions): ScriptedPci => new ScriptedPci(new ScriptedDevice(space), options);
const without = (cfgType: number): typeof GOOD_CAPABILITIES =>
  GOOD_CAPABILITIES.filter((capability) => capability.cfgType !== cfgType);

test('the structures of a function are found with their places', () => {
  expect(findCapabilities(functionWith({ vectors: 3 }))).toEqual({
    common: { bar: 0, offset: 0, length: 0x40 },
    isr: { bar: 0, offset: 0x1000, length: 1 },
    device: { bar: 0, offset: 0x2000, length: 0x100 },
    notify: { bar: 0, offset: 0x3000, length: 0x1000 },
    notifyOffMultiplier: 4,
    msix: { at: 0x90, vectors: 3, table: { bar: 1, offset: 0, length: 48 } },
  });
});

test('drv.pci.caps.1,.4: a reserved type and a reserved BAR are skipped', () => {
  const odd = [
    { cfgType: 7, length: 0x40 },
    { cfgType: 0, length: 0x40 },
    { cfgType: COMMON_CFG, bar: 6, length: 0x40 },
    { cfgType: COMMON_CFG, bar: 0xff, length: 0x40 },
  ];
  const found = findCapabilities(
    functionWith({ capabilities: [...odd, ...GOOD_CAPABILITIES.slice(0, 4)].slice(0, 8) }),
  );
  expect(found.common).toEqual({ bar: 0, offset: 0, length: 0x40 });
});

test('drv.pci.caps.2: of two usable structures of a type the first one is taken', () => {
  const second = { cfgType: COMMON_CFG, offset: 0x800, length: 0x40 };
  expect(findCapabilities(functionWith({ capabilities: [...GOOD_CAPABILITIES, second] })).common?.offset).toBe(0);
  expect(findCapabilities(functionWith({ capabilities: [second, ...GOOD_CAPABILITIES] })).common?.offset).toBe(0x800);
});

test('drv.pci.caps.3,.6: a cap_len and a length above the specified ones are fine', () => {
  const large = [{ cfgType: COMMON_CFG, capLen: 20, length: 0x900 }, ...without(COMMON_CFG)];
  expect(findCapabilities(functionWith({ capabilities: large })).common).toEqual({ bar: 0, offset: 0, length: 0x900 });
});

test('drv.pci.caps.7: a structure whose length does not suffice is skipped', () => {
  const short = [
    { cfgType: COMMON_CFG, length: 0x37 },
    { cfgType: ISR_CFG, length: 0 },
    { cfgType: DEVICE_CFG, length: 0 },
    { cfgType: NOTIFY_CFG, length: 1, extra: 4 },
  ];
  const found = findCapabilities(functionWith({ capabilities: short }));
  expect([found.common, found.isr, found.device, found.notify]).toEqual([undefined, undefined, undefined, undefined]);
});

test('drv.pci.caps.8: no capability field is written but of MSI-X, whose control register is its own', () => {
  const device = new ScriptedDevice(space);
  const pci = new ScriptedPci(device, { capabilities: [...GOOD_CAPABILITIES, { cfgType: PCI_CFG, extra: 0 }] });
  openPciTransport(pci);
  const written = device.accesses(/^w pci\+/).map((line) => Number.parseInt(line.slice(6), 16));
  expect(written.filter((offset) => offset >= 0x40)).toEqual([]);
  expect(written.length).toBeGreaterThan(0);
});

test('drv.pci.vendor-cap.1: of vendor data no more is read than that it is vendor data', () => {
  const device = new ScriptedDevice(space);
  const vendor = { cfgType: VIRTIO_PCI_CFG_TYPE.VENDOR_CFG, capLen: 16, length: 0x40 };
  findCapabilities(new ScriptedPci(device, { capabilities: [vendor, ...GOOD_CAPABILITIES] }));
  const reads = device.accesses(/^r pci\+4./).map((line) => line.slice(6));
  expect(reads).toEqual(['40', '43', '41']);
});

test('drv.pci.discovery.1,.2: modern ids and the transitional ones of their table are matched, no others', () => {
  const typeOf = (vendor: number, id: number): number => {
    const transport = openPciTransport(functionWith({ vendor, id }));
    return isBreakdown(transport) ? -transport.code : transport.deviceId;
  };
  expect([typeOf(0x1af4, 0x1041), typeOf(0x1af4, 0x107f), typeOf(0x1af4, 0x1000)]).toEqual([1, 63, VIRTIO_ID.NET]);
  expect([typeOf(0x1af4, 0x1009), typeOf(0x1af4, 0x1005)]).toEqual([VIRTIO_ID['9P'], VIRTIO_ID.RNG]);
  for (const [vendor, id] of [
    [0x1af5, 0x1041],
    [0x1af4, 0x1040],
    [0x1af4, 0x1080],
    [0x1af4, 0x1006],
    [0xffff, 0xffff],
  ] as const)
    expect(typeOf(vendor, id)).toBe(-BREAK.NO_DEVICE);
});

test('drv.pci.discovery.3,.4: whatever the revision and the subsystem ids are', () => {
  for (const revision of [0, 1, 0xff]) {
    const pci = functionWith({ revision });
    pci.space.set([revision, revision, revision, revision], 0x2c);
    expect(isBreakdown(openPciTransport(pci))).toBe(false);
  }
});

const HOSTILE: readonly [string, ScriptedPciOptions][] = [
  ['a list that loops', { capabilities: [{ cfgType: COMMON_CFG, length: 0x40 }], lastNext: 0x40 }],
  ['a list that points into the header', { capabilities: [{ cfgType: COMMON_CFG, length: 0x40 }], lastNext: 0x04 }],
  ['a capability in BAR 6', { capabilities: [{ cfgType: COMMON_CFG, bar: 6, length: 0x40 }, ...without(COMMON_CFG)] }],
  [
    'a BAR that is not there',
    { capabilities: [{ cfgType: COMMON_CFG, bar: 3, length: 0x40 }, ...without(COMMON_CFG)] },
  ],
  [
    'a structure that ends past its BAR',
    { capabilities: [{ cfgType: COMMON_CFG, offset: 0x3fd0, length: 0x40 }, ...without(COMMON_CFG)] },
  ],
  [
    'an offset and a length that wrap',
    { capabilities: [{ cfgType: COMMON_CFG, offset: 0xffff_ffc0, length: 0x80 }, ...without(COMMON_CFG)] },
  ],
  [
    'a cap_len that is too small',
    { capabilities: [{ cfgType: NOTIFY_CFG, capLen: 16, offset: 0x3000, length: 0x1000 }, ...without(NOTIFY_CFG)] },
  ],
  ['no notification structure', { capabilities: without(NOTIFY_CFG) }],
  ['no ISR status', { capabilities: without(ISR_CFG) }],
];

test.each(HOSTILE)('DR-26: with %s the device is given up', (_, options) => {
  const outcome = openPciTransport(functionWith(options));
  expect(isBreakdown(outcome) && outcome.code).toBe(BREAK.NOT_USABLE);
});

test('DR-26: an MSI-X table that does not lie in its BAR leaves the interrupt line', () => {
  for (const table of [1 + 0x1_0000, 7, 3]) {
    const transport = openPciTransport(functionWith({ vectors: 4, table }));
    expect(isBreakdown(transport) ? -1 : transport.vectorLimit).toBe(0);
  }
});

test('drv.pci.msix.1: a table of 1 and one of 2048 vectors are supported', () => {
  for (const vectors of [1, 2048]) {
    const transport = openPciTransport(functionWith({ vectors }));
    expect(isBreakdown(transport) ? -1 : transport.vectorLimit).toBe(vectors);
  }
});
