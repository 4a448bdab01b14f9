import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { ringwire } from './testing/command.js';

const sets = fileURLToPath(new URL('../../../golden/sets/', import.meta.url));
const SPLIT = join(sets, 'vtd-legacy-aw39-split');
const SCALABLE = join(sets, 'vtd-scalable-aw48-split');
const VFIO = join(sets, 'vtd-vfio-aw39-superpages');

interface Probe {
  readonly sid: number;
  readonly iova: string;
  readonly access: string;
  readonly result: string;
  readonly pa?: string;
  readonly page_mask?: string;
  readonly reason?: number;
}

interface Expectation {
  readonly source_id: number;
  readonly registers: Record<string, { offset: string; size: number; value: string }>;
  readonly probes: readonly Probe[];
  readonly mutations?: readonly (Probe & { name: string; edits: readonly { gpa: string; qword: string }[] })[];
  readonly kernel_maps?: { live: readonly [string, string][]; unmapped_before: readonly string[] };
  readonly vfio_maps?: { list: readonly [string, string, string, number][] };
}

const walk = (...args: string[]) => ringwire('iommu', 'walk', ...args);

const expectedOf = (set: string): Expectation => JSON.parse(readFileSync(join(set, 'expected.json'), 'utf8'));

const scratch = mkdtempSync(join(tmpdir(), 'ringwire-iommu-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function copied(set: string): string {
  const folder = mkdtempSync(join(scratch, 'set-'));
  for (const name of ['pages.json', 'pages.bin', 'expected.json']) cpSync(join(set, name), join(folder, name));
  return folder;
}

/** Write a quadword at a physical address. */
function patch(folder: string, gpa: bigint, qword: bigint): void {
  const { pages }: { pages: { gpa: string; offset: number }[] } = JSON.parse(
    readFileSync(join(folder, 'pages.json'), 'utf8'),
  );
  const page = pages.find(({ gpa: start }) => BigInt(start) === (gpa & ~0xfffn))!;
  const bytes = readFileSync(join(folder, 'pages.bin'));
  bytes.writeBigUInt64LE(qword, page.offset + Number(gpa & 0xfffn));
  writeFileSync(join(folder, 'pages.bin'), bytes);
}

/** A few of each result. */
function sample<P extends Probe>(probes: readonly P[]): P[] {
  const results = new Set(probes.map(({ result }) => result));
  return [...results].flatMap((kind) => {
    const alike = probes.filter(({ result }) => result === kind);
    return alike.filter((_, i) => i % Math.ceil(alike.length / 5) === 0);
  });
}

async function expectProbe(dump: string, { sid, iova, access, result, pa, page_mask, reason }: Probe): Promise<void> {
  const { code, out } = await walk(dump, '--source-id', `${sid}`, '--iova', iova, '--access', access, '--json');
  const report = JSON.parse(out);
  expect(report).toMatchObject({
    schema: 'ringwire.iommu-walk/1',
    result,
    ...(pa === undefined ? {} : { physical: pa }),
    ...(page_mask === undefined ? {} : { page: { bytes: Number(page_mask) + 1 } }),
    ...(reason === undefined ? {} : { reason: { code: reason } }),
  });
  expect(code).toBe(result === 'ok' || result === 'pass-through' ? 0 : 1);
}

describe.each(readdirSync(sets).filter((name) => name.startsWith('vtd')))('%s', (name) => {
  const set = join(sets, name);
  const { probes, source_id: sourceId, kernel_maps, vfio_maps } = expectedOf(set);

  test('a sample of the probes is answered as the oracle answers', async () => {
    const some = sample(probes);
    expect(some.length).toBeGreaterThanOrEqual(4);
    for (const probe of some) await expectProbe(set, probe);
  });

  test('--all lists what the driver mapped, joined, and nothing that it unmapped', async () => {
    const { code, out } = await walk(set, '--source-id', `${sourceId}`, '--all', '--json');
    const {
      mappings,
      complete,
    }: { mappings: { iova: string; physical: string; bytes: number; access: string[] }[]; complete: boolean } =
      JSON.parse(out);
    expect([code, complete]).toEqual([0, true]);
    const ranges = mappings.map((mapping) => ({
      ...mapping,
      iova: Number(mapping.iova),
      physical: Number(mapping.physical),
    }));
    for (const [i, { iova, physical, access }] of ranges.entries()) {
      const before = ranges[i - 1];
      if (before === undefined) continue;
      expect(iova).toBeGreaterThanOrEqual(before.iova + before.bytes);
      const joins = iova === before.iova + before.bytes && physical === before.physical + before.bytes;
      expect(joins && `${access}` === `${before.access}`).toBe(false);
    }
    const physicalOf = (iova: number): number | undefined => {
      const range = ranges.find(({ iova: start, bytes }) => start <= iova && iova < start + bytes);
      return range === undefined ? undefined : range.physical + iova - range.iova;
    };
    for (const [iova, pa] of [...(kernel_maps?.live ?? []), ...(vfio_maps?.list ?? [])])
      expect(physicalOf(Number(iova))).toBe(Number(pa));
    for (const iova of kernel_maps?.unmapped_before ?? []) expect(physicalOf(Number(iova))).toBeUndefined();
  });
});

test.each(sample(expectedOf(SPLIT).mutations!))('after a write into the tables: $name', async (mutation) => {
  const folder = copied(SPLIT);
  for (const { gpa, qword } of mutation.edits) patch(folder, BigInt(gpa), BigInt(qword));
  await expectProbe(folder, mutation);
});

test('each entry with its place, value, bits and verdict, and the physical address', async () => {
  const { code, out, err } = await walk(SPLIT, '--source-id', '00:03.0', '--iova', '0xffffd240', '--access', 'write');
  expect([code, err]).toEqual([0, '']);
  expect(out).toBe(`write of 0xffffd240 by 00:03.0 (0x18)
  translation on, legacy mode, root table at 0x5dae000, physical addresses of 39 bits

Walk
  entry           at         in the dump       value                                  verdict  bits and fields
  root            0x5dae000  pages.bin+0x0     0x0000000005e14001 0x0000000000000000  next     P CTP=0x5e14000
  context         0x5e14180  pages.bin+0x2180  0x0000000005e17001 0x0000000000000301  next     P TT=untranslated AW=39 DID=3 SSPTPTR=0x5e17000
  second-stage 3  0x5e17018  pages.bin+0x3018  0x00000000061a9003                     next     R W ADDR=0x61a9000
  second-stage 2  0x61a9ff8  pages.bin+0xcff8  0x00000000061a8003                     next     R W ADDR=0x61a8000
  second-stage 1  0x61a8fe8  pages.bin+0xbfe8  0x00000000061a5003                     page     R W ADDR=0x61a5000

Translated: 0xffffd240 is 0x61a5240 (4 KiB page 0xffffd000 to 0x61a5000; read write; domain 3).
`);
});

test('a fault with its code and name, under scalable mode by QEMU or by the specification', async () => {
  const args = ['--source-id', '24', '--iova', '0xffe8df34', '--access', 'write'];
  const { code, out } = await walk(join(SCALABLE, 'pages.json'), ...args);
  expect(code).toBe(1);
  expect(out).toMatch(/^ {2}second-stage 1 {3}0x6174468 .* {2}fault 0x05 WRITE {2}R ADDR=0x5fc0000$/m);
  expect(out).toMatch(/\n\nNot translated: fault 0x05 WRITE\.\n$/);
  const specified = await walk(join(SCALABLE, 'pages.json'), ...args, '--fault-codes', 'specification');
  expect(specified.out).toMatch(/\n\nNot translated: fault 0x85 SM_WRITE\.\n$/);
});

test('a table that the dump lacks: the fault, and that no such page was saved', async () => {
  const folder = copied(SPLIT);
  // The context entry's SSPTPTR.
  patch(folder, 0x5e14180n, 0x7000001n);
  const { code, out } = await walk(folder, '--source-id', '24', '--iova', '0xffffd240');
  expect(code).toBe(1);
  expect(out).toMatch(
    /second-stage 3 {2}0x7000018 {2}pages\.json lists no page with 0x7000018 .*outside memory, fault 0x/,
  );
});

test('--all for people; a device without a context entry has none, exit code 1', async () => {
  const { code, out } = await walk(VFIO, '--source-id', '24', '--all');
  expect(code).toBe(0);
  expect(out).toContain(
    '  address       physical     size        device may\n  0x10000       0x143648000  4 KiB       read write\n',
  );
  expect(out).toContain('\n  0x1000000000  0x100000000  1 GiB       read write\n');
  expect(out).toMatch(/\n\n16 ranges, \d+ KiB\.\n$/);
  const none = await walk(SPLIT, '--source-id', '00:0e.7', '--all');
  expect(none.code).toBe(1);
  expect(none.out).toMatch(/\n\nNot translated: fault 0x02 CONTEXT_P\.\n$/);
  const json = await walk(SPLIT, '--source-id', '00:0e.7', '--all', '--json');
  expect(JSON.parse(json.out)).toMatchObject({ refused: { reason: { code: 2, name: 'CONTEXT_P' } }, mappings: [] });
});

test('--pasid: a request that legacy mode refuses', async () => {
  const { code, out } = await walk(SPLIT, '--source-id', '24', '--iova', '0xffffd240', '--pasid', '1');
  expect([code, out]).toEqual([
    1,
    expect.stringMatching(/by 00:03\.0 \(0x18\), PASID 1\n[\s\S]*fault 0x31 LEGACY_WITH_PASID\.\n$/),
  ]);
});

test('raw memory with a file of registers, from a base address on', async () => {
  const raw = join(scratch, 'raw.bin');
  const registers = join(scratch, 'registers.json');
  const expected = expectedOf(SPLIT);
  writeFileSync(registers, JSON.stringify(expected.registers));
  // The set's pages where they belong in the memory from 0x5d00000 on.
  const { pages }: { pages: { gpa: string; offset: number }[] } = JSON.parse(
    readFileSync(join(SPLIT, 'pages.json'), 'utf8'),
  );
  const bytes = readFileSync(join(SPLIT, 'pages.bin'));
  const memory = Buffer.alloc(0x60_0000);
  for (const { gpa, offset } of pages) bytes.copy(memory, Number(gpa) - 0x5d0_0000, offset, offset + 4096);
  writeFileSync(raw, memory);
  const args = ['--source-id', '24', '--iova', '0xffffd240', '--base', '0x5d00000'];
  const { code, out } = await walk(raw, ...args, '--registers', registers, '--address-width', '40');
  expect(code).toBe(0);
  expect(out).toContain('physical addresses of 40 bits\n');
  expect(out).toContain('Translated: 0xffffd240 is 0x61a5240 ');
  expect(await walk(raw, ...args)).toEqual({
    code: 2,
    out: '',
    err: 'ringwire: a raw dump of memory wants --registers beside it\n',
  });
});

const ANY = ['--source-id', '0x18', '--iova', '0'];

test.each<[readonly string[], string]>([
  [[SPLIT, '--source-id', '24'], 'want one of --iova and --all, got neither'],
  [[SPLIT, ...ANY, '--all'], 'want one of --iova and --all, got both'],
  [[SPLIT, '--source-id', '24', '--all', '--access', 'read'], '--access goes with --iova'],
  [[SPLIT, '--iova', '0'], "required option '--source-id <id>' not specified"],
  [[SPLIT, '--source-id', '0x10000'], 'Want a source id such as 0x18 or 00:03.0.'],
  [[SPLIT, '--source-id', '00:20.0'], 'Want a source id such as 0x18 or 00:03.0.'],
  [[SPLIT, ...ANY, '--pasid', '0x100000'], 'Want a PASID from 0 to 1048575.'],
  [[SPLIT, ...ANY, '--access', 'execute'], 'Want read or write.'],
  [[SPLIT, ...ANY, '--address-width', '31'], 'Want 32 to 52 bits.'],
  [[SPLIT, ...ANY, '--fault-codes', 'amd'], 'Want specification or qemu.'],
  [[join(sets, 'nowhere.bin'), ...ANY], 'nowhere.bin cannot be read: no such file'],
  [[join(sets, 'split-ev1-ind1-mrg1-q256'), ...ANY], 'expected.json: registers: '],
  [[SPLIT, ...ANY, '--registers', join(sets, 'nowhere.json')], 'nowhere.json cannot be read: no such file'],
])('exit code 2: %j', async (args, message) => {
  const { code, out, err } = await walk(...args);
  expect([code, out, err]).toEqual([2, '', expect.stringContaining(message)]);
});

test('exit code 2: registers that are missing, misplaced or no numbers are named', async () => {
  const file = join(scratch, 'damaged.json');
  const { registers } = expectedOf(SPLIT);
  const { RTADDR, ...without } = registers as Record<'RTADDR', { offset: string; size: number; value: string }>;
  const attempt = async (value: unknown): Promise<string> => {
    writeFileSync(file, JSON.stringify(value));
    const { code, err } = await walk(SPLIT, ...ANY, '--registers', file);
    expect(code).toBe(2);
    return err;
  };
  expect(await attempt(without)).toContain('damaged.json has no register RTADDR');
  expect(await attempt({ ...without, RTADDR: { ...RTADDR, offset: '0x28' } })).toContain(
    'register RTADDR has offset 0x28 and size 8, want offset 0x20 and size 8',
  );
  expect(await attempt({ ...without, RTADDR: { ...RTADDR, value: '12' } })).toContain(
    'damaged.json: RTADDR.value: want a hex number such as 0x5452000',
  );
});

test('without registers anywhere, the message says where they are looked for', async () => {
  const folder = copied(SPLIT);
  rmSync(join(folder, 'expected.json'));
  const { code, err } = await walk(join(folder, 'pages.json'), ...ANY);
  expect([code, err]).toEqual([
    2,
    `ringwire: want --registers, or registers in ${folder}/expected.json, which is not there\n`,
  ]);
});

test('help has examples and the exit codes', async () => {
  const { code, out } = await walk('--help');
  expect(code).toBe(0);
  expect(out).toContain('ringwire iommu walk golden/sets/vtd-legacy-aw39-split --source-id 00:03.0');
  expect(out).toContain('Exit code: 0 translated, 1 fault or blocked, 2 the input cannot be used.');
});
