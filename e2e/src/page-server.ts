import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What browsers ask for before pages may share memory between threads. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const SCRIPT = 'text/javascript';
const HTML = '<!doctype html><title>ringwire</title><script type="module" src="/built/page.js"></script>';

/** Serves one page on loopback, at `/` with isolation and at `/open` without, and the scripts that it runs. */
export class PageServer {
  private readonly server: Server;

  /** @param scripts by path */
  constructor(scripts: ReadonlyMap<string, Uint8Array>) {
    this.server = createServer((request, response) => {
      const path = (request.url ?? '/').split('?')[0]!;
      const isPage = path === '/' || path === '/open';
      const body = isPage ? HTML : scripts.get(path);
      const type = isPage ? 'text/html' : SCRIPT;
      const headers = path === '/open' ? {} : ISOLATION;
      response.writeHead(body === undefined ? 404 : 200, { 'Content-Type': type, ...headers });
      response.end(body);
    });
  }

  /** @returns the address of `/`, without the slash */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
