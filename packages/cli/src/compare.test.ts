import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ringwire } from './testing/command.js';

test('compare prints a line for each architecture, the same as JSON, and writes a page', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-compare-'));
  const html = join(directory, 'compare.html');
  const { code, out } = await ringwire('compare', '--frames', '500', '--html', html);
  expect([code, out.split('\n')[0]]).toEqual([0, '500 frames of 60 bytes, split rings']);
  const names = ['emulated', 'vhost-net', 'vhost-user', 'sriov-vendor', 'virtio-offload', 'vdpa'];
  expect(
    out
      .split('\n')
      .slice(3, 9)
      .map((line) => line.split(' ')[0]),
  ).toEqual(names);
  expect(readFileSync(html, 'utf8')).toContain('<h1>I/O architectures: 500 frames of 60 bytes, split rings</h1>');
  const { architectures } = JSON.parse((await ringwire('compare', '--frames', '500', '--packed', '--json')).out);
  expect(architectures.map(({ name }: { name: string }) => name)).toEqual(names);
  expect(architectures[5]).toMatchObject({ lost: 0, copies: 0, traps: 0, migratable: true, blocker: null });
  rmSync(directory, { recursive: true });
});

test('options that cannot be end with exit code 2', async () => {
  expect(await ringwire('compare', '--size', '10')).toMatchObject({
    code: 2,
    err: 'ringwire: size is 10, want 60 to 1514 bytes (compareArchitectures)\n',
  });
});
