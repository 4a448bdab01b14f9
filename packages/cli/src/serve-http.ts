import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from './option-values.js';
import { UnusableInput } from './terminal.js';

/** What a path answers. */
export interface Page {
  readonly type: string;
  readonly text: string;
}

/** By path. @param accept media types that the client asked for */
export type Pages = ReadonlyMap<string, (accept: string) => Page>;

const CONNECTIONS_MAX = 16;
const HEADER_BYTES_MAX = 8192;
/** A request has to be whole by then, and its connection over. */
const REQUEST_MS = 3000;
const CHECK_MS = 1000;

/** A few pages over HTTP, for whoever asks; nothing that is asked changes anything. */
export class ServeHttp {
  private readonly server: Server;

  constructor(pages: Pages) {
    const limits = { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS };
    this.server = createServer({ ...limits, connectionsCheckingInterval: CHECK_MS }, (request, response) =>
      answer(pages, request, response),
    );
    this.server.maxConnections = CONNECTIONS_MAX;
    // Whoever reads slowly is cut off.
    this.server.timeout = REQUEST_MS;
  }

  /** @returns its URL. @throws UnusableInput for an address that is not this machine's, or a port in use */
  async listen({ host, port }: ListenAddress): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new UnusableInput(`metrics cannot be served at ${host}:${port}: ${error.code ?? error.message}`)),
      );
      this.server.listen(port, host, resolve);
    });
    const found = this.server.address() as AddressInfo;
    return `http://${found.family === 'IPv6' ? `[${found.address}]` : found.address}:${found.port}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function answer(pages: Pages, request: IncomingMessage, response: ServerResponse): void {
  const { status, page, headers = {} } = pageFor(pages, request);
  response.writeHead(status, {
    ...headers,
    'Content-Type': page.type,
    'Content-Length': Buffer.byteLength(page.text),
    // Nobody has two questions, and what a request has behind its headers is not read.
    Connection: 'close',
  });
  response.end(request.method === 'HEAD' ? undefined : page.text);
}

interface Answer {
  readonly status: number;
  readonly page: Page;
  readonly headers?: Readonly<Record<string, string>>;
}

function pageFor(pages: Pages, { method, url = '', headers }: IncomingMessage): Answer {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, page: words('GET or HEAD'), headers: { Allow: 'GET, HEAD' } };
  const page = pages.get(url.split('?', 1)[0]!);
  if (page === undefined) return { status: 404, page: words([...pages.keys()].join(', ')) };
  return { status: 200, page: page(headers.accept ?? '') };
}

const words = (text: string): Page => ({ type: 'text/plain; charset=utf-8', text: `${text}\n` });
