import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { checkSet } from './check-set.js';

const sets = fileURLToPath(new URL('../sets/', import.meta.url));
const IGB = 'pci-q10-igb';
const OTHERS = 'pci-q72-others';
const VIRTIO = 'pci-q72-virtio-bound';

interface Device {
  bdf: string;
  offset: number;
  length: number;
  resource: [string, string, string][];
  lspci_capabilities: { offset: number }[];
  lspci_first_line: string;
  msi_irqs: number;
  max_link_speed?: string;
  sriov_totalvfs?: string;
}

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

/** A copy of a set, with what is said of one function changed. */
function copied(set: string, bdf: string, change: (device: Device) => void = () => {}): string {
  const parent = mkdtempSync(join(tmpdir(), 'ringwire-golden-'));
  made.push(parent);
  const folder = join(parent, set);
  cpSync(join(sets, set), folder, { recursive: true });
  const expected: { devices: Device[] } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
  change(expected.devices.find((device) => device.bdf === `0000:${bdf}`)!);
  writeFileSync(join(folder, 'expected.json'), JSON.stringify(expected));
  return folder;
}

/** Change a byte of a function's configuration space. */
function flip(folder: string, bdf: string, at: number, mask: number): void {
  const { devices }: { devices: Device[] } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
  const bytes = readFileSync(join(folder, 'config.bin'));
  bytes[devices.find((device) => device.bdf === `0000:${bdf}`)!.offset + at]! ^= mask;
  writeFileSync(join(folder, 'config.bin'), bytes);
}

function differences(folder: string): readonly string[] {
  const result = checkSet(folder);
  expect(result.outcome).toBe('disagree');
  return result.outcome === 'damaged' ? [] : result.tally.differences;
}

