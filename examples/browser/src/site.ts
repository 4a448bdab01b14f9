import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** What browsers ask for before pages may share memory between threads. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const TYPES: Readonly<Record<string, string>> = { html: 'text/html', css: 'text/css', js: 'text/javascript' };

/** What browsers load: bundled from what is beside this file, built or as it is. */
const MODULES = [new URL('./page.js', import.meta.url), new URL('./switch-worker.js', import.meta.url)];
const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** What a site is made of besides the modules of the page. */
export interface SiteSources {
  /** The worker that devices run in: `dist/device-worker.bundle.js` of `@ringwire/device-thread`. */
  readonly deviceWorker: URL;
  /** Source files of packages by their names, for a page of sources. */
  readonly alias?: Record<string, string>;
}

/** Bundle the page and the switch's worker. @returns files by path */
export async function buildSite({ deviceWorker, alias = {} }: SiteSources): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: MODULES.map((module) => fileURLToPath(module).replace(/\.js$/, ENDING)),
    outdir: '/',
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    platform: 'browser',
    alias,
  });
  const src = new URL('../src/', import.meta.url);
  const plotCss = createRequire(import.meta.url).resolve('uplot/dist/uPlot.min.css');
  const css = Buffer.concat([readFileSync(plotCss), readFileSync(new URL('page.css', src))]);
  return new Map<string, Uint8Array>([
    ...outputFiles.map(({ path, contents }) => [path, contents] as const),
    ['/', readFileSync(new URL('index.html', src))],
    ['/page.css', css],
    ['/device-worker.js', readFileSync(deviceWorker)],
  ]);
}

/**
 * Serve a site on this machine alone: at `/` isolated, so that its threads can share memory, and below `/open/` as a server
 * that knows nothing of that would.
 * @param port 0 for any that is free
 */
export async function serveSite(files: ReadonlyMap<string, Uint8Array>, port: number): Promise<Server> {
  const server = createServer(({ url = '/' }, response) => {
    const path = url.split('?')[0]!;
    const isOpen = path.startsWith('/open/');
    const name = isOpen ? path.slice('/open'.length) : path;
    const body = files.get(name);
    const type = TYPES[name === '/' ? 'html' : (name.split('.').at(-1) ?? '')] ?? 'text/plain';
    response.writeHead(body === undefined ? 404 : 200, { 'Content-Type': type, ...(isOpen ? {} : ISOLATION) });
    response.end(body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

/** The address of a server's `/`. */
export const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
