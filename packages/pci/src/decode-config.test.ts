import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeConfigSpace } from './decode-config.js';
import { pciExpress } from './express-capability.js';
import {
  accessControlServices,
  advancedErrorReporting,
  alternativeRoutingId,
  deviceSerialNumber,
} from './extended-capabilities.js';
import { started } from './testing/test-function.js';
import { vendorSpecific } from './vendor-capability.js';

/** A space of `size` zeros with a Capabilities List at 0x40, and bytes at places. */
function space(size: number, places: Readonly<Record<number, readonly number[]>>): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes[6] = 0x10;
  bytes[0x34] = 0x40;
  for (const [at, data] of Object.entries(places)) bytes.set(data, Number(at));
  return bytes;
}

const messages = (bytes: Uint8Array): string[] => decodeConfigSpace(bytes).problems.map(({ message }) => message);

test('a function of ours: header, BARs and every capability', () => {
  const { pci } = started({
    extra: [
      vendorSpecific(Uint8Array.of(9, 0, 20, 2, 4, 7, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0)),
      vendorSpecific(Uint8Array.of(9, 0, 24, 8, 2, 1, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0)),
      advancedErrorReporting(),
      deviceSerialNumber([0x52, 0x54, 0x00, 0xff, 0xff, 0x12, 0x34, 0x56]),
      accessControlServices(0x1f),
      alternativeRoutingId(3),
    ],
  });
  const report = decodeConfigSpace(pci.config.bytes);
  expect(report.header).toEqual({
    vendorId: 0x1af4,
    deviceId: 0x1041,
    command: 7,
    status: 0x10,
    revisionId: 1,
    classCode: 0x02_0000,
    cacheLineSize: 0,
    latencyTimer: 0,
    layout: 0,
    multiFunction: false,
    subsystem: { vendorId: 0x1af4, id: 0x1100 },
    buses: undefined,
    interruptLine: 0,
    interruptPin: 1,
  });
  expect(report.bars).toEqual([
    { index: 0, space: 'memory64', prefetchable: true, address: 0x10_fe00_0000n, flags: 0xc },
    { index: 2, space: 'memory32', prefetchable: false, address: 0xfd00_0000n, flags: 0 },
    { index: 3, space: 'io', prefetchable: false, address: 0xc040n, flags: 1 },
  ]);
  expect([report.rom, report.windows, report.problems]).toEqual([undefined, [], []]);
  expect(report.capabilities.map(({ at, name, next }) => [at, name, next])).toEqual([
    [0x40, 'POWER_MANAGEMENT', 0x48],
    [0x48, 'MSI_X', 0x54],
    [0x54, 'PCI_EXPRESS', 0x90],
    [0x90, 'VENDOR_SPECIFIC', 0xa4],
    [0xa4, 'VENDOR_SPECIFIC', 0],
  ]);
  expect(report.capabilities.map(({ details }) => details)).toMatchObject([
    { kind: 'power-management', version: 3, state: 0, noSoftReset: false },
    { kind: 'msi-x', vectors: 4, enabled: false, table: { bar: 2, offset: 0 }, pba: { bar: 2, offset: 0x800 } },
    { kind: 'pci-express', version: 2, typeName: 'ENDPOINT', functionLevelReset: true, maxReadRequest: 512 },
    { kind: 'virtio', cfgName: 'NOTIFY_CFG', bar: 4, id: 7, offset: 0x3000n, length: 0x1000n, notifyOffMultiplier: 4 },
    { kind: 'virtio', cfgName: 'SHARED_MEMORY_CFG', bar: 2, id: 1, offset: 0x1_1000_0000n, length: 0x2_0000_0000n },
  ]);
  expect(report.extended.map(({ at, name, version, next }) => [at, name, version, next])).toEqual([
    [0x100, 'ADVANCED_ERROR_REPORTING', 2, 0x148],
    [0x148, 'DEVICE_SERIAL_NUMBER', 1, 0x154],
    [0x154, 'ACS', 1, 0x15c],
    [0x15c, 'ARI', 1, 0],
  ]);
  expect(report.extended.map(({ details }) => details)).toMatchObject([
    { kind: 'aer', uncorrectableSeverity: 0x46_2030, correctableMask: 0xe000 },
    { kind: 'serial-number', serial: 0x5254_00ff_ff12_3456n },
    { kind: 'acs', capability: 0x1f, control: 0 },
    { kind: 'ari', nextFunction: 3 },
  ]);
});

