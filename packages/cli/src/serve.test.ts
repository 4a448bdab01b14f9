import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
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

test('a tap device is the uplink while it is served: another port of the switch, with the MTU that was asked for', async ({
  skip,
}) => {
  const problem = namespaceProblem('tap');
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  const namespace = new TestNamespace();
  let code: Promise<number> | undefined;
  await namespace.during(() => {
    code = serve('--port', ports[0]!, '--uplink', 'tap:rw0', '--uplink', 'none', '--mtu', '1300', '--memory', '64');
    return until(() => err !== '');
  });
  expect(err).toBe('1 port is served\n');
  expect(namespace.ip('link show rw0')).toMatch(/rw0: <[A-Z,_]*\bUP\b.* mtu 1300 /);
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  expect(namespace.ip('link')).not.toContain('rw0');
  namespace.close();
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
  expect(await refused()).toContain('ringwire: no port: want --port SOCKET');
  expect(await refused('--port', ports[0]!, '--split', '--packed')).toContain('not both');
  expect(await refused('--port', ports[0]!, '--mtu', '67')).toContain('mtu is 67, want 68 to 65535');
  expect(await refused('--port', ports[0]!, '--uplink', 'tape:a')).toContain('Want tap:NAME');
  const name = 'x'.repeat(16);
  expect(await refused('--port', ports[0]!, '--uplink', `tap:${name}`)).toBe(
    `ringwire: the uplink tap:${name} cannot be had: an interface's name has 1 to 15 bytes, no slash and no space: ${name}\n`,
  );
  expect(await refused('--port', ports[0]!, '--uplink', 'tap:lo')).toMatch(
    /^ringwire: the uplink tap:lo cannot be had: .+\n$/,
  );
  expect(existsSync(ports[0]!)).toBe(false);
});
