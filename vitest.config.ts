import { defineConfig } from 'vitest/config';
import { sourceAliases } from './tools/source-aliases.mjs';

export default defineConfig({
  // Tests run on the sources, so that a stale build never answers for them.
  resolve: { alias: sourceAliases() },
  test: {
    include: ['{packages/*,bench,conformance,e2e,golden,examples/*}/src/**/*.test.ts', 'tools/*.test.ts'],
    // The worker that devices run in, likewise of the sources.
    globalSetup: ['packages/device-thread/scripts/bundle-worker.mjs'],
    // Tests are bounded by what they do; this is against those that hang. A busy machine may pause one for a minute.
    testTimeout: 240_000,
    reporters: ['default', './tools/closing-line.ts'],
  },
});
