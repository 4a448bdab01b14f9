import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { bundleWorker } from '../packages/device-thread/scripts/bundle-worker.mjs';
import { sourceAliases } from './source-aliases.mjs';

/** What a page loads that uses all of these packages: bytes, minified, with everything that they import. */
const BUDGETS = [
  { what: 'the core', packages: ['virtio-spec', 'guest-memory', 'virtqueue'], budget: 65_000 },
  { what: 'the ring oracle', packages: ['ring-oracle'], budget: 44_000 },
  { what: 'PCI functions', packages: ['pci'], budget: 62_000 },
  { what: 'guest drivers', packages: ['guest-drivers'], budget: 140_000 },
  { what: 'IOMMUs', packages: ['iommu'], budget: 175_000 },
  { what: 'devices', packages: ['virtio-device'], budget: 290_000 },
  { what: 'cards in v86', packages: ['v86-adapter'], budget: 240_000 },
  { what: 'drivers and devices', packages: ['net-backend', 'guest-drivers', 'virtio-device'], budget: 425_000 },
] as const;
/** The worker that devices run in, and what of it stays on the page. */
const THREAD_BUDGET = { worker: 490_000, page: 270_000 };
/** A page that names one constant has it, and neither its package nor those around it. */
const CONSTANT_BUDGET = 1000;

/** Bytes of a module of the packages' sources, minified. An import of `node:` fails the build. */
async function bundled(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL('../packages/device-thread', import.meta.url)) },
    alias: sourceAliases(),
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    platform: 'browser',
  });
  return outputFiles[0]!.contents.length;
}

/** Names of their own: two packages may export the same one. */
const everything = (packages: readonly string[]): string =>
  packages.map((name, index) => `export * as package${index} from '@ringwire/${name}';`).join('\n');

test.each(BUDGETS)('$what: below $budget bytes, and nothing of Node', async ({ packages, budget }) => {
  expect(await bundled(everything(packages))).toBeLessThan(budget);
});

test('a device thread: its worker and what is on the page stay below their budgets', async () => {
  expect((await bundleWorker()).length).toBeLessThan(THREAD_BUDGET.worker);
  expect(await bundled(everything(['device-thread']))).toBeLessThan(THREAD_BUDGET.page);
});

test('who needs one constant of a package gets it alone', async () => {
  const contents = "import { VIRTIO_F } from '@ringwire/virtio-spec'; console.log(VIRTIO_F.VERSION_1);";
  expect(await bundled(contents)).toBeLessThan(CONSTANT_BUDGET);
});
