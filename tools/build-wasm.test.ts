import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const packages = fileURLToPath(new URL('../packages/', import.meta.url));
const script = fileURLToPath(new URL('build-wasm.mjs', import.meta.url));
const withSources = readdirSync(packages).filter((name) =>
  readdirSync(`${packages}${name}/src`, { recursive: true, encoding: 'utf8' }).some((file) => file.endsWith('.wat')),
);

test('the packages with WebAssembly are found', () => {
  expect(withSources).toContain('guest-memory');
  expect(withSources).toContain('ring-loops');
  expect(withSources).toContain('virtio-device');
});

test.each(withSources)('the committed WebAssembly of %s is what its sources compile to', (name) => {
  expect(execFileSync(process.execPath, [script, `${packages}${name}`, '--check'], { encoding: 'utf8' })).toBe('');
});
