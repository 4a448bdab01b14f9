import { spawnSync } from 'node:child_process';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { close, openTap } from '@ringwire/linux';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from './run.js';
import { ringwire } from './testing/command.js';

const TSHARK = 'tshark';

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
    const code = serve('--port', ports[0]!, '--port', ports[1]!, '--memory', '64', '--queues', '3');
    await until(() => err !== '');
    expect(err).toBe('2 ports are served\n');
    const socket = await connected(ports[1]!);
    const answers: Buffer[] = [];
    socket.on('data', (bytes) => answers.push(bytes));
    socket.on('error', () => undefined);
    // GET_QUEUE_NUM, version 1: it counts pairs.
    socket.write(Uint8Array.of(17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0));
    await until(() => answers.length > 0);
    expect([...Buffer.concat(answers)]).toEqual([17, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    process.emit(signal);
    expect(await code).toBe(0);
    expect(ports.map((path) => existsSync(path))).toEqual([false, false]);
    expect(err).toContain(`${ports[1]}: a front-end connected\n${ports[1]}: the server was closed\n`);
    expect(out.split('\n')[0]).toBe('forwarded  flooded  filtered  lost  frames from');
    expect(out.split('\n')[2]).toBe(`0          0        0         0     ${ports[1]}`);
    expect(process.listenerCount(signal)).toBe(handlers);
    socket.destroy();
  },
);

test('a front-end that listens is connected to, and again when it was gone', async () => {
  const peers: Socket[] = [];
  const listener = createServer((peer) => peers.push(peer.on('error', () => undefined)));
  await new Promise<void>((resolve) => listener.listen(ports[0]!, resolve));
  const code = serve('--port', ports[0]!, '--connect', '--memory', '64');
  for (let round = 0; round < 2; round++) {
    await until(() => peers.length > round);
    const peer = peers[round]!;
    const answers: Buffer[] = [];
    peer.on('data', (bytes) => answers.push(bytes));
    // GET_QUEUE_NUM, version 1.
    peer.write(Uint8Array.of(17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0));
    await until(() => answers.length > 0);
    expect(Buffer.concat(answers)[12]).toBe(1);
    peer.destroy();
  }
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  // The socket is the front-end's own.
  expect(existsSync(ports[0]!)).toBe(true);
  await new Promise((resolve) => listener.close(resolve));
});

test('what happens as JSON, an object a line', async () => {
  const [socket] = ports as [string];
  const code = serve('--port', socket, '--memory', '64', '--json');
  await until(() => out !== '');
  const client = await connected(socket);
  await until(() => out.includes('connected'));
  client.destroy();
  await until(() => out.includes('disconnected'));
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  const nothing = { forwarded: 0, flooded: 0, filtered: 0, lost: 0, txFrames: 0, txBytes: 0, rxFrames: 0, rxBytes: 0 };
  expect(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { event: 'listening', socket, mac: '02:00:00:00:00:01' },
    { event: 'connected', socket },
    { event: 'disconnected', socket, reason: 'the connection ended' },
    { event: 'counters', ports: [{ socket, state: 'listening', ...nothing, drops: {} }], uplinks: [] },
  ]);
  expect(err).toBe(`1 port is served\n${socket}: a front-end connected\n${socket}: the connection ended\n`);
});

test.each([
  [
    'serve.yaml',
    (a: string) => `ports:\n  - { socket: ${a}, mac: 02:00:00:00:00:0a }\nuplinks: [none]\nmemory: 64\njson: true\n`,
  ],
  [
    'serve.json',
    (a: string) => JSON.stringify({ ports: [{ socket: a, mac: '02:00:00:00:00:0a' }], memory: 64, json: true }),
  ],
])('a file says what options say, and an option overrides it: %s', async (name, content) => {
  const [socket, other] = ports as [string, string];
  const file = join(directory, name);
  writeFileSync(file, content(socket));
  for (const [words, expected] of [
    [[], { socket, mac: '02:00:00:00:00:0a' }],
    [['--port', other], { socket: other, mac: '02:00:00:00:00:01' }],
  ] as const) {
    out = '';
    const code = serve('--config', file, ...words);
    await until(() => out !== '');
    process.emit('SIGINT');
    expect(await code).toBe(0);
    expect(JSON.parse(out.split('\n')[0]!)).toEqual({ event: 'listening', ...expected });
  }
});

/** A UDP port of this machine that was free just now. */
async function freePort(socket: Datagrams): Promise<number> {
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return socket.address().port;
}

