import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from './run.js';
import { ringwire } from './testing/command.js';

let directory: string;
let ports: string[];
let out: string;
let err: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-serve-'));
  ports = ['a.sock', 'b.sock'].map((name) => join(directory, name));
  out = '';
  err = '';
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Serve, with what is written to be seen while it runs. */
function serve(...args: string[]): Promise<number> {
  const write = (kind: 'out' | 'err') => (text: string) => {
    if (kind === 'out') out += text;
    else err += text;
  };
  return run(['serve', ...args], { out: write('out'), err: write('err'), color: false });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

test.each(['SIGINT', 'SIGTERM'] as const)(
  'two sockets are there and answer until %s; then they are gone, and counters are printed',
  async (signal) => {
    const handlers = process.listenerCount(signal);
    const code = serve('--port', ports[0]!, '--port', ports[1]!, '--memory', '64');
    await until(() => err !== '');
    expect(err).toBe('2 ports are served\n');
    const socket = await connected(ports[1]!);
    const answers: Buffer[] = [];
    socket.on('data', (bytes) => answers.push(bytes));
    socket.on('error', () => undefined);
    // GET_QUEUE_NUM, version 1.
    socket.write(Uint8Array.of(17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0));
    await until(() => answers.length > 0);
    expect([...Buffer.concat(answers)]).toEqual([17, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    process.emit(signal);
    expect(await code).toBe(0);
    expect(ports.map((path) => existsSync(path))).toEqual([false, false]);
    expect(err).toContain(`${ports[1]}: the server was closed\n`);
    expect(out.split('\n')[0]).toBe('forwarded  flooded  filtered  lost  frames from');
    expect(out.split('\n')[2]).toBe(`0          0        0         0     ${ports[1]}`);
    expect(process.listenerCount(signal)).toBe(handlers);
    socket.destroy();
  },
);

test('counters as JSON', async () => {
  const code = serve('--port', ports[0]!, '--memory', '64', '--json');
  await until(() => err !== '');
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  expect(JSON.parse(out)).toEqual([{ socket: ports[0], forwarded: 0, flooded: 0, filtered: 0, lost: 0 }]);
});

test('what cannot be served is refused with exit code 2', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const { code, err } = await ringwire('serve', ...args);
    expect(code).toBe(2);
    return err;
  };
  const none = join(directory, 'none', 'a.sock');
  expect(await refused('--port', none)).toBe('ringwire: a socket cannot be made: bind: ENOENT\n');
  const long = join(directory, 'x'.repeat(120));
  expect(await refused('--port', long)).toContain("a socket's path has at most 107 bytes");
  expect(await refused('--port', ports[0]!, '--port', ports[0]!)).toBe('ringwire: two ports have the same socket\n');
  expect(await refused('--port', ports[0]!, '--queue-size', '100')).toContain(
    'rxQueueSize is 100, want a power of two',
  );
  expect(await refused('--port', ports[0]!, '--memory', '4096')).toContain('Want 16 to 4095 MiB.');
  expect(await refused()).toContain("required option '--port <socket>' not specified");
  expect(existsSync(ports[0]!)).toBe(false);
});
