import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from './run.js';
import { ringwire } from './testing/command.js';

const NAMES = ['emulated', 'vhost-net', 'vhost-user', 'sriov-vendor', 'virtio-offload', 'vdpa'];
const SHORT = ['--frames', '500', '--rounds', '2'];

test('compare prints a line for each architecture in both tables, the same as JSON, and writes a page', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-compare-'));
  const html = join(directory, 'compare.html');
  const { code, out, err } = await ringwire('compare', ...SHORT, '--html', html);
  expect([code, err, out.split('\n')[0]]).toEqual([0, '', 'frames of 60 bytes, split rings, 2 rounds of 500']);
  for (const first of [4, 13])
    expect(
      out
        .split('\n')
        .slice(first, first + 6)
        .map((line) => line.trim().split(' ')[0]),
    ).toEqual(NAMES);
  expect(readFileSync(html, 'utf8')).toContain('<h1>I/O architectures: frames of 60 bytes, split rings');
  const { architectures } = JSON.parse((await ringwire('compare', ...SHORT, '--packed', '--json')).out);
  expect(architectures.map(({ name }: { name: string }) => name)).toEqual(NAMES);
  expect(architectures[5]).toMatchObject({ lost: 0, copies: 0, traps: 0, migratable: true, blockers: [] });
  expect(architectures[5].move).toMatchObject({ hasMoved: true, lost: 0, repeated: 0, vendors: [0xb0b0, 0x8086] });
  rmSync(directory, { recursive: true });
});

test('on a screen the work under way is one line, and it is gone at the end', async () => {
  let err = '';
  const terminal = {
    out: () => {},
    err: (text: string) => {
      err += text;
    },
    color: false,
    liveColumns: () => 12,
  };
  expect(await run(['compare', '--quick', '--frames', '100'], terminal)).toBe(0);
  const lines = err.split('\r\u001b[K');
  expect(lines.slice(0, 2)).toEqual(['', '0 %  emulat']);
  expect(lines.at(-1)).toBe('');
});

test('options that cannot be, and a page that cannot be written, end with exit code 2 before anything is measured', async () => {
  expect(await ringwire('compare', '--size', '10')).toMatchObject({
    code: 2,
    err: 'ringwire: size is 10, want 60 to 1514 bytes (compareArchitectures)\n',
  });
  expect(await ringwire('compare', '--html', '/nowhere/at/all')).toMatchObject({
    code: 2,
    err: 'ringwire: /nowhere/at/all cannot be written: ENOENT\n',
  });
});
