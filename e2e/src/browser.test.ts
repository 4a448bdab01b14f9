import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sourceAliases } from '../../tools/source-aliases.mjs';
import type { PageResult } from './browser-page.js';
import { PageServer } from './page-server.js';
import { findProgram } from './program.js';

const FRAMES = 20_000;
const PATIENCE_MS = 240_000;
const executablePath = findProgram('chromium');
const SUITE = `a device in a worker of a browser${executablePath === undefined ? ': skipped, because chromium is not installed' : ''}`;

describe.skipIf(executablePath === undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  let browser: Browser;
  let server: PageServer;
  let address: string;

  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL('browser-page.ts', import.meta.url))],
      bundle: true,
      write: false,
      format: 'esm',
      target: 'es2023',
      platform: 'browser',
      alias: sourceAliases(),
    });
    const worker = new URL('../../packages/device-thread/dist/device-worker.bundle.js', import.meta.url);
    // The bundled page finds the worker where the package says it is: `../dist` from its own module.
    server = new PageServer(
      new Map([
        ['/built/page.js', outputFiles[0]!.contents],
        ['/dist/device-worker.bundle.js', readFileSync(worker)],
      ]),
    );
    address = await server.listen();
    browser = await chromium.launch({ executablePath: executablePath!, timeout: PATIENCE_MS, args: ['--no-sandbox'] });
  }, PATIENCE_MS);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  async function resultOf(path: string): Promise<PageResult> {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(address + path);
    const handle = await page.waitForFunction('globalThis.result', undefined, { timeout: PATIENCE_MS });
    const result = (await handle.jsonValue()) as PageResult;
    await page.close();
    expect(problems).toEqual([]);
    return result;
  }

  test('frames go from a driver on the page to the device and back, each once, in order', async () => {
    const { sleeps, reasons, ...result } = await resultOf(`/?frames=${FRAMES}`);
    expect(result).toEqual({ isolated: true, frames: FRAMES, wrong: 0, state: 'running' });
    expect(sleeps).toBeGreaterThan(0);
    // Asked of the worker while it ran.
    expect(reasons?.join('\n')).not.toMatch(/ended|DRIVER_OK|not answer/);
  });

  test('a page that is not isolated is told what it is to be served with', async () => {
    const { isolated, problem } = await resultOf('/open?frames=1');
    expect(isolated).toBe(false);
    expect(problem).toMatch(/crossOriginIsolated is false, want true: serve the page with Cross-Origin-Opener-Policy/);
  });
});