test('SR-IOV and ATS by hand', () => {
  const bytes = space(0x200, {
    64: [0x10, 0],
    256: [
      0x10, 0, 0x01, 0x14, 0, 0, 0, 0, 0x19, 0, 0, 0, 8, 0, 7, 0, 2, 0, 0, 0, 0x80, 0, 2, 0, 0, 0, 0xca, 0x10, 0x53, 5,
      0, 0, 1,
    ],
    292: [0x0c, 0, 0x80, 0xfe, 1, 0, 0, 0, 0, 0, 0, 0xfd],
    320: [0x0f, 0, 0x01, 0, 0x25, 0, 0, 0x80],
  });
  expect(decodeConfigSpace(bytes).extended.map(({ details }) => details)).toEqual([
    {
      kind: 'sr-iov',
      enabled: true,
      memorySpace: true,
      ariHierarchy: true,
      initialVfs: 8,
      totalVfs: 7,
      numVfs: 2,
      firstVfOffset: 128,
      vfStride: 2,
      vfDeviceId: 0x10ca,
      supportedPageSizes: 0x553,
      systemPageSize: 1,
      vfBars: [
        { index: 0, space: 'memory64', prefetchable: true, address: 0x1_fe80_0000n, flags: 0xc },
        { index: 2, space: 'memory32', prefetchable: false, address: 0xfd00_0000n, flags: 0 },
      ],
    },
    { kind: 'ats', invalidateQueueDepth: 5, enabled: true },
  ]);
});

test('a bridge by hand: buses, windows, two BARs, and the subsystem in a capability', () => {
  const bytes = space(0x100, {
    14: [0x81],
    24: [0, 1, 2, 0, 0xc1, 0xd1],
    32: [0x20, 0xfe, 0x30, 0xfe, 0x81, 0xfe, 0x91, 0xfe, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0],
    56: [1, 0, 0xf0, 0xfe],
    64: [0x0d, 0, 0, 0, 0x36, 0x1b, 0x0c, 0],
  });
  const { header, windows, rom, capabilities } = decodeConfigSpace(bytes);
  expect([header.layout, header.multiFunction, header.subsystem]).toEqual([1, true, undefined]);
  expect(header.buses).toEqual({ primary: 0, secondary: 1, subordinate: 2 });
  expect(windows).toEqual([
    { kind: 'io', base: 0xc000n, limit: 0x1_dfffn, flags: 1 },
    { kind: 'memory', base: 0xfe20_0000n, limit: 0xfe3f_ffffn, flags: 0 },
    { kind: 'prefetchable', base: 0x1_fe80_0000n, limit: 0x1_fe9f_ffffn, flags: 1 },
  ]);
  expect(rom).toEqual({ address: 0xfef0_0000, enabled: true });
  expect(capabilities[0]!.details).toEqual({ kind: 'bridge-subsystem', vendorId: 0x1b36, id: 0x000c });
});

test('MSI by hand: 4 vectors wanted, 2 given, 64-bit, maskable', () => {
  expect(decodeConfigSpace(space(256, { 64: [5, 0, 0x95, 0x01] })).capabilities[0]!.details).toEqual({
    kind: 'msi',
    enabled: true,
    capable: 4,
    allocated: 2,
    address64: true,
    maskable: true,
  });
});

test('a vendor-specific capability is virtio only on a virtio device, with all of virtio_pci_cap', () => {
  const cap = [9, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0];
  const kinds = (id: readonly number[], bytes: readonly number[]): string[] =>
    decodeConfigSpace(space(256, { 0: id, 64: bytes })).capabilities.map(({ details }) => details.kind);
  expect(kinds([0xf4, 0x1a, 0x41, 0x10], cap)).toEqual(['virtio']);
  expect(kinds([0xf4, 0x1a, 0x00, 0x10], cap)).toEqual(['virtio']);
  expect(kinds([0xf4, 0x1a, 0x80, 0x10], cap)).toEqual(['vendor-specific']);
  expect(kinds([0x86, 0x80, 0x41, 0x10], cap)).toEqual(['vendor-specific']);
  expect(kinds([0xf4, 0x1a, 0x41, 0x10], cap.with(2, 15))).toEqual(['vendor-specific']);
  expect(kinds([0xf4, 0x1a, 0x41, 0x10], cap.with(3, 9))).toEqual(['vendor-specific']);
});

