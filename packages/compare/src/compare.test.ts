import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ARCHITECTURES } from './architectures.js';
import { COUNTED, MEASURED } from './columns.js';
import { contrastOf } from './contrast.js';
import { type Comparison, compareArchitectures } from './measure.js';
import { comparisonPage } from './page.js';
import { comparisonTable } from './table.js';

function compared(size: number, rings: 'split' | 'packed'): Map<string, Comparison> {
  const rows = compareArchitectures(ARCHITECTURES, { frames: 500, rounds: 3, size, rings });
  return new Map(rows.map((row) => [row.name, row]));
}

describe.each([
  ['split', 60],
  ['packed', 1514],
] as const)('%s, %i bytes', (rings, size) => {
  const of = compared(size, rings);
  const all = [...of.values()];
  const [emulated, vhostNet, vhostUser] = [of.get('emulated')!, of.get('vhost-net')!, of.get('vhost-user')!];
  const [vendor, offload, vdpa] = [of.get('sriov-vendor')!, of.get('virtio-offload')!, of.get('vdpa')!];

  test('F04: every byte of the same frames arrives by each way, in its order', () => {
    expect(all.map(({ lost }) => lost)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(vdpa.digest).toMatch(/^[0-9a-f]{8}$/);
    expect(new Set(all.map(({ digest }) => digest)).size).toBe(1);
  });

  test('F36: traps, kicks, interrupts and copies are those of the architecture', () => {
    // One trap for each register access; one for each kick; none.
    expect(emulated.traps).toBeGreaterThanOrEqual(1);
    expect(vhostNet.traps).toBe(vhostNet.kicks);
    expect([vhostUser, vendor, offload, vdpa].map(({ traps }) => traps)).toEqual([0, 0, 0, 0]);
    // A poll-mode driver and a device that polls have neither kicks nor interrupts.
    expect([vhostUser.kicks, vhostUser.interrupts]).toEqual([0, 0]);
    for (const row of [vhostNet, offload, vdpa]) {
      expect(row.kicks).toBeGreaterThan(0);
      expect(row.interrupts).toBeGreaterThan(0);
    }
    // Software of the host sends each of its guests' interrupts; a card's go there by themselves.
    expect([emulated, vhostNet].map(({ injections }) => injections)).toEqual([
      emulated.interrupts,
      vhostNet.interrupts,
    ]);
    expect([vhostUser, vendor, offload, vdpa].map(({ injections }) => injections)).toEqual([0, 0, 0, 0]);
    // F24: what a card moves no processor of the host copies.
    expect([emulated, vhostNet, vhostUser].map(({ copies, copiedBytes }) => [copies, copiedBytes])).toEqual(
      Array(3).fill([1, size]),
    );
    expect([vendor, offload, vdpa].map(({ copies, copiedBytes }) => copies + copiedBytes)).toEqual([0, 0, 0]);
  });

  test('H2: a buffer on each side, and what the rings take: the same for every device with virtio’s', () => {
    const ring = rings === 'split' ? 5 : 2;
    for (const row of [vhostNet, vhostUser, offload, vdpa]) expect(row.dmaTransactions).toBe(2 + (2 * ring) / 32);
    for (const row of [emulated, vendor]) expect(row.dmaTransactions).toBe(2 + (2 * 2) / 32);
    // The frame goes out of one guest's memory and into another's; in front of virtio's lie 12 bytes of header.
    expect(emulated.dmaBytes).toBe(2 * (size + 32));
    expect(vdpa.dmaBytes).toBe(2 * (size + 12 + (rings === 'split' ? 26.125 : 32)));
    for (const row of all) expect(row.cacheLines).toBeGreaterThan(2 * Math.ceil(size / 64));
    expect(vdpa.cacheLines).toBe(offload.cacheLines);
  });

  test('the data plane of vDPA is that of full offload', () => {
    for (const count of ['kicks', 'interrupts', 'dmaTransactions', 'dmaBytes', 'cacheLines', 'pinnedBytes'] as const)
      expect([count, vdpa[count]]).toEqual([count, offload[count]]);
  });

  test('F68: guests with virtio go to another host under traffic, another vendor’s among them, and no frame is lost', () => {
    for (const { move, migratable, blockers } of [vhostNet, vhostUser, offload, vdpa]) {
      expect([migratable, blockers]).toEqual([true, []]);
      expect(move).toMatchObject({ hasMoved: true, lost: 0, repeated: 0, wrong: 0 });
      expect(move!.downtimeMs).toBeGreaterThan(0);
      expect(move!.bytes).toBeGreaterThan(0);
    }
    expect(vdpa.move!.vendors).toEqual([0xb0b0, 0x8086]);
  });

  test('F64: a vendor’s function is refused a move, each reason by name', () => {
    expect([vendor.migratable, vendor.move]).toEqual([false, null]);
    expect(vendor.blockers.join('\n')).toMatch(
      /^what function 8086:10ed knows.*\n.*cannot be suspended.*\n.*cannot be resumed.*\n.*would find is b0b0:0b1f/,
    );
    expect([emulated.migratable, emulated.blockers.length]).toEqual([false, 1]);
  });

  test('F108: one driver for all cards with virtio’s rings, one for each vendor with theirs', () => {
    expect(all.map(({ guestDrivers }) => guestDrivers.length)).toEqual([1, 1, 1, 2, 1, 1]);
  });

  test('F105: the second table follows from what was counted, measured and tried', () => {
    const { columns, rows } = contrastOf(all);
    expect(columns).toEqual(['through the host', 'a vendor’s function', 'a standard function']);
    const cells = (title: string) => rows.find((row) => row.title === title)!.cells;
    expect(rows).toHaveLength(6);
    expect(cells('performance')[0]).toMatch(/^limited by the processor: \d+ to \d+ ns\*$/);
    expect(cells('performance').slice(1)).toEqual(Array(2).fill('best case: what the card does'));
    expect(cells('host’s processors')).toEqual([
      `up to ${emulated.traps.toFixed(2)} traps and 1 copies per frame`,
      'not on the way',
      'not on the way',
    ]);
    expect(cells('moving a running guest')[0]).toMatch(/^2 of 3 move: .* ms, 0 frames lost$/);
    expect(cells('moving a running guest')[1]).toBe('does not move: 4 reasons');
    expect(cells('moving a running guest')[2]).toMatch(/^moves: .* ms, 0 frames lost$/);
    expect(cells('management of guests')[1]).toBe('2 drivers for 2 vendors');
    expect(cells('differences of vendors')[2]).toBe('behind one data plane: 1af4, 8086, b0b0');
    expect(cells('over-committed memory')).toEqual([
      'the host may take pages back',
      '8 MiB pinned, all that guests have',
      '8 MiB pinned, all that guests have',
    ]);
    // Without its vendors there is no such column.
    expect(contrastOf([vdpa]).columns).toEqual(['a standard function']);
  });

  test('a table for a terminal, and a page with a bar for everything that is compared', () => {
    const lines = comparisonTable(all).split('\n');
    expect(lines[7]).toMatch(/^ {2}vdpa +0\.00 /);
    expect(lines).toContain('sriov-vendor does not move:');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(150);
    const page = comparisonPage(all, 'a < b');
    expect(page).toContain('<h1>a &#60; b</h1>');
    expect(page.match(/<figure>/g)).toHaveLength(10);
    expect(page.match(/class="none"/g)).toHaveLength(2);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

test('the README says of every column what it is, and of every figure in JSON', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  for (const { title } of [...COUNTED, ...MEASURED]) expect(readme).toContain(`\`${title}\``);
  const [row] = compareArchitectures(ARCHITECTURES.slice(1, 2), { frames: 100, rounds: 1 });
  for (const key of [...Object.keys(row!), ...Object.keys(row!.move!)]) expect(readme).toContain(`\`${key}\``);
});

test('work is told of before it begins', () => {
  const told: [string, number][] = [];
  const progress = (what: string, done: number): void => {
    told.push([what, done]);
  };
  compareArchitectures(ARCHITECTURES.slice(2, 3), { frames: 100, rounds: 2, progress });
  expect(told).toEqual([
    ['vhost-user: counting', 0],
    ['round 1 of 2', 0.25],
    ['round 2 of 2', 0.5],
    ['vhost-user: moving a guest', 0.75],
  ]);
});

test('options that cannot be name the field', () => {
  expect(() => compareArchitectures(ARCHITECTURES, { frames: 0 })).toThrow('frames is 0, want 1 or more');
  expect(() => compareArchitectures(ARCHITECTURES, { rounds: 1.5 })).toThrow('rounds is 1.5, want 1 or more');
  expect(() => compareArchitectures(ARCHITECTURES, { size: 59 })).toThrow('size is 59, want 60 to 1514 bytes');
});