/** Places in configuration spaces, and what the set then says first. */
const BYTES = [
  [VIRTIO, '00:03.0', 'the vendor id', 0x00, 0x01, 'vendor and device id is 1af5:1041, the oracle says 1af4:1041'],
  [VIRTIO, '00:03.0', 'the class', 0x0b, 0x01, 'class is 30000, the oracle says 20000'],
  [VIRTIO, '00:03.0', 'the revision', 0x08, 0x02, 'revision is 3, the oracle says 1'],
  [
    VIRTIO,
    '00:03.0',
    'the subsystem',
    0x2e,
    0x01,
    'subsystem is Subsystem: [1af4:1101], the oracle says Subsystem: [1af4:1100]',
  ],
  [VIRTIO, '00:03.0', 'Bus Master Enable', 0x04, 0x04, 'header would have "Control: I/O+ Mem+ BusMaster- '],
  [
    VIRTIO,
    '00:03.0',
    'Interrupt Status',
    0x06,
    0x08,
    'header would have "Status: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx+"',
  ],
  [VIRTIO, '00:03.0', 'Capabilities List', 0x06, 0x10, 'may use 0 messages, the oracle says 3'],
  [VIRTIO, '00:03.0', 'the interrupt pin', 0x3d, 0x03, 'header would have "Interrupt: pin B routed'],
  [
    VIRTIO,
    '00:03.0',
    'the address of a BAR',
    0x16,
    0x10,
    'resource 1 is fe600000 flags 40200, the oracle says fe700000 flags 40200',
  ],
  [
    VIRTIO,
    '00:03.0',
    'prefetchable of a BAR',
    0x20,
    0x08,
    'resource 4 is fea00000 flags 140204, the oracle says fea00000 flags 14220c',
  ],
  [VIRTIO, '00:04.0', 'I/O of a BAR', 0x10, 0x01, 'resource 0 is c040 flags 40200, the oracle says c040 flags 40101'],
  [
    VIRTIO,
    '00:03.0',
    'the expansion ROM',
    0x32,
    0x10,
    'resource 6 is fe700000 flags 46200, the oracle says fe600000 flags 46200',
  ],
  [VIRTIO, '00:03.0', 'MSI-X Enable', 0x9b, 0x80, 'may use 0 messages, the oracle says 3'],
  [
    VIRTIO,
    '00:03.0',
    'the MSI-X table',
    0x9d,
    0x10,
    'capability 0x98 would have "Vector table: BAR=1 offset=00001000"',
  ],
  [VIRTIO, '00:03.0', 'the BAR of pending bits', 0xa0, 0x04, 'capability 0x98 would have "PBA: BAR=5 offset=00000800"'],
  [
    VIRTIO,
    '00:03.0',
    'a cfg_type',
    0x43,
    0x03,
    'capability 0x40 would have "Vendor Specific Information: VirtIO: Notify"',
  ],
  [
    VIRTIO,
    '00:03.0',
    'the length of a structure',
    0x4d,
    0x20,
    'capability 0x40 would have "BAR=4 offset=00000000 size=00003000"',
  ],
  [
    VIRTIO,
    '00:03.0',
    'the notify multiplier',
    0x80,
    0x02,
    'capability 0x70 would have "BAR=4 offset=00003000 size=00001000 multiplier=00000006"',
  ],
  [VIRTIO, '00:03.0', 'a pointer', 0x99, 0xf4, 'capabilities is 0x98 0x70 0x60'],
  [
    VIRTIO,
    '00:03.0',
    'a pointer into a circle',
    0x41,
    0x98,
    'the chain leads from 0x41 to 0x98, which was visited before',
  ],
  [VIRTIO, '00:1c.0', 'a secondary bus', 0x19, 0x02, 'header would have "Bus: primary=00, secondary=03,'],
  [VIRTIO, '00:1c.0', 'a window', 0x20, 0x10, 'resource 14 is fe500000 flags 200, the oracle says fe400000 flags 200'],
  [VIRTIO, '00:1c.0', 'the end of a window', 0x26, 0x10, 'end of resource 15 is fe8fffff, the oracle says fe9fffff'],
  [VIRTIO, '00:1c.0', 'a subsystem in a capability', 0x46, 0x01, 'capability 0x40 would have "Subsystem: [1b36:0001]"'],
  [VIRTIO, '01:00.0', 'an extended version', 0x102, 0x01, 'capabilities is'],
  [VIRTIO, '01:00.0', 'an extended pointer', 0x102, 0x80, 'capabilities is'],
  [VIRTIO, '01:00.0', 'ATS Enable', 0x14f, 0x80, 'capability 0x148 v1 would have "ATSCtl:\tEnable'],
  [VIRTIO, '01:00.0', 'AER Severity', 0x10c, 0x10, 'capability 0x100 v2 would have "UESvrt:\tDLP- SDES+'],
  [VIRTIO, '01:00.0', 'the power state', 0x80, 0x03, 'capability 0x7c would have "Status: D3 NoSoftRst- …"'],
  [
    VIRTIO,
    '01:00.0',
    'the port type',
    0x42,
    0x40,
    'capability 0x40 would have "Express (v2) Root Port (Slot-), MSI 00"',
  ],
  [
    VIRTIO,
    '01:00.0',
    'the largest payload',
    0x44,
    0x02,
    'capability 0x40 would have "DevCap:\tMaxPayload 512 bytes, …"',
  ],
  [
    VIRTIO,
    '01:00.0',
    'the largest read request',
    0x49,
    0x10,
    'capability 0x40 would have "MaxPayload 128 bytes, MaxReadReq 256 bytes"',
  ],
  [VIRTIO, '01:00.0', 'the link speed', 0x52, 0x03, 'link speed is 5.0 GT/s PCIe, the oracle says 2.5 GT/s PCIe'],
  [VIRTIO, '01:00.0', 'the link width', 0x52, 0x30, 'link width is 2, the oracle says 1'],
  [
    VIRTIO,
    '00:1c.0',
    'the largest link speed',
    0x60,
    0x01,
    'largest link speed is 32.0 GT/s PCIe, the oracle says 16.0 GT/s PCIe',
  ],
  [VIRTIO, '00:1c.0', 'the largest link width', 0x61, 0x03, 'largest link width is 16, the oracle says 32'],
  [IGB, '01:00.0', 'NumVFs', 0x170, 0x01, 'NumVFs is 3, the oracle says 2'],
  [IGB, '01:00.0', 'VF Enable', 0x168, 0x01, 'NumVFs is 0, the oracle says 2'],
  [IGB, '01:00.0', 'TotalVFs', 0x16e, 0x0c, 'TotalVFs is 4, the oracle says 7'],
  [IGB, '01:00.0', 'First VF Offset', 0x174, 0x02, 'First VF Offset is 130, the oracle says 128'],
  [IGB, '01:00.0', 'VF Stride', 0x176, 0x06, 'VF Stride is 4, the oracle says 2'],
  [IGB, '01:00.0', 'VF Device ID', 0x17a, 0x01, 'VF Device ID is 10cb, the oracle says 10ca'],
  [IGB, '01:00.0', 'the pages of VFs', 0x17c, 0x02, 'capability 0x160 v1 would have "Supported Page Size: 00000551'],
  [
    IGB,
    '01:00.0',
    'the address of a VF BAR',
    0x186,
    0x02,
    'resource 7 is fe820000 flags 14220c, the oracle says fe800000 flags 14220c',
  ],
  [
    IGB,
    '01:00.0',
    'the next function of ARI',
    0x155,
    0x01,
    'capability 0x150 v1 would have "ARICap:\tMFVC- ACS-, Next Function: 1"',
  ],
  [IGB, '01:10.2', 'a BAR in a VF', 0x16, 0x10, 'resource 1 is 100000 flags 40200, the oracle says 0 flags 0'],
  [
    OTHERS,
    '00:03.0',
    'a serial number',
    0x144,
    0x01,
    'capability 0x140 v1 would have "Device Serial Number 52-54-00-ff-ff-12-34-57"',
  ],
  [OTHERS, '00:0a.0', 'MSI Enable', 0x62, 0x01, 'may use 0 messages, the oracle says 1'],
  [
    OTHERS,
    '00:03.0',
    'the MSI address width',
    0xd2,
    0x80,
    'capability 0xd0 would have "MSI: Enable- Count=1/1 Maskable- 64bit-"',
  ],
  [OTHERS, '00:1c.0', 'an ACS control', 0x14e, 0x01, 'capability 0x148 v1 would have "ACSCtl:\tSrcValid+'],
  [OTHERS, '00:1c.0', 'the header layout', 0x0e, 0x01, 'resource '],
] as const;

