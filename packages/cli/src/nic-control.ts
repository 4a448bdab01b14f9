import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { NicRequests } from './nic-requests.js';
import { UnusableInput } from './terminal.js';

const BYTES_MAX = 0x1_0000;
const REQUEST_MS = 3000;
const CONNECTIONS_MAX = 16;
const OWNER_ONLY = 0o600;

/** Asks and tells a card over HTTP, at a UNIX socket that its owner alone may open. Nothing that comes ends the card. */
export class NicControl {
  private readonly server: Server;
  private readonly requests: NicRequests;

  constructor(requests: NicRequests) {
    this.requests = requests;
    const limits = { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: 1000 };
    this.server = createServer(limits, (request, response) => this.take(request, response));
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.timeout = REQUEST_MS;
  }

  /** @throws UnusableInput when there can be no socket at the path */
  async listen(path: string): Promise<void> {
    if (await isLeftBehind(path)) unlinkSync(path);
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new UnusableInput(`a socket cannot be made: ${path}: ${error.code ?? error.message}`)),
      );
      this.server.listen(path, resolve);
    });
    chmodSync(path, OWNER_ONLY);
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private take(request: IncomingMessage, response: ServerResponse): void {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    request.on('data', (piece: Uint8Array) => {
      bytes += piece.length;
      if (bytes > BYTES_MAX) request.destroy();
      else pieces.push(piece);
    });
    request.on('end', () => {
      const { method = '', url = '' } = request;
      const { status, body } = this.requests.answer(method, url, Buffer.concat(pieces).toString('utf8'));
      const text = `${JSON.stringify(body)}\n`;
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
      response.end(text);
    });
  }
}

/** Whether a socket is there at which nobody listens: a process that was killed leaves one. */
function isLeftBehind(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
