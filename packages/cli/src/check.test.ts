import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ringwire } from './testing/command.js';

const sets = fileURLToPath(new URL('../../../golden/sets/', import.meta.url));
const SPLIT = join(sets, 'split-ev1-ind1-mrg1-q256');
const PACKED = join(sets, 'packed-ev1-ind1-mrg1-q256');

/** The receive queue of the split set. */
const RX = ['--split', '--desc', '0x5452000', '--driver', '0x5453000', '--device', '0x5453240', '--size', '256'];

const check = (...args: string[]) => ringwire('check', ...args);

/** A copy of a set's pages, for damage. */
function copied(set: string): { index: string; bin: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ringwire-check-'));
  for (const name of ['pages.json', 'pages.bin']) copyFileSync(join(set, name), join(folder, name));
  return { index: join(folder, 'pages.json'), bin: join(folder, 'pages.bin') };
}

/** Overwrite bytes of a file. */
function patch(file: string, offset: number, ...bytes: number[]): void {
  const content = readFileSync(file);
  content.set(bytes, offset);
  writeFileSync(file, content);
}

test('a clean queue: its parts, fields, positions and pending elements, exit code 0', async () => {
  const { code, out, err } = await check(join(SPLIT, 'pages.json'), ...RX, '--features', '0x10130af8024');
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain('split virtqueue, size 256\n  features 0x10130af8024: INDIRECT_DESC, EVENT_IDX, VERSION_1');
  expect(out).toContain('  descriptor table  0x5452000  4096 bytes  pages.bin+0x6000\n');
  expect(out).toContain('  avail.flags  0  avail.idx  289  used_event   39\n');
  expect(out).toContain('  device takes next      39   likely ');
  expect(out).toContain('Pending: 250 elements, 250 buffers, 0 bytes device-readable, 390144 device-writable\n');
  expect(out).toContain('  39     39    39          0x5576c00  1536    write\n');
  expect(out).toContain('  and 234 more; --all shows them\n');
  expect(out).toContain('  - 250 elements are pending from available index 39 on');
  expect(out).toMatch(/\nNo violation found in what is pending\.\n$/);
  expect(out.includes('\u001b')).toBe(false);
});

test('--all shows every pending element, --last-avail is taken as given', async () => {
  const { out } = await check(join(SPLIT, 'pages.json'), ...RX, '--all', '--last-avail', '39', '--used', '39');
  expect(out).toContain('  device takes next      39   given\n');
  expect(out).toMatch(/\n {2}288 +0 +0 +0x556da00 +1536 +write\n/);
});

test('a violation is named with clause, field, address and file offset, exit code 1', async () => {
  const { index, bin } = copied(SPLIT);
  // Descriptor 39 begins at 0x6000 + 39 * 16 in pages.bin; its flags are INDIRECT and NEXT now.
  patch(bin, 0x6000 + 39 * 16 + 12, 5, 0);
  const { code, out } = await check(
    index,
    ...RX,
    '--features',
    'version_1,VIRTIO_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX',
  );
  expect(code).toBe(1);
  expect(out).toContain('  drv.split.indirect.4  driver, virtio 1.4 §2.7.5.3.1\n');
  expect(out).toContain('    descriptor table at 0x545227c (pages.bin+0x627c)\n');
  expect(out).toContain('descriptor 39 has flags 0x5, want INDIRECT or NEXT but not both.');
});

test('--json: the report with file offsets, under a schema with a number', async () => {
  const { index, bin } = copied(SPLIT);
  // avail.ring[39] is head 65535.
  patch(bin, 0x7000 + 4 + 39 * 2, 0xff, 0xff);
  const { code, out } = await check(index, ...RX, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    schema: 'ringwire.check/1',
    layout: 'split',
    totals: { elements: 249 },
    violations: [{ id: 'ring.split.head-range', at: '0x5453052', file_offset: 0x7052 }],
  });
});

test('a packed queue with the positions the device gives', async () => {
  const { queues } = JSON.parse(readFileSync(join(PACKED, 'expected.json'), 'utf8'));
  const { desc, driver, device } = queues[1];
  const place = ['--packed', '--desc', desc, '--driver', driver, '--device', device, '--size', '256'];
  const { code, out } = await check(join(PACKED, 'pages.json'), ...place, '--last-avail', '55', '--wrap', '1');
  expect(code).toBe(0);
  expect(out).toContain('  device takes next      slot 55, wrap counter 1  given\n');
  expect(out).toContain('Pending: 24 elements');
});

