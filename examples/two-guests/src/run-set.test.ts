import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sourceAliases } from '../../../tools/source-aliases.mjs';
import { Capture } from './capture.js';
import { FEATURE_SETS } from './feature-sets.js';
import { PINGS, runSet } from './run-set.js';

const folder = mkdtempSync(join(tmpdir(), 'two-guests-'));
const outfile = join(folder, 'guest-worker.mjs');
const PROGRAM = 'tshark';

beforeAll(async () => {
  const entry = fileURLToPath(new URL('guest-worker.ts', import.meta.url));
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2023',
    alias: sourceAliases(),
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

const pieces: Uint8Array[] = [];
const capture = new Capture((bytes) => pieces.push(bytes.slice()));

test.each(FEATURE_SETS)(
  'two guests in threads of their own reach each other with $name over $transport',
  async (set) => {
    const before = capture.writer.frames;
    const { pings, frames, wrong, sent } = await runSet(set, 3000, pathToFileURL(outfile));
    capture.add(set.name, sent);
    expect({ pings, frames, wrong, captured: capture.writer.frames - before }).toEqual({
      pings: PINGS,
      frames: 3000,
      wrong: 0,
      captured: 31,
    });
  },
);

test('tshark reads the capture without complaint', ({ skip }) => {
  if (spawnSync(PROGRAM, ['--version']).status !== 0) return skip('skipped, because tshark is not installed');
  const file = join(folder, 'two-guests.pcapng');
  writeFileSync(file, Buffer.concat(pieces));
  const { stdout, stderr, status } = spawnSync(PROGRAM, ['-r', file, '-T', 'fields', '-e', 'frame.protocols'], {
    encoding: 'utf8',
  });
  expect([status, stderr.replace(/^Running as user.*\n/, '')]).toEqual([0, '']);
  const lines = stdout.trim().split('\n');
  const icmp = lines.filter((line) => line.startsWith('eth:ethertype:ip:icmp'));
  expect([lines.length, icmp.length]).toEqual([31 * FEATURE_SETS.length, 21 * FEATURE_SETS.length]);
});
