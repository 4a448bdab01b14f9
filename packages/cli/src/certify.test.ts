import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ringwire } from './testing/command.js';

const folder = mkdtempSync(join(tmpdir(), 'ringwire-certify-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const SHORT = ['--backend', 'pci', '--scenario', 'open and stop', 'traffic', '--no-iommu'];

test('certify prints a line for each cell, writes JSON and JUnit, and ends with 0 for a driver that passes', async () => {
  const [json, junit] = [join(folder, 'kernel.json'), join(folder, 'kernel.xml')];
  const { code, out } = await ringwire('certify', 'kernel', ...SHORT, '--json', json, '--junit', junit, '--statements');
  const lines = out.trimEnd().split('\n');
  expect([code, lines.at(-1)]).toEqual([0, 'kernel-style virtio-net passes all 2 cells']);
  expect(lines[0]).toMatch(/^passed {2}pci, split, IOMMU off +2 scenarios, 0 skipped; statements: \d+ kept, 0 broken/);
  expect(out).toContain('Not reached in any cell:');
  expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
    schema: 'ringwire.certificate/1',
    passed: true,
    cells: [{ rings: 'split' }, { rings: 'packed' }],
  });
  expect(readFileSync(junit, 'utf8')).toContain('<testsuite name="pci, split, IOMMU off" tests="2" failures="0"');
});

test('a module that breaks a clause ends with 1 and is told which; JSON may take the place of the text', async () => {
  const module = join(folder, 'silent.mjs');
  writeFileSync(
    module,
    `export function openDriver({ transport }) {
      transport.setStatus(4); // DRIVER_OK, before anything else
      return { mac: new Uint8Array(6), transmit: () => false, poll: () => false, stop: () => {} };
    }`,
  );
  const { code, out } = await ringwire('certify', module, ...SHORT, '--rings', 'split', '--json');
  const { passed, cells } = JSON.parse(out);
  expect([code, passed]).toEqual([1, false]);
  const found = cells[0].scenarios[0].findings as { id: string; spec: string; message: string }[];
  expect(found.map(({ spec }) => spec)).toEqual(expect.arrayContaining(['3.1.1']));
  expect(found.map(({ message }) => message).join('\n')).toContain('DRIVER_OK is set, device_status 4, without');
  const words = await ringwire('certify', module, ...SHORT, '--rings', 'split');
  expect(words.out).toContain('(virtio 1.4 §3.1.1): MUST step 1: reset the device');
});

test('what cannot be certified ends with 2, and says why', async () => {
  expect(await ringwire('certify', join(folder, 'none.mjs'))).toMatchObject({
    code: 2,
    err: expect.stringContaining('cannot be loaded'),
  });
  const wrong = join(folder, 'wrong.mjs');
  writeFileSync(wrong, 'export const driver = 1;');
  expect((await ringwire('certify', wrong)).err).toContain('is no driver: openDriver: want a function');
  expect(await ringwire('certify', 'poll', '--backend', 'isa')).toMatchObject({
    code: 2,
    err: expect.stringContaining('backends is isa, want one of pci, mmio'),
  });
  expect((await ringwire('certify', 'poll', '--rings', 'round')).err).toContain('Want split or packed.');
});
