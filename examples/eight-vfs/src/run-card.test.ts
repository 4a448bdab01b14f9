import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sourceAliases } from '../../../tools/source-aliases.mjs';
import { plotSvg } from './plot.js';
import { problemsOf, trafficText } from './report.js';
import { type RunResult, runCard } from './run-card.js';
import { FUNCTIONS } from './topology.js';

const folder = mkdtempSync(join(tmpdir(), 'eight-vfs-'));
const entryOf = (name: string): string => fileURLToPath(new URL(`${name}.ts`, import.meta.url));
const built = (name: string): URL => pathToFileURL(join(folder, `${name}.mjs`));
let result: RunResult;

beforeAll(async () => {
  await build({
    entryPoints: [entryOf('card-worker'), entryOf('guest-worker')],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2023',
    alias: sourceAliases(),
  });
  result = await runCard(FUNCTIONS, 1, { card: built('card-worker'), guest: built('guest-worker') });
});
afterAll(() => rmSync(folder, { recursive: true }));

test('SR-11 SR-15: eight guests of three kinds reach each other and the wire; forged and PAUSE frames are lost, and counted', () => {
  expect(problemsOf(FUNCTIONS, result)).toEqual([]);
  expect(result.guests.map(({ sent, received }) => sent > 0 && received > 0)).toEqual(FUNCTIONS.map(() => true));
  expect(result.card.ports.find(({ name }) => name === 'wire')!.outFrames).toBeGreaterThan(0);
});

test('the text has a line for each function, what was lost and why, and nothing unaccounted for', () => {
  const lines = trafficText(FUNCTIONS, result).split('\n');
  const rows = lines.filter((line) => /^VF \d +(virtio|82599|vendor-b) +\d+ +(–|20|12) +\d+ +\d+/.test(line));
  expect(rows).toHaveLength(8);
  expect(lines.filter((line) => /^ {2}VF 6 +MAC_SPOOF +\d+$/.test(line))).toHaveLength(
    result.guests[6]!.odd > 0 ? 1 : 0,
  );
  expect(lines.filter((line) => /^ {2}VF 5 +MAC_CONTROL +\d+$/.test(line))).toHaveLength(
    result.guests[5]!.odd > 0 ? 1 : 0,
  );
  expect(lines.at(-2)).toMatch(/^the wire got \d+ frames; 0 frames are unaccounted for$/);
});

test('a thread that ends in the middle ends the run, with its error', async () => {
  const script = (text: string): URL =>
    new URL(`data:text/javascript,import { parentPort } from 'node:worker_threads'; ${text}`);
  const guest = script("parentPort.postMessage('ready'); setTimeout(() => parentPort.postMessage({}), 300)");
  const card = script("parentPort.postMessage('ready'); setTimeout(() => { throw new Error('the card') }, 50)");
  await expect(runCard(FUNCTIONS, 0.2, { card, guest })).rejects.toThrow('the card');
});

test('what does not hold is a sentence', () => {
  const [first, ...rest] = result.rates;
  const faster = [{ ...first!, mbits: first!.mbits.map(() => 1e6) }, ...rest];
  const spoofed = result.guests.map((guest) => ({ ...guest, odd: guest.odd + 1 }));
  const problems = problemsOf(FUNCTIONS, { ...result, rates: faster, guests: spoofed });
  expect(problems.map((text) => text.replaceAll(/\d{2,}/g, 'n'))).toEqual([
    'VF 3 sent n Mbit/s, and its limit is n',
    'VF 4 sent n Mbit/s, and its limit is n',
    expect.stringContaining('dropped as MAC_CONTROL'),
    expect.stringContaining('dropped as MAC_SPOOF'),
  ]);
});

test('the plot has a line for each function and for each kind', () => {
  const rates = [{ size: '64 B', physical: 1, virtual: 0.99 }];
  const svg = plotSvg(FUNCTIONS, result, [{ kind: 'virtio', rates }]);
  for (const name of ['VF 0 virtio', 'VF 3 virtio, limit 20', 'VF 6 virtio, forges', 'virtio PF'])
    expect(svg).toContain(name);
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
});