test('a raw dump from a base address on, with the RAM it is all of', async () => {
  const { bin } = copied(SPLIT);
  // The descriptor table is at 0x6000 of the file, the rings at 0x7000: taken as memory from 0x1000 on.
  const place = [
    '--split',
    '--desc',
    '0x7000',
    '--driver',
    '0x8000',
    '--device',
    '0x8240',
    '--size',
    '256',
    '--base',
    '0x1000',
  ];
  const { code, out } = await check(bin, ...place);
  expect([code, out.includes('pages.bin+0x6000')]).toEqual([0, true]);
  const strict = await check(bin, ...place, '--ram', 'dump');
  expect(strict.code).toBe(1);
  expect(strict.out).toContain('ring.split.buffer-unmapped');
  const ranged = await check(bin, ...place, '--ram', '0x0+0x8000000');
  expect(ranged.code).toBe(0);
});

test('exit code 2: a truncated dump names its end, and what should be there', async () => {
  const { index, bin } = copied(SPLIT);
  const raw = join(index, '..', 'raw.bin');
  writeFileSync(raw, readFileSync(bin).subarray(0, 0x7100));
  const place = ['--split', '--desc', '0x6000', '--driver', '0x7000', '--device', '0x7240', '--size', '256'];
  const short = await check(raw, ...place);
  expect([short.code, short.out, short.err]).toEqual([
    2,
    '',
    'ringwire: the available ring is 518 bytes at 0x7000, of which the first 256 are there; raw.bin has 28928 bytes from 0x0 on, so it ends at offset 28928, address 0x7100\n',
  ]);
  writeFileSync(bin, readFileSync(bin).subarray(0, 0x7100));
  const pages = await check(index, ...RX);
  expect(pages.code).toBe(2);
  expect(pages.err).toMatch(
    /pages\.bin ends at offset 28928, and pages\[7\] \(gpa 0x5453000\) wants bytes 28672 to 32767\n$/,
  );
});

test('exit code 2: pages.json that is damaged names the field', async () => {
  const { index } = copied(SPLIT);
  const good = readFileSync(index, 'utf8');
  writeFileSync(index, good.slice(0, 100));
  expect((await check(index, ...RX)).err).toMatch(/pages\.json is no valid JSON: /);
  writeFileSync(index, good.replace('"gpa": "0x', '"gpa": "0q').replace('"gpa":"0x', '"gpa":"0q'));
  const bad = await check(index, ...RX);
  expect([bad.code, bad.err]).toEqual([2, `ringwire: ${index}: pages[0].gpa: want a hex address such as 0x5452000\n`]);
});

const ANY = ['--desc', '0', '--driver', '0', '--device', '0', '--size', '256'];

for (const [args, message] of [
  [['nowhere.bin', '--split', ...ANY], 'nowhere.bin cannot be read: no such file'],
  [['x.bin', ...ANY], 'want one of --split and --packed, got neither'],
  [['x.bin', '--split', '--packed', ...ANY], 'want one of --split and --packed, got both'],
  [
    ['x.bin', '--split', '--desc', '0xzz'],
    "option '--desc <address>' argument '0xzz' is invalid. Want an address such as 0x5452000.",
  ],
  [['x.bin', '--split', '--desc', '0x10000000000000000'], 'Want an address of at most 64 bits.'],
  [['x.bin', '--split', '--features', 'VERSION_2'], 'No feature is called VERSION_2.'],
  [['x.bin', '--packed', '--wrap', '2'], 'Want 0 or 1.'],
  [['x.bin', '--ram', '0x1000'], 'Want START+SIZE such as 0x0+0x8000000, or the word dump.'],
  [['x.bin', '--split'], "required option '--desc <address>' not specified"],
  [
    [join(SPLIT, 'pages.json'), '--split', ...ANY.slice(0, 6), '--size', '0'],
    'queue_size is 0, want 1 to 32768 (virtio 1.4 §2.7)',
  ],
  [
    [join(SPLIT, 'pages.json'), '--packed', ...ANY, '--last-avail', '1'],
    '--last-avail of a packed queue wants --wrap beside it',
  ],
  [[join(SPLIT, 'pages.json'), '--split', ...ANY, '--wrap', '1'], '--wrap and --used-wrap are for packed queues'],
  [
    [join(SPLIT, 'pages.json'), '--split', ...ANY],
    'the descriptor table is 4096 bytes at 0x0; pages.json lists no page with 0x0',
  ],
] as const) {
  test(`exit code 2: ${message}`, async () => {
    const { code, out, err } = await check(...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });
}

test('help has examples, a version is given, an unknown command is exit code 2', async () => {
  const help = await ringwire('check', '--help');
  expect(help.code).toBe(0);
  expect(help.out).toContain('ringwire check pages.json --split --desc 0x5452000');
  expect(help.out).toContain('Exit code: 0 no violation, 1 violations, 2 the input cannot be used.');
  expect(await ringwire('--version')).toEqual({ code: 0, out: '0.1.0\n', err: '' });
  expect((await ringwire('frob')).code).toBe(2);
});