test('a trace has an interface for each port, and tshark reads what became of frames while it is served and after', async ({
  skip,
}) => {
  const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'frame.comment', 'eth.src'];
  const trace = join(directory, 'all.pcapng');
  const read = () => {
    const words = ['-r', trace, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
    return spawnSync(TSHARK, words, { encoding: 'utf8' });
  };
  if (read().error !== undefined) return skip('skipped, because tshark is not installed');
  // The other end of a tunnel sends a frame to all; it finds nobody that runs.
  const [client, free] = [createSocket('udp4'), createSocket('udp4')];
  const port = await freePort(free);
  await new Promise<void>((resolve) => free.close(resolve));
  const uplink = `vxlan:127.0.0.1,7,local=127.0.0.1:${port}`;
  const words = ['--port', ports[0]!, '--port', ports[1]!, '--uplink', uplink, '--memory', '64', '--trace', trace];
  const code = serve(...words);
  await until(() => err !== '');
  const frame = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 0x88, 0xb5, ...Array(46).fill(0)];
  client.send(Uint8Array.of(8, 0, 0, 0, 0, 0, 7, 0, ...frame), port, '127.0.0.1');
  const dropped = 'dropped, RX_STOPPED: the device was not running';
  const rows = ports.map((name) => `${name}\t0x00000001\t${dropped}\t02:00:00:00:00:09\n`).join('');
  await until(() => read().stdout === rows);
  expect(read().stderr).not.toContain('cut short');
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  expect(read().stdout).toBe(rows);
  expect(out).toContain('sent  received  dropped  uplink\n0     1         0        vxlan:127.0.0.1,7\n');
  client.close();
});

test('a tap device is made with the MTU that was asked for; that it was taken away is told, and does no harm', async ({
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
  namespace.ip('link delete rw0');
  await until(() => err.includes('lost'));
  expect(err).toBe('1 port is served\ntap:rw0 is lost: the interface is gone\n');
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  namespace.close();
});

test('a tap device that cannot be had is refused with what the kernel means', async ({ skip }) => {
  const problem = namespaceProblem('tap');
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  const namespace = new TestNamespace();
  namespace.ip('tuntap add dev rw0 mode tap');
  const refused = async (tap: string): Promise<string> => {
    const { code, err } = await ringwire('serve', '--port', ports[0]!, '--memory', '64', '--uplink', tap);
    expect(code).toBe(2);
    return err;
  };
  await namespace.during(async () => {
    for (const tap of ['tap:rw0,queues=2', 'tap:lo'])
      expect(await refused(tap)).toBe(
        `ringwire: the uplink ${tap.split(',')[0]} cannot be had: TUNSETIFF: EINVAL: ` +
          'it is no tap device, or was made for one queue where several are wanted\n',
      );
    const other = openTap('rw0');
    expect(await refused('tap:rw0')).toContain('TUNSETIFF: EBUSY: another process has it');
    close(other.fd);
  });
  namespace.close();
});

test('what cannot be served is refused with exit code 2', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const { code, err } = await ringwire('serve', ...args);
    expect(code).toBe(2);
    return err;
  };
  const none = join(directory, 'none', 'a.sock');
  expect(await refused('--port', none)).toBe(`ringwire: a socket cannot be made: bind ${none}: ENOENT\n`);
  const long = join(directory, 'x'.repeat(120));
  expect(await refused('--port', long)).toContain("a socket's path has at most 107 bytes");
  expect(await refused('--port', ports[0]!, '--port', ports[0]!)).toBe(
    'ringwire: two ports have the same socket or name\n',
  );
  expect(await refused('--port', ports[0]!, '--queue-size', '100')).toContain(
    'rxQueueSize is 100, want a power of two',
  );
  expect(await refused('--port', ports[0]!, '--memory', '4096')).toContain('Want 16 to 4095 MiB.');
  expect(await refused()).toContain('ringwire: no port: want --port SOCKET');
  expect(await refused('--port', ports[0]!, '--split', '--packed')).toContain('not both');
  expect(await refused('--port', ports[0]!, '--queues', '129')).toContain('Want 1 to 128 pairs of queues.');
  expect(await refused('--port', ports[0]!, '--mtu', '67')).toContain('mtu is 67, want 68 to 65535');
  expect(await refused('--port', ports[0]!, '--uplink', 'tape:a')).toContain('Want tap:NAME');
  const name = 'x'.repeat(16);
  expect(await refused('--port', ports[0]!, '--uplink', `tap:${name}`)).toBe(
    `ringwire: the uplink tap:${name} cannot be had: an interface's name has 1 to 15 bytes, no slash and no space: ${name}\n`,
  );
  expect(await refused('--port', ports[0]!, '--uplink', 'tap:lo')).toMatch(
    /^ringwire: the uplink tap:lo cannot be had: .+\n$/,
  );
  expect(await refused('--port', ports[0]!, '--trace', join(directory, 'none', 'x'))).toMatch(
    /none\/x cannot be written: ENOENT\n$/,
  );
  expect(await refused('--port', ports[0]!, '--uplink', `pcap:play=${none}`)).toMatch(
    /cannot be read: no such file\n$/,
  );
  writeFileSync(join(directory, 'text'), 'no capture, but long enough to have a header');
  expect(await refused('--port', ports[0]!, '--uplink', `pcap:play=${join(directory, 'text')}`)).toContain(
    'text is no capture: magic',
  );
  expect(await refused('--port', ports[0]!, '--uplink', `pcap:${none}`)).toMatch(/cannot be had: ENOENT\n$/);
  expect(await refused('--port', ports[0]!, '--uplink', 'vxlan:127.0.0.1,7,local=203.0.113.9')).toContain(
    'bind: EADDRNOTAVAIL',
  );
  expect(existsSync(ports[0]!)).toBe(false);
});

