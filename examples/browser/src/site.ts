import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { SiteFile } from './site-file.js';
import { machineFiles } from './v86/machine-files.js';

/** What browsers ask for before pages may share memory between threads. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html',
  css: 'text/css',
  js: 'text/javascript',
  wasm: 'application/wasm',
};

/** What browsers load: bundled from what is beside this file, built or as it is. */
const MODULES = [
  new URL('./page.js', import.meta.url),
  new URL('./switch-worker.js', import.meta.url),
  new URL('./v86/v86-page.js', import.meta.url),
  new URL('./v86/machine-worker.js', import.meta.url),
];
const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** What a site is made of besides the modules of the page. */
export interface SiteSources {
  /** The worker that devices run in: `dist/device-worker.bundle.js` of `@ringwire/device-thread`. */
  readonly deviceWorker: URL;
  /** Source files of packages by their names, for a page of sources. */
  readonly alias?: Record<string, string>;
}

/** Bundle the pages and their workers. @returns files by path */
export async function buildSite({ deviceWorker, alias = {} }: SiteSources): Promise<ReadonlyMap<string, SiteFile>> {
  const { outputFiles } = await build({
    entryPoints: MODULES.map((module) => fileURLToPath(module).replace(/\.js$/, ENDING)),
    outdir: '/',
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    platform: 'browser',
    // v86 asks for these where it finds that it is in Node.
    external: ['node:*', 'crypto', 'fs', 'perf_hooks'],
    alias,
  });
  const src = new URL('../src/', import.meta.url);
  const plotCss = createRequire(import.meta.url).resolve('uplot/dist/uPlot.min.css');
  const css = Buffer.concat([readFileSync(plotCss), readFileSync(new URL('page.css', src))]);
  return new Map<string, SiteFile>([
    ...outputFiles.map(({ path, contents }) => [path, contents] as const),
    ['/', readFileSync(new URL('index.html', src))],
    ['/page.css', css],
    ['/device-worker.js', readFileSync(deviceWorker)],
    ['/v86/', readFileSync(new URL('v86/index.html', src))],
    ...machineFiles(),
  ]);
}

/**
 * Serve a site on this machine alone: at `/` isolated, so that its threads can share memory, and below `/open/` as a server
 * that knows nothing of that would.
 * @param port 0 for any that is free
 */
export async function serveSite(files: ReadonlyMap<string, SiteFile>, port: number): Promise<Server> {
  const server = createServer(({ url = '/' }, response) => {
    const path = url.split('?')[0]!;
    const isOpen = path.startsWith('/open/');
    const name = isOpen ? path.slice('/open'.length) : path;
    const type = name.endsWith('/') ? 'html' : (name.split('.').at(-1) ?? '');
    const answer = (status: number, contentType: string, body: Uint8Array | string): void => {
      response.writeHead(status, { 'Content-Type': contentType, ...(isOpen ? {} : ISOLATION) });
      response.end(body);
    };
    const file = files.get(name);
    if (file === undefined) answer(404, 'text/plain', `there is no ${name}`);
    else
      made(file).then(
        (body) => answer(200, TYPES[type] ?? 'application/octet-stream', body),
        (error: Error) => answer(503, 'text/plain', error.message),
      );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

const made = async (file: SiteFile): Promise<Uint8Array> => (typeof file === 'function' ? await file() : file);

/** The address of a server's `/`. */
export const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
