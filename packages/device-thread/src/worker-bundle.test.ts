import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const bundle = new URL('../dist/device-worker.bundle.js', import.meta.url);
const BUDGET = 490_000;

test(`the worker is one module without imports, below ${BUDGET} bytes`, async () => {
  const code = readFileSync(bundle, 'utf8');
  expect(code.length).toBeLessThan(BUDGET);
  // An import that is not in the bundle would be listed, and one of `node:` fail the build.
  const { metafile } = await build({
    entryPoints: [fileURLToPath(bundle)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    metafile: true,
  });
  expect(Object.keys(metafile.inputs)).toHaveLength(1);
});
