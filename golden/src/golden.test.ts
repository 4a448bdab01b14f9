import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checkSet, type SetResult } from './check-set.js';
import { findSets } from './find-sets.js';
import { run } from './run.js';

const sets = fileURLToPath(new URL('../sets/', import.meta.url));
const SPLIT = 'split-ev1-ind1-mrg1-q256';
const PACKED = 'packed-ev1-ind0-mrg1-q1024';
const DPDK = 'dpdk-packed-mrg0-vectorized-q1024';

interface ExpectedQueue {
  readonly desc: string;
  readonly driver: string;
  readonly device: string;
}

const expectedOf = (set: string): { queues: ExpectedQueue[] } =>
  JSON.parse(readFileSync(join(sets, set, 'expected.json'), 'utf8'));

/** A copy of one set in a folder of its own. */
function copied(set: string): string {
  const folder = join(mkdtempSync(join(tmpdir(), 'ringwire-golden-')), set);
  cpSync(join(sets, set), folder, { recursive: true });
  return folder;
}

/** Change the byte at a guest address. */
function flip(folder: string, address: number, mask: number): void {
  const index = JSON.parse(readFileSync(join(folder, 'pages.json'), 'utf8')) as {
    page_size: number;
    pages: { gpa: string; offset: number }[];
  };
  const page = index.pages.find(({ gpa }) => Number(gpa) <= address && address < Number(gpa) + index.page_size)!;
  const bytes = readFileSync(join(folder, 'pages.bin'));
  bytes[page.offset + address - Number(page.gpa)]! ^= mask;
  writeFileSync(join(folder, 'pages.bin'), bytes);
}

/** Change a file of a set as text. */
function edit(folder: string, name: string, change: (text: string) => string): void {
  const path = join(folder, name);
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
}

/** First difference, or what is damaged. */
const firstOf = (result: SetResult): string =>
  result.outcome === 'damaged' ? result.reason : (result.tally.differences[0] ?? '');

for (const folder of findSets(sets)) {
  test(`real drivers' rings, tables and configuration spaces: ${folder.slice(sets.length)}`, () => {
    const result = checkSet(folder);
    expect([result.outcome, firstOf(result)]).toEqual(['agree', '']);
    // Nothing agrees by having been left out.
    if (!('tally' in result)) return;
    const { elements, framesOut, placements, returned, tables, queues, reached } = result.tally;
    if (/^pci-/.test(folder.slice(sets.length))) {
      const { functions, resources, capabilities, lines } = result.tally;
      expect(functions).toBeGreaterThanOrEqual(10);
      expect(resources).toBeGreaterThan(2 * functions);
      expect(capabilities).toBeGreaterThan(3 * functions);
      expect(lines).toBeGreaterThan(4 * capabilities);
      return;
    }
    expect(tables !== undefined).toBe(/^vtd/.test(folder.slice(sets.length)));
    const { probes = 0, vfio_maps: mappings = 0 } = tables ?? {};
    if (tables !== undefined) expect(probes).toBeGreaterThanOrEqual(20);
    if (/^vtd-vfio/.test(folder.slice(sets.length))) {
      expect([queues, mappings]).toEqual([0, 1354]);
      return;
    }
    expect(reached).toBeGreaterThan(elements);
    expect(framesOut).toBeGreaterThan(0);
    expect(placements).toBeGreaterThan(0);
    expect(elements).toBeGreaterThanOrEqual(framesOut);
    expect(returned).toBeGreaterThan(framesOut);
    const { deviceFrames, deviceBytes, knownFaults } = result.tally;
    // A chain with a fault that its driver is known for is given up.
    if (knownFaults === 0) expect(deviceFrames).toBe(framesOut);
    expect(deviceBytes).toBeGreaterThan(10 * placements);
  });
}

const device = (result: SetResult): string[] =>
  'tally' in result ? result.tally.differences.filter((text) => text.startsWith('device')) : [];

