import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { explanationText } from '@ringwire/eswitch';
import { VirtioError } from '@ringwire/virtio-spec';
import { readStrictJson } from '@ringwire/virtio-spec/json';
import { InvalidArgumentError } from 'commander';
import { checkedInput } from './input-file.js';
import type { NicCard } from './nic-card.js';
import { VfFile, vfSettings } from './nic-file.js';
import { frameOf, portNumber } from './nic-names.js';
import { nicShown } from './nic-show.js';
import { UnusableInput } from './terminal.js';

const BYTES_MAX = 0x1_0000;
const REQUEST_MS = 3000;
const CONNECTIONS_MAX = 16;
const OWNER_ONLY = 0o600;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Asks and tells a card over HTTP, at a UNIX socket that its owner alone may open. Nothing that comes ends the card. */
export class NicControl {
  private readonly server: Server;
  private readonly card: NicCard;

  constructor(card: NicCard) {
    this.card = card;
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
      const { status, body } = this.answer(request, Buffer.concat(pieces).toString('utf8'));
      const text = `${JSON.stringify(body)}\n`;
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
      response.end(text);
    });
  }

  private answer({ method, url = '' }: IncomingMessage, text: string): Answer {
    try {
      const { pathname, searchParams } = new URL(url, 'http://card');
      const [, what, number] = /^\/(nic|why|vf)(?:\/(\d{1,4}))?$/.exec(pathname) ?? [];
      if (method === 'GET' && what === 'nic') return { status: 200, body: nicShown(this.card) };
      if (method === 'GET' && what === 'why') return { status: 200, body: this.why(searchParams) };
      if (method === 'POST' && what === 'vf' && number !== undefined) return this.set(Number(number), text);
      return { status: 404, body: { problem: 'GET /nic, GET /why?port=vf0&frame=HEX, POST /vf/NUMBER' } };
    } catch (error) {
      const isTheirs =
        error instanceof VirtioError || error instanceof UnusableInput || error instanceof InvalidArgumentError;
      return {
        status: isTheirs ? 400 : 500,
        body: { problem: error instanceof Error ? error.message : String(error) },
      };
    }
  }

  private why(asked: URLSearchParams): unknown {
    const { card } = this;
    const explanation = card.why(
      portNumber(asked.get('port') ?? '', card.vfs.length),
      frameOf(asked.get('frame') ?? ''),
    );
    return { ...explanation, text: explanationText(explanation) };
  }

  private set(vf: number, text: string): Answer {
    const { vfs } = this.card;
    if (vf >= vfs.length) return { status: 404, body: { problem: `vf is ${vf}, want 0 to ${vfs.length - 1}` } };
    const outcome = readStrictJson(text);
    if ('problem' in outcome) return { status: 400, body: { problem: outcome.problem } };
    this.card.setVf(vf, vfSettings(checkedInput('vf', outcome.value, VfFile)));
    return { status: 200, body: nicShown(this.card) };
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