test.skipIf(existsSync('/dev/vduse/control'))(
  'a VDUSE device wants a kernel that has them: without one that is said, and nothing is left behind',
  async () => {
    const { code, err } = await ringwire('serve', '--port', ports[0]!, '--vduse', 'net0', '--memory', '64');
    expect([code, err]).toEqual([
      2,
      'ringwire: there is no /dev/vduse/control: want Linux 5.15 or newer with the module vduse ("modprobe vduse")\n',
    ]);
    expect(existsSync(ports[0]!)).toBe(false);
    const twice = await ringwire('serve', '--vduse', 'a', '--vduse', 'a');
    expect(twice.err).toBe('ringwire: two ports have the same socket or name\n');
    expect((await ringwire('serve', '--vduse', 'a/b', '--memory', '64')).err).toContain(
      'name is a/b, want 1 to 255 letters',
    );
  },
);

test('a file that cannot be used is named with its field, in one line', async () => {
  const file = join(directory, 'serve.yaml');
  const refused = async (content: string, name = file): Promise<string> => {
    writeFileSync(name, content);
    const { code, err } = await ringwire('serve', '--config', name);
    expect(code).toBe(2);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    return err.replace(`ringwire: ${name}`, '').trimEnd();
  };
  expect(await refused('ports: []')).toBe(
    'ringwire: no port: want --port SOCKET, --vduse NAME, or ports in the file of --config',
  );
  expect(await refused('ports: [{ socket: 3 }]')).toMatch(/^: ports\[0\]\.socket: .*string/);
  expect(await refused('ports: [{ socket: a, queue: 3 }]')).toMatch(/^: ports\[0\]: .*"queue"/);
  for (const port of ['mac: 02:00:00:00:00:0a', 'socket: a, vduse: b'])
    expect(await refused(`ports: [{ ${port} }]`)).toBe(': ports[0]: want socket or vduse, one of them');
  for (const more of ['queues: 2', 'connect: true'])
    expect(await refused(`ports: [{ vduse: a, ${more} }]`)).toBe(
      ': ports[0]: a vduse port has one pair of queues, and no socket to connect to',
    );
  expect(await refused('uplinks: [tap:a, tape]')).toMatch(/^: uplinks\[1\]: Want tap:NAME/);
  expect(await refused('ports: [{ socket: a, mac: 1:2 }]')).toMatch(/^: ports\[0\]\.mac: Want an address such as 02:/);
  expect(await refused('memory: 15')).toMatch(/^: memory: .*16/);
  expect(await refused('a: [')).toMatch(/^ is no valid YAML: .*line 1/);
  expect(await refused('a: *b')).toMatch(/^ is no valid YAML: /);
  const bomb = `a0: &a0 [x, x, x, x, x, x, x, x, x]\n${[1, 2, 3, 4, 5]
    .map(
      (n) =>
        `a${n}: &a${n} [${Array(9)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
    )
    .join('\n')}`;
  expect(await refused(bomb)).toMatch(/^ is no valid YAML: .*alias/i);
  // NX-08: deeper than a parser's stack.
  expect(await refused('['.repeat(100_000))).toMatch(/^ is no valid YAML: /);
  expect(await refused('{', join(directory, 'serve.json'))).toMatch(/^ is no valid JSON: /);
  expect((await ringwire('serve', '--config', join(directory, 'none'))).err).toMatch(
    /none cannot be read: no such file\n$/,
  );
});
