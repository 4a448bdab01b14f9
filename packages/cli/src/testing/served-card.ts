import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { run } from '../run.js';
import { ringwire } from './command.js';

/** A card that a file describes, with a folder of its own, and what is printed while it is served. */
export class ServedCard {
  out = '';
  err = '';
  readonly file: string;
  readonly control: string;
  private readonly directory: string = mkdtempSync(join(tmpdir(), 'ringwire-nic-'));
  private code: Promise<number> | undefined = undefined;

  constructor() {
    this.file = this.at('card.yaml');
    this.control = this.at('card.sock');
  }

  at(name: string): string {
    return join(this.directory, name);
  }

  /** What the file says: two virtual functions, and these lines. */
  describe(...lines: string[]): void {
    const functions = [
      `  - { socket: ${this.at('a.sock')}, mac: 02:00:00:00:00:0a }`,
      `  - { socket: ${this.at('b.sock')}, mac: 02:00:00:00:00:0b }`,
    ];
    writeFileSync(this.file, ['memory: 64', 'vfs:', ...functions, ...lines].join('\n'));
  }

  /** Serve it in this process. @returns when all sockets are there */
  async serve(...args: string[]): Promise<void> {
    this.out = '';
    this.err = '';
    const write = (kind: 'out' | 'err') => (text: string) => {
      this[kind] += text;
    };
    const terminal = { out: write('out'), err: write('err'), color: false };
    this.code = run(['serve', '--nic', this.file, '--control', this.control, ...args], terminal);
    while (!this.err.includes(' served\n')) await turn();
  }

  /** @returns what a command of `ringwire nic` prints. @throws Error with its words when it refuses */
  async nic(what: string, act: string, ...words: string[]): Promise<string> {
    const path = act === '' ? [what] : [what, act];
    const { code, out, err } = await ringwire('nic', ...path, this.control, ...words);
    if (code !== 0) throw new Error(err);
    return out;
  }

  /** Lines of a file of JSON. */
  lines(name: string): Record<string, unknown>[] {
    const text = readFileSync(this.at(name), 'utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** As an operator ends it. @returns its exit code */
  async end(): Promise<number | undefined> {
    if (this.code !== undefined) process.emit('SIGTERM');
    const code = await this.code;
    this.code = undefined;
    return code;
  }

  async remove(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The other end of a VXLAN tunnel, which may be a card's uplink. */
export class Tunnel {
  private readonly socket: Socket;
  private readonly port: number;
  private readonly own: number;

  private constructor(socket: Socket, port: number) {
    this.socket = socket;
    this.port = port;
    this.own = socket.address().port;
  }

  static async open(): Promise<Tunnel> {
    const [socket, free] = [createSocket('udp4'), createSocket('udp4')];
    for (const one of [socket, free]) await new Promise<void>((resolve) => one.bind(0, '127.0.0.1', resolve));
    const { port } = free.address();
    await new Promise<void>((resolve) => free.close(resolve));
    return new Tunnel(socket, port);
  }

  /** As `--uplink` has it. */
  get uplink(): string {
    return `vxlan:127.0.0.1:${this.own},7,local=127.0.0.1:${this.port}`;
  }

  send(frame: string): void {
    this.socket.send(Buffer.from(`0800000000000700${frame}`, 'hex'), this.port, '127.0.0.1');
  }

  close(): void {
    this.socket.close();
  }
}

/** @param rest from the type on, in hexadecimal; padded to 60 bytes */
export const frameOf = (to: string, from: string, rest = '88b5'): string => `${to}${from}${rest}`.padEnd(120, '0');

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}
