import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { measurePeer } from './dpdk-peer.js';

/**
 * Stands in for testpmd: prompts, and tells its arguments and its process id. The receiver makes its socket's file as
 * vhost does, and answers only when it ends, as a program does whose output is no terminal.
 */
const STAND_IN = `#!${process.execPath}
const { appendFileSync, writeFileSync } = require('node:fs');
const receives = process.argv.some((argument) => argument.startsWith('net_vhost0'));
const mode = readMode();
appendFileSync(__dirname + '/calls', JSON.stringify({ pid: process.pid, argv: process.argv.slice(2), runtime: process.env.RUNTIME_DIRECTORY }) + '\\n');
if (mode === 'refuses') { console.error('EAL: Cannot allocate memory'); process.exit(1); }
if (receives) writeFileSync(/iface=([^,]*)/.exec(process.argv.join(' '))[1], '');
process.stdout.write('testpmd> ');
let shows = 0;
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(line + '\\ntestpmd> ');
  if (line === 'show port stats 0') shows++;
  if (line === 'quit' && mode !== 'hangs') {
    for (let i = 0; i < shows; i++) console.log('  Rx-pps: ' + (mode === 'silent' ? 0 : [0, 5, 20000000, 30000000, 40000000][i] ?? 30000000) + '   Rx-bps: 1');
    process.exit(0);
  }
});
function readMode() { return require('node:fs').readFileSync(__dirname + '/mode', 'utf8'); }
`;
const TIMING = { sampleMs: 20, samples: 3 };

let directory = '';
let program = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'bench-test-'));
  program = join(directory, 'testpmd');
  writeFileSync(program, STAND_IN, { mode: 0o755 });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Call {
  readonly pid: number;
  readonly argv: string[];
  readonly runtime: string;
}

/** Behave in a certain way from here on; what was called since is told by the function that comes back. */
function behave(mode: 'well' | 'refuses' | 'silent' | 'hangs'): () => Call[] {
  writeFileSync(join(directory, 'mode'), mode);
  writeFileSync(join(directory, 'calls'), '');
  return () =>
    readFileSync(join(directory, 'calls'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Call);
}

function expectNothingLeft(calls: readonly Call[]): void {
  for (const { pid } of calls) expect(() => process.kill(pid, 0), `process ${pid}`).toThrow('ESRCH');
  for (const { runtime } of calls) expect(() => readdirSync(runtime)).toThrow('ENOENT');
}

test('the receiver is asked, its first figures are left out, and nothing stays behind', async () => {
  const calls = behave('well');
  const result = await measurePeer(program, 'packed', 1500, TIMING);
  expect(result.samples).toEqual([20, 30, 40]);
  expect(result.mpps).toBe(30);
  const [receiver, sender] = calls();
  expect(receiver!.argv).toContain('--forward-mode=rxonly');
  expect(sender!.argv).toEqual(expect.arrayContaining(['--forward-mode=txonly', '--txpkts=1500']));
  expect(sender!.argv.join(' ')).toMatch(/net_virtio_user0,path=.*,queue_size=256,packed_vq=1/);
  expect(sender!.argv).toContain('--in-memory');
  expectNothingLeft(calls());
});

test('a testpmd that does not start is reported with its own words', async () => {
  const calls = behave('refuses');
  await expect(measurePeer(program, 'split', 64, TIMING)).rejects.toThrow('ended early: EAL: Cannot allocate memory');
  expectNothingLeft(calls());
});

test('a pair without frames is reported', async () => {
  const calls = behave('silent');
  await expect(measurePeer(program, 'split', 64, TIMING)).rejects.toThrow('no frames arrive');
  expectNothingLeft(calls());
});

test('a testpmd that does not quit is ended by its own id', async () => {
  const calls = behave('hangs');
  await expect(measurePeer(program, 'split', 64, TIMING)).rejects.toThrow('no frames arrive');
  expectNothingLeft(calls());
});

test('a program that is not there is reported', async () => {
  await expect(measurePeer(join(directory, 'none'), 'split', 64, TIMING)).rejects.toThrow(/ended early: .*ENOENT/);
});