test('our device is seen to differ: a byte that leaves, one that it writes, one that it leaves alone', () => {
  const left = copied(SPLIT);
  flip(left, 0x5165c06 + 12 + 30, 0x01);
  expect(device(checkSet(left))).toEqual([expect.stringMatching(/^device, tx: byte 30 of frame 0 is \d+, the oracle/)]);
  const written = copied(SPLIT);
  // The used length of the first received frame: 0x48, 72 bytes.
  edit(written, 'expected.json', (text) =>
    text.replace('"270000004800000028000000f605', '"270000004900000028000000f605'),
  );
  expect(device(checkSet(written))).toEqual(['device, rx: the byte at 0x5453380 is 72, the oracle says 73']);
  const silent = copied(SPLIT);
  edit(silent, 'expected.json', (text) =>
    text.replace(/"0x5576c0a",(\s*)"0000",(\s*)"0100"/, '"0x5576c0a",$1"0000",$2"0102"'),
  );
  expect(device(checkSet(silent))).toEqual(['device, rx: the byte at 0x5576c0b is 0, the oracle says 2']);
});

test('our device is seen to differ: no notification where one is due', () => {
  const folder = copied(SPLIT);
  edit(folder, 'expected.json', (text) => text.replace(/"interrupts": \{\s*"1": 1/, '"interrupts": {"0": 1, "1": 1'));
  expect(device(checkSet(folder))).toEqual(['device, tx: notifications of queue 0 is none, the oracle says some']);
});

const [rx, tx] = expectedOf(SPLIT).queues as [ExpectedQueue, ExpectedQueue];
const [, packedTx] = expectedOf(PACKED).queues as [ExpectedQueue, ExpectedQueue];
const [dpdkRx] = expectedOf(DPDK).queues as [ExpectedQueue];

for (const [what, set, address, mask, difference] of [
  [
    'the address of a pending descriptor',
    SPLIT,
    Number(rx.desc) + 40 * 16 + 1,
    0x02,
    /^rx0 element 1 descriptors is \[0x5577000,/,
  ],
  ['the length of a pending descriptor', SPLIT, Number(rx.desc) + 40 * 16 + 8, 0x01, /^rx0 element 1 descriptors/],
  ['WRITE of a pending descriptor', SPLIT, Number(rx.desc) + 40 * 16 + 12, 0x02, /^rx0 element 1 descriptors/],
  [
    'an entry of the available ring',
    SPLIT,
    Number(tx.driver) + 4 + 60 * 2,
    0x40,
    /^tx0 element 5 head is 111, the oracle says 47$/,
  ],
  ['avail.idx', SPLIT, Number(tx.driver) + 2, 0x01, /^tx0 avail\.idx is 78, the oracle says 79$/],
  ['used.idx', SPLIT, Number(tx.device) + 2, 0x80, /ring\.split\.used-overwritten/],
  ['the id of a pending packed descriptor', PACKED, Number(packedTx.desc) + 131 * 16 + 12, 0x40, /^tx0.*id/],
  [
    'AVAIL of a pending packed descriptor',
    PACKED,
    Number(packedTx.desc) + 131 * 16 + 14,
    0x80,
    /^frames transmitted is 1, the oracle says 136$/,
  ],
  [
    'the address of a pending packed descriptor',
    PACKED,
    Number(packedTx.desc) + 131 * 16,
    0x04,
    /^frame \d+ that left: tx0 element/,
  ],
  ['WRITE of a pending DPDK descriptor', DPDK, Number(dpdkRx.desc) + 480 * 16 + 14, 0x02, /of "rx/],
] as const) {
  test(`a flipped bit is seen: ${what}`, () => {
    const folder = copied(set);
    flip(folder, address, mask);
    const result = checkSet(folder);
    expect(result.outcome).toBe('disagree');
    expect(firstOf(result)).toMatch(difference);
  });
}

test('a transmitted byte that differs from the frame is seen', () => {
  const folder = copied(SPLIT);
  // The first transmit buffer, 0x5165c06: 12 bytes of header, then the frame.
  flip(folder, 0x5165c06 + 12 + 30, 0x01);
  expect(firstOf(checkSet(folder))).toMatch(/^frame 0 that left: tx0 element 55: byte 30 is/);
});

for (const [what, set, change, difference] of [
  ['a position', SPLIT, (text: string) => text.replace('"last_avail_idx": 39', '"last_avail_idx": 40'), /rx0/],
  [
    'a placement',
    PACKED,
    (text: string) => text.replace(/("placements": \[\s*\[\s*0,\s*0,\s*"0x)./, '$1f'),
    /^frame 0 of "rx" was found at \[0, 0xf/,
  ],
  [
    'a vring base',
    DPDK,
    (text: string) => text.replace('"0x30c"', '"0x30d"'),
    /^rx0 vring base is 780 wrap 0, the oracle says 781 wrap 0$/,
  ],
  [
    'a count',
    DPDK,
    (text: string) => text.replace('"available": 995', '"available": 996'),
    /^rx0 available is 995, the oracle says 996$/,
  ],
] as const) {
  test(`an oracle that says otherwise is contradicted: ${what}`, () => {
    const folder = copied(set);
    edit(folder, 'expected.json', change);
    const result = checkSet(folder);
    expect([result.outcome, firstOf(result)]).toEqual(['disagree', expect.stringMatching(difference)]);
  });
}

for (const [what, file, change, reason] of [
  ['no JSON', 'expected.json', (text: string) => text.slice(0, 200), /^expected\.json: no valid JSON: /],
  [
    'a kind that is none',
    'expected.json',
    (text: string) => text.replace('"virtqueue-split"', '"virtqueue-spilt"'),
    /^expected\.json: kind: /,
  ],
  [
    'an address that is none',
    'expected.json',
    (text: string) => text.replace('"desc": "0x', '"desc": "x'),
    /^expected\.json: queues\[0\]\.desc: want a hex number/,
  ],
  ['a missing page file', 'pages.bin', null, /^pages\.bin: ENOENT$/],
  [
    'a page past the end of pages.bin',
    'pages.json',
    (text: string) => text.replace(/"offset": ?0\b/, '"offset": 9999999'),
    /^pages\.json: pages\[0\], gpa 0x[0-9a-f]+: want bytes 9999999 to 10004094 of pages\.bin, which has \d+$/,
  ],
] as const) {
  test(`a damaged set says where: ${what}`, () => {
    const folder = copied(SPLIT);
    if (change === null) rmSync(join(folder, file));
    else edit(folder, file, change);
    const result = checkSet(folder);
    expect([result.outcome, firstOf(result)]).toEqual(['damaged', expect.stringMatching(reason)]);
  });
}

function golden(...args: string[]): { code: number; out: string; err: string } {
  let out = '';
  let err = '';
  const code = run(args, sets, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

test('the program: one line per set and a total', () => {
  const { code, out } = golden();
  expect(code).toBe(0);
  const lines = out.trim().split('\n');
  expect(lines.at(-1)).toBe('33 sets: 33 agree, 0 disagree');
  expect(lines).toContain('agree        pci-q10-igb: 12 functions, 31 resources, 49 capabilities, 214 lines of lspci');
  expect(lines.filter((line) => line.startsWith('agree '))).toHaveLength(33);
});

test('the program: exit code 1 and the first differences when one set disagrees', () => {
  const folder = copied(SPLIT);
  flip(folder, Number(rx.desc) + 40 * 16, 0x01);
  const { code, out } = golden(folder);
  expect(code).toBe(1);
  expect(out).toMatch(/^DISAGREE {5}.*split-ev1-ind1-mrg1-q256\n {15}rx0 element 1 descriptors/);
  expect(out).toContain('1 set: 0 agree, 1 disagree');
});

test('the program: --json', () => {
  const { code, out } = golden('--json', join(sets, SPLIT), join(sets, 'pci-q10-igb'));
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    total: { sets: 2, agree: 2, disagree: 0, damaged: 0 },
    sets: [
      { outcome: 'agree', queues: 3, framesOut: 24 },
      { outcome: 'agree', functions: 12, capabilities: 49 },
    ],
  });
});

test('the program: exit code 2 for a folder that is not there, holds no set, or an option that is none', () => {
  expect(golden('/nowhere')).toEqual({ code: 2, out: '', err: 'golden: /nowhere: ENOENT\n' });
  expect(golden(mkdtempSync(join(tmpdir(), 'empty-'))).code).toBe(2);
  expect(golden('--frob').code).toBe(2);
});
