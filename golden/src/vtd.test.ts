import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { checkSet, type SetResult } from './check-set.js';
import { run } from './run.js';

const sets = fileURLToPath(new URL('../sets/', import.meta.url));
const SPLIT = 'vtd-legacy-aw39-split';
const PACKED = 'vtd-legacy-aw48-packed';
const SCALABLE = 'vtd-scalable-aw48-split';
const VFIO = 'vtd-vfio-aw39-superpages';

interface Expectation {
  source_id?: number;
  registers: { CAP?: unknown };
  probes: { result: string; pa?: string; reason?: number; iova: string }[];
  mutations?: unknown[];
  kernel_maps?: unknown;
  live_translations?: unknown;
  devices?: unknown;
}

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

/** A copy of one set, with its expected.json changed. */
function copied(set: string, change: (expected: Expectation) => void = () => {}): string {
  const parent = mkdtempSync(join(tmpdir(), 'ringwire-golden-'));
  made.push(parent);
  const folder = join(parent, set);
  cpSync(join(sets, set), folder, { recursive: true });
  const expected: Expectation = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
  change(expected);
  writeFileSync(join(folder, 'expected.json'), JSON.stringify(expected));
  return folder;
}

/** Leave only what is said of the rings. */
function ringsOnly(expected: Expectation): void {
  expected.probes = [];
  for (const key of ['mutations', 'kernel_maps', 'live_translations', 'devices'] as const) delete expected[key];
}

/** Change a byte at a physical address. */
function flip(folder: string, address: number, mask: number): void {
  const { pages, page_size: size }: { page_size: number; pages: { gpa: string; offset: number }[] } = JSON.parse(
    readFileSync(join(folder, 'pages.json'), 'utf8'),
  );
  const page = pages.find(({ gpa }) => Number(gpa) <= address && address < Number(gpa) + size)!;
  const bytes = readFileSync(join(folder, 'pages.bin'));
  bytes[page.offset + address - Number(page.gpa)]! ^= mask;
  writeFileSync(join(folder, 'pages.bin'), bytes);
}

const text = (result: SetResult): string =>
  result.outcome === 'damaged' ? result.reason : result.tally.differences.join('\n');

/** Physical addresses of table entries, and what the set then says first. */
const TABLE_BITS = [
  [
    SPLIT,
    'the root entry of bus 0, P',
    0x5dae000,
    0x01,
    /^devices\[0\]: fault reason of its entry is 1, the oracle says 0/,
  ],
  [
    SPLIT,
    'the context entry of source id 0x18, DID',
    0x5e14180 + 9,
    0x01,
    /^devices\[\d\]: domain is 2, the oracle says 3/,
  ],
  [SPLIT, 'a level 2 entry, R', 0x61a9ff8, 0x01, /probes\[\d+\]: result is fault, the oracle says ok/],
  [SPLIT, 'a level 1 entry, the page', 0x61a8ff0 + 2, 0x01, /pa is 0x61bb000, the oracle says 0x61ab000/],
  [SCALABLE, 'the PASID table entry, DID', 0x5e29000 + 8, 0x04, /^devices\[\d\]: domain is 7, the oracle says 3/],
  [
    SCALABLE,
    'a level 1 entry, W',
    0x6174ff8,
    0x02,
    /^rx0: used ring: write of 0xfffff240 by source id 0x18: fault 0x5 WRITE$/m,
  ],
  [VFIO, 'the 1 GiB page, PS', 0x14324f200, 0x80, /^probes\[\d+\]: result is fault, the oracle says ok/],
] as const;

test.each(TABLE_BITS)('%s: a flipped bit is seen: %s', (set, _, address, mask, difference) => {
  const folder = copied(set);
  flip(folder, address, mask);
  const result = checkSet(folder);
  expect([result.outcome, text(result)]).toEqual(['disagree', expect.stringMatching(difference)]);
});

describe.each([SPLIT, PACKED, SCALABLE, VFIO])('%s: a flipped bit of a probe is seen', (set) => {
  test.each([
    [
      'pa',
      'ok',
      (probe: Expectation['probes'][number]) => ({ ...probe, pa: `0x${(BigInt(probe.pa!) ^ 0x10n).toString(16)}` }),
    ],
    ['reason', 'fault', (probe: Expectation['probes'][number]) => ({ ...probe, reason: probe.reason! ^ 1 })],
  ] as const)('%s', (field, kind, change) => {
    let at = -1;
    const folder = copied(set, ({ probes }) => {
      at = probes.findIndex(({ result }) => result === kind);
      probes[at] = change(probes[at]!);
    });
    const result = checkSet(folder);
    expect(result.outcome).toBe('disagree');
    expect(text(result)).toMatch(new RegExp(`^probes\\[${at}\\]: ${field} is [0-9a-fx]+, the oracle says [0-9a-fx]+$`));
  });
});

