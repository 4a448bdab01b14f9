import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const packagesDir = new URL('./packages/', import.meta.url);

export default defineConfig({
  resolve: {
    // Tests run on the sources, so that a stale build never answers for them.
    alias: [
      // Before the packages' own names: those match as prefixes.
      {
        find: '@ringwire/virtio-spec/iommu',
        replacement: `${fileURLToPath(packagesDir)}virtio-spec/src/iommu-config.ts`,
      },
      {
        find: '@ringwire/virtio-spec/net',
        replacement: `${fileURLToPath(packagesDir)}virtio-spec/src/net.ts`,
      },
      { find: /^@ringwire\/([^/]+)\/testing$/, replacement: `${fileURLToPath(packagesDir)}$1/src/testing/index.ts` },
      ...readdirSync(packagesDir).map((name) => ({
        find: `@ringwire/${name}`,
        replacement: fileURLToPath(new URL(`${name}/src/index.ts`, packagesDir)),
      })),
    ],
  },
  test: {
    include: ['{packages/*,bench,conformance,e2e,golden,examples/*}/src/**/*.test.ts', 'tools/*.test.ts'],
    testTimeout: 60_000,
    reporters: ['default', './tools/closing-line.ts'],
  },
});