test('a chain that runs in a circle, into the header or past the end is followed as far as it goes', () => {
  const circle = space(256, { 64: [1, 0x50], 80: [5, 0x42] });
  expect(decodeConfigSpace(circle).capabilities.map(({ at }) => at)).toEqual([0x40, 0x50]);
  expect(messages(circle)).toEqual(['the chain leads from 0x51 to 0x40, which was visited before']);
  expect(messages(space(256, { 64: [1, 0x14] }))).toEqual(['the chain leads from 0x41 to 0x14, which is below 0x40']);
  expect(messages(space(128, { 64: [1, 0x80] }))).toEqual(['the chain leads from 0x41 to 0x80, past the end']);
  expect(messages(space(256, { 52: [0xfc], 252: [0x11, 0] }))).toEqual(['capability 0x11 at 0xfc goes past the end']);
  // Also where extended capabilities follow.
  expect(messages(space(4096, { 52: [0xfc], 252: [0x11, 0] }))).toEqual(['capability 0x11 at 0xfc goes past the end']);
  expect(messages(space(256, { 52: [0xf0], 240: [9, 0, 255, 1] }))).toEqual([
    'capability 0x9 at 0xf0 goes past the end',
  ]);
});

test('the extended chain likewise', () => {
  const circle = space(4096, { 64: [0x10], 256: [1, 0, 1, 0x20], 512: [1, 0, 1, 0x10] });
  expect(messages(circle)).toEqual(['the chain leads from 0x200 to 0x100, which was visited before']);
  expect(messages(space(4096, { 256: [1, 0, 1, 0x04] }))).toContain(
    'the chain leads from 0x100 to 0x40, which is below 0x100',
  );
  expect(messages(space(4096, { 256: [1, 0, 0xc1, 0xff], 4092: [1, 0, 1, 0] }))).toContain(
    'capability 0x1 at 0xffc goes past the end',
  );
  expect(messages(space(0x180, { 256: [2, 0, 0x01, 0x20] }))).toContain(
    'the chain leads from 0x100 to 0x200, past the end',
  );
  for (const nothing of [0, 0xff]) {
    const bytes = space(4096, {});
    bytes.fill(nothing, 0x100);
    expect(decodeConfigSpace(bytes).extended).toEqual([]);
  }
});

test('without the Capabilities List bit there is no chain; a header that is cut or unknown is told', () => {
  const bytes = space(256, { 64: [1, 0] });
  bytes[6] = 0;
  expect(decodeConfigSpace(bytes).capabilities).toEqual([]);
  expect(messages(new Uint8Array(20))).toEqual(['a header needs 64 bytes, there are 20']);
  expect(decodeConfigSpace(space(256, { 14: [2], 64: [1, 0] }))).toMatchObject({
    capabilities: [],
    bars: [],
    problems: [{ at: 0x0e, message: 'header layout 2' }],
  });
});

test('a 64-bit BAR in the last register is what it says itself', () => {
  expect(decodeConfigSpace(space(64, { 36: [0x04, 0, 0, 0xfe] })).bars).toEqual([
    { index: 5, space: 'memory32', prefetchable: false, address: 0xfe00_0000n, flags: 4 },
  ]);
});

test('any bytes of any length are decoded, in chains no longer than the space', () => {
  const bytes = fc.tuple(fc.uint8Array({ maxLength: 4096 }), fc.boolean()).map(([random, list]) => {
    if (list && random.length > 6) random[6]! |= 0x10;
    if (random.length > 0x0e) random[0x0e]! &= 0x81;
    return random;
  });
  fc.assert(
    fc.property(bytes, (random) => {
      const before = random.slice();
      const { capabilities, extended } = decodeConfigSpace(random);
      expect(capabilities.length).toBeLessThanOrEqual(48);
      expect(extended.length).toBeLessThanOrEqual(960);
      expect(random).toEqual(before);
    }),
    { numRuns: 500 },
  );
});

test('what our capabilities say of a link is read back; an integrated endpoint has none', () => {
  const { pci } = started({ capabilities: [pciExpress({ linkSpeed: 4, linkWidth: 16, maxPayload: 2 })], bars: [] });
  expect(decodeConfigSpace(pci.config.bytes).capabilities[0]!.details).toMatchObject({
    maxPayloadSupported: 512,
    maxPayload: 128,
    link: { most: { speed: 4, width: 16 }, now: { speed: 4, width: 16 } },
  });
  const integrated = started({ capabilities: [pciExpress({ type: 9 })], bars: [] });
  expect(decodeConfigSpace(integrated.pci.config.bytes).capabilities[0]!.details).toMatchObject({
    typeName: 'ROOT_COMPLEX_INTEGRATED_ENDPOINT',
    link: undefined,
  });
});
