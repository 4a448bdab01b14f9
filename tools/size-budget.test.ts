import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { sourceAliases } from './source-aliases.mjs';

const CORE = ['virtio-spec', 'guest-memory', 'virtqueue'];
const BUDGET = 60_000;

test(`the core packages together stay below ${BUDGET} bytes minified, and import nothing of Node's`, async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: CORE.map((name) => `export * from '@ringwire/${name}';`).join('\n'),
      resolveDir: fileURLToPath(new URL('../packages/virtqueue', import.meta.url)),
    },
    alias: sourceAliases(),
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    // An import of `node:` fails the build here.
    platform: 'browser',
  });
  expect(outputFiles[0]!.contents.length).toBeLessThan(BUDGET);
});
