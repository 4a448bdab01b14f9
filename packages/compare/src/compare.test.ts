import { expect, test } from 'vitest';
import { ARCHITECTURES } from './architectures.js';
import { type Comparison, compareArchitectures } from './measure.js';
import { comparisonPage, comparisonTable } from './table.js';

const FRAMES = 2000;

function compared(size: number, rings: 'split' | 'packed'): Map<string, Comparison> {
  const rows = compareArchitectures(ARCHITECTURES, { frames: FRAMES, size, rings });
  return new Map(rows.map((row) => [row.name, row]));
}

test.each([
  ['split', 60],
  ['packed', 1514],
] as const)(
  'F104: counters come out in the order of the literature, and every byte arrives: %s, %i bytes',
  (rings, size) => {
    const of = compared(size, rings);
    const [emulated, vhostNet, vhostUser] = [of.get('emulated')!, of.get('vhost-net')!, of.get('vhost-user')!];
    const [vendor, offload, vdpa] = [of.get('sriov-vendor')!, of.get('virtio-offload')!, of.get('vdpa')!];
    expect([...of.values()].map(({ lost }) => lost)).toEqual([0, 0, 0, 0, 0, 0]);
    // Traps: one for each register access; one for each kick; none.
    expect(emulated.traps).toBeGreaterThanOrEqual(1);
    expect(vhostNet.traps).toBeLessThan(emulated.traps);
    expect([vhostUser, vendor, offload, vdpa].map(({ traps }) => traps)).toEqual([0, 0, 0, 0]);
    expect(vhostNet.traps).toBeGreaterThan(0);
    // Kicks and interrupts: a poll-mode driver and a device that polls have none.
    expect([vhostUser.kicks, vhostUser.interrupts]).toEqual([0, 0]);
    for (const row of [vhostNet, offload, vdpa]) {
      expect(row.kicks).toBeGreaterThan(0);
      expect(row.interrupts).toBeGreaterThan(0);
    }
    // What a card moves no processor of the host copies.
    expect([emulated, vhostNet, vhostUser].map(({ copies, copiedBytes }) => [copies, copiedBytes])).toEqual(
      Array(3).fill([1, size]),
    );
    expect([vendor, offload, vdpa].map(({ copies, copiedBytes }) => copies + copiedBytes)).toEqual([0, 0, 0]);
    // A buffer of the sender's and one of the receiver's, whatever lies between them.
    for (const { dmaAccesses } of [...of.values()]) expect(dmaAccesses).toBeCloseTo(2, 1);
    // The data plane of vDPA is that of full offload.
    expect([vdpa.kicks, vdpa.interrupts]).toEqual([offload.kicks, offload.interrupts]);
  },
);

test('F108, F64: a driver for each vendor or one for all; a vendor’s function stays where it is, and says why', () => {
  const of = compared(60, 'split');
  expect(of.get('sriov-vendor')!.guestDrivers).toHaveLength(2);
  for (const name of ['vhost-net', 'vhost-user', 'virtio-offload', 'vdpa'])
    expect([of.get(name)!.guestDrivers, of.get(name)!.migratable]).toEqual([['virtio-net'], true]);
  expect(of.get('sriov-vendor')!.migratable).toBe(false);
  expect(of.get('sriov-vendor')!.blocker).toContain('its vendor alone knows');
  const rows = [...of.values()];
  expect(comparisonTable(rows).split('\n')[6]).toMatch(/^vdpa +0\.00 /);
  expect(comparisonTable(rows)).toContain('sriov-vendor does not move: ');
  const page = comparisonPage(rows, 'a < b');
  expect(page).toContain('<h1>a &#60; b</h1>');
  expect(page.match(/class="bar"/g)).toHaveLength(36);
});

test('options that cannot be name the field', () => {
  expect(() => compareArchitectures(ARCHITECTURES, { frames: 0 })).toThrow('frames is 0, want 1 or more');
  expect(() => compareArchitectures(ARCHITECTURES, { size: 59 })).toThrow('size is 59, want 60 to 1514 bytes');
});
