// Bundles src/device-worker.ts with all it imports into dist/device-worker.bundle.js, one module for Node and browsers.
// It is made of the sources of the packages, so it needs nothing built; the tests make it anew before they run.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { sourceAliases } from '../../../tools/source-aliases.mjs';

const target = new URL('../dist/device-worker.bundle.js', import.meta.url);

export async function bundleWorker() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../src/device-worker.ts', import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    // An import of `node:` fails the build here.
    platform: 'browser',
    alias: sourceAliases(),
  });
  return outputFiles[0].contents;
}

export default async function writeBundle() {
  const contents = await bundleWorker();
  mkdirSync(new URL('.', target), { recursive: true });
  // In one step: another run may be reading it.
  const fresh = new URL(`device-worker.${process.pid}.tmp`, target);
  writeFileSync(fresh, contents);
  renameSync(fresh, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeBundle();