test.each(BYTES)('%s %s: a flipped bit is seen: %s', (set, bdf, _, at, mask, difference) => {
  const folder = copied(set, bdf);
  flip(folder, bdf, at, mask);
  const found = differences(folder);
  expect(found[0]).toContain(`0000:${bdf}`);
  expect(
    found.some((text) => text.startsWith(`0000:${bdf} ${difference}`) || text === `0000:${bdf}: ${difference}`),
  ).toBe(true);
});

test.each<[string, string, (device: Device) => void, string]>([
  [
    'a resource',
    '01:10.2',
    ({ resource }) => {
      resource[0] = ['0xfe808000', '0xfe80bfff', '0x14220c'];
    },
    'resource 0 is fe804000 flags 14220c, the oracle says fe808000 flags 14220c',
  ],
  [
    'a resource that the space does not have',
    '01:00.0',
    ({ resource }) => {
      resource[5] = ['0xfe000000', '0xfe000fff', '0x40200'];
    },
    'resource 5 is 0 flags 0, the oracle says fe000000 flags 40200',
  ],
  [
    'a capability',
    '01:00.0',
    (device) => {
      device.lspci_capabilities[0]!.offset = 0x44;
    },
    'list of capabilities is 0x40 ',
  ],
  [
    'no SR-IOV',
    '01:00.0',
    (device) => {
      delete device.sriov_totalvfs;
    },
    'has SR-IOV is true, the oracle says false',
  ],
  [
    'a link',
    '00:04.0',
    (device) => {
      device.max_link_speed = '2.5 GT/s PCIe';
    },
    'has a link is false, the oracle says true',
  ],
  [
    'more messages than vectors',
    '01:00.0',
    (device) => {
      device.msi_irqs = 11;
    },
    'may use 10 messages, the oracle says 11',
  ],
  [
    'a first line',
    '01:00.0',
    (device) => {
      device.lspci_first_line = `${device.lspci_first_line} (prog-if 02 [x])`;
    },
    'programming interface in lspci is 00, the oracle says 02',
  ],
])('an oracle that says otherwise is contradicted: %s', (_, bdf, change, difference) => {
  const found = differences(copied(IGB, bdf, change));
  expect(found.some((text) => text.startsWith(`0000:${bdf} ${difference}`))).toBe(true);
});

test('a VF that a PF says it has, and that is not there, is missed', () => {
  const folder = copied(IGB, '01:10.2', (device) => {
    device.bdf = '0000:01:10.3';
  });
  const path = join(folder, 'lspci.txt');
  writeFileSync(path, readFileSync(path, 'utf8').replace('01:10.2 ', '01:10.3 '));
  expect(differences(folder)).toContain('0000:01:00.0: VF 1 would be routing id 0x182, which is not there');
});

test.each<[string, (folder: string) => void, RegExp]>([
  [
    'a space past the end of config.bin',
    (folder) => writeFileSync(join(folder, 'config.bin'), new Uint8Array(300)),
    /^expected\.json: devices\[1\]: want bytes 256 to 511 of config\.bin, which has 300$/,
  ],
  ['no config.bin', (folder) => rmSync(join(folder, 'config.bin')), /^config\.bin: ENOENT$/],
  [
    'nothing by lspci',
    (folder) => writeFileSync(join(folder, 'lspci.txt'), ''),
    /^lspci\.txt: nothing about 0000:00:00\.0$/,
  ],
])('a damaged set says where: %s', (_, damage, reason) => {
  const folder = copied(VIRTIO, '00:03.0');
  damage(folder);
  expect(checkSet(folder)).toEqual({ outcome: 'damaged', reason: expect.stringMatching(reason) });
});

test.each<[string, (device: Device) => void, RegExp]>([
  [
    'an address that is none',
    ({ resource }) => {
      resource[1]![0] = '4096';
    },
    /^expected\.json: devices\[1\]\.resource\[1\]\[0\]: want a hex number/,
  ],
  [
    'a place that is none',
    (device) => {
      device.bdf = '00:03.0';
    },
    /^expected\.json: devices\[1\]\.bdf: want domain:bus/,
  ],
  [
    'a space of 300 bytes',
    (device) => {
      device.length = 300;
    },
    /^expected\.json: devices\[1\]\.length: /,
  ],
])('a damaged expectation says where: %s', (_, change, reason) => {
  expect(checkSet(copied(VIRTIO, '00:03.0', change))).toEqual({
    outcome: 'damaged',
    reason: expect.stringMatching(reason),
  });
});