/** Physical addresses of entries that only the rings are asked about then. */
const RING_BITS = [
  [
    SPLIT,
    'W of the used ring',
    0x61a8fe8,
    0x02,
    /^tx0: used ring: write of 0xffffd240 by source id 0x18: fault 0x5 WRITE$/m,
  ],
  [
    SPLIT,
    'R of the first transmit buffer',
    0x61a8468,
    0x01,
    /^tx0: buffer of 55: read of 0xffe8d006 by source id 0x18: fault 0x6 READ$/m,
  ],
  [
    SPLIT,
    'the page of the first transmit buffer',
    0x61a8468 + 1,
    0x10,
    /^frame 0 that left: .*not saved|^frame 0 that left: tx0 element 55: byte/m,
  ],
  [
    SPLIT,
    'the page of the first receive buffer',
    0x61a8e40 + 2,
    0x08,
    /^frame \d+ of "rx" was found at .*; rx0 would take it to /m,
  ],
  [PACKED, 'the page of the descriptor ring', 0x61abff8 + 1, 0x10, /^rx0/m],
  [
    PACKED,
    'W of the device event suppression',
    0x61abfd0,
    0x02,
    /^tx0: device event suppression: write of 0xffffa000 /m,
  ],
  [
    SCALABLE,
    'P of the PASID table entry',
    0x5e29000,
    0x01,
    /^rx0: descriptor table: read of 0xffffe000 by source id 0x18: fault 0x58 /m,
  ],
] as const;

describe('rings behind the tables, with nothing else said of these', () => {
  test.each([SPLIT, PACKED, SCALABLE])('%s agrees', (set) => {
    const result = checkSet(copied(set, ringsOnly));
    expect([result.outcome, text(result)]).toEqual(['agree', '']);
  });

  test.each(RING_BITS)('%s: a flipped bit is seen: %s', (set, _, address, mask, difference) => {
    const folder = copied(set, ringsOnly);
    flip(folder, address, mask);
    const result = checkSet(folder);
    expect([result.outcome, text(result)]).toEqual(['disagree', expect.stringMatching(difference)]);
  });
});

test.each<[string, (expected: Expectation) => void, RegExp]>([
  [
    'an iova that is none',
    ({ probes }) => {
      probes[3]!.iova = '4096';
    },
    /^expected\.json: probes\[3\]\.iova: want a hex number/,
  ],
  [
    'ok without an address',
    ({ probes }) => {
      delete probes.find(({ result }) => result === 'ok')!.pa;
    },
    /^expected\.json: probes\[\d+\]: want pa with the result ok/,
  ],
  [
    'mappings of nobody',
    (expected) => {
      delete expected.source_id;
    },
    /^expected\.json: source_id: want the source id/,
  ],
  [
    'rings of nobody',
    (expected) => {
      ringsOnly(expected);
      delete expected.source_id;
    },
    /^expected\.json: source_id: want the device of the rings$/,
  ],
  [
    'no CAP',
    ({ registers }) => {
      delete registers.CAP;
    },
    /^registers\.CAP\.value is undefined/,
  ],
])('a damaged set says where: %s', (_, change, reason) => {
  const result = checkSet(copied(SPLIT, change));
  expect([result.outcome, text(result)]).toEqual(['damaged', expect.stringMatching(reason)]);
});

test('the program: what was compared, of tables and of rings behind them', () => {
  let out = '';
  const write = (line: string): void => {
    out += line;
  };
  expect(run([join(sets, SPLIT), join(sets, VFIO)], sets, { out: write, err: write })).toBe(0);
  expect(out).toContain(
    ': 220 probes, 50 mutations, 339 mappings, 62 unmapped accesses, 80 live translations; behind them 3 queues, 274 elements, 343 pages reached, 24 frames out, 248 placements, ',
  );
  expect(out).toMatch(/: 168 probes, 82 mutations, 1354 mappings, 0 unmapped accesses, 0 live translations\n/);
});
