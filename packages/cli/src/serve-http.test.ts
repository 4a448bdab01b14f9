import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from './run.js';
import { ringwire } from './testing/command.js';

let directory: string;
let socket: string;
let url: string;
let said: string[];
let served: Promise<number>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-http-'));
  socket = join(directory, 'quote".sock');
  said = [];
  const terminal = { out: () => {}, err: (text: string) => void said.push(text), color: false };
  served = run(
    ['serve', '--port', socket, '--memory', '64', '--metrics', '0', '--uplink', `pcap:${join(directory, 'x')}`],
    terminal,
  );
  while (said.length < 2) await turn();
  url = /http:\S+/.exec(said[0]!)![0];
});

afterEach(async () => {
  process.emit('SIGTERM');
  expect(await served).toBe(0);
  rmSync(directory, { recursive: true });
});

/** What comes back for bytes that are sent as they are. */
async function raw(text: string): Promise<string> {
  const client = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  client.setEncoding('latin1').on('data', (piece) => {
    answer += piece;
  });
  client.on('error', () => undefined);
  client.write(text);
  await new Promise((resolve) => client.once('close', resolve));
  return answer;
}

test('metrics are Prometheus text, with names of sockets escaped', async () => {
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const lines = (await response.text()).split('\n');
  const name = socket.replace('"', '\\"');
  expect(lines).toContain('# TYPE ringwire_port_connected gauge');
  expect(lines).toContain(`ringwire_port_connected{socket="${name}"} 0`);
  expect(lines).toContain(`ringwire_port_frames_total{socket="${name}",direction="rx"} 0`);
  expect(lines).toContain(`ringwire_uplink_drops_total{uplink="pcap:${join(directory, 'x')}",reason="unwritten"} 0`);
  expect(lines.at(-1)).toBe('');
  // A line is a comment, or a name, labels and a number.
  for (const line of lines.slice(0, -1))
    expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [0-9]+)$/);
  const names = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  expect(new Set(names).size).toBe(names.length);
});

test('why no frames flow, of devices that are served now: in a browser, and for ringwire explain', async () => {
  const text = `${socket}: listening\n  - No front-end is connected to the socket.\n\n1 problem.\n`;
  expect(await (await fetch(`${url}/explain`)).text()).toBe(text);
  expect(await ringwire('explain', url)).toEqual({ code: 1, out: text, err: '' });
  expect((await ringwire('explain', `${url}/explain`)).out).toBe(text);
  const { code, out } = await ringwire('explain', url, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ schema: 'ringwire.live/1', ports: [{ socket, state: 'listening' }] });
});

test('a front-end that connects is seen', async () => {
  const client = connect(socket);
  while (!said.join('').includes('connected')) await turn();
  const report = await (await fetch(`${url}/explain`)).text();
  expect(report).toContain('connected\n  - The front-end has shared no memory: its driver does not run yet.');
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^ringwire_port_connected\{.*\} 1$/m);
  client.destroy();
});

test('other paths and methods, bodies and what is no request are answered and change nothing', async () => {
  expect(await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 404 .*\/metrics, \/explain\n$/s);
  expect(await raw('DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 405 .*\nAllow: GET, HEAD\r\n/s);
  expect(await raw('HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s);
  const endless = 'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nab';
  expect(await raw(endless)).toMatch(/^HTTP\/1\.1 405 /);
  expect(await raw('\u0000\u0001\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await raw(`GET /metrics HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(9000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  expect(await raw('GET /metrics?a=../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  expect((await fetch(`${url}/metrics`)).status).toBe(200);
});

test('more connections than there may be are turned away, and those that say nothing are cut off', async () => {
  const port = Number(new URL(url).port);
  const silent = Array.from({ length: 40 }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume(),
  );
  await Promise.all(silent.map((client) => new Promise((resolve) => client.once('close', resolve))));
  expect((await fetch(`${url}/metrics`)).status).toBe(200);
});

test('a port in use, and an address that is none, end with exit code 2 and leave nothing', async () => {
  const other = join(directory, 'other.sock');
  const refused = await ringwire('serve', '--port', other, '--memory', '64', '--metrics', new URL(url).host);
  expect(refused).toEqual({
    code: 2,
    out: '',
    err: `ringwire: metrics cannot be served at ${new URL(url).host}: EADDRINUSE\n`,
  });
  expect(existsSync(other)).toBe(false);
  const { err } = await ringwire('serve', '--port', other, '--metrics', 'x:y');
  expect(err).toContain('Want HOST:PORT, such as 127.0.0.1:9100.');
});

async function answering(text: string): Promise<Server> {
  const server = createServer((_request, response) => response.end(text));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

test('what does not answer as it should is named, with exit code 2', async () => {
  for (const [text, why] of [
    ['hello', 'does not answer as "ringwire serve --metrics" does'],
    ['{}', 'schema: '],
    [
      JSON.stringify({ schema: 'ringwire.live/1', ports: [{ socket: '\u001b[2J', state: 'running', reasons: [] }] }),
      'ports[0].socket: want text without control characters',
    ],
    ['x'.repeat(0x40_0001), 'answers with more than 4194304 bytes'],
  ] as const) {
    const server = await answering(text);
    const { code, err } = await ringwire('explain', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect([code, err.includes(why)], err).toEqual([2, true]);
    server.closeAllConnections();
    server.close();
  }
  const gone = await answering('');
  const url = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
  await new Promise((resolve) => gone.close(resolve));
  const { code, err } = await ringwire('explain', url);
  expect([code, err]).toEqual([2, `ringwire: ${url}/explain cannot be asked: ECONNREFUSED\n`]);
});
