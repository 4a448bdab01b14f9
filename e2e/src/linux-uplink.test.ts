import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { guestProblem, LinuxGuest, PATIENCE_MS } from './linux-guest.js';
import { Ringwire } from './ringwire.js';
import { PINGS, pings } from './traffic.js';

const problem = guestProblem() ?? namespaceProblem('tap');
const BYTES = 16 * 2 ** 20;
/** Most bytes of a frame that was not left to be segmented. */
const WHOLE_FRAME = 1514;

let directory: string;
let host: TestNamespace;
let ringwire: Ringwire | undefined;
let guest: LinuxGuest | undefined;
let web: Server | undefined;

beforeEach(({ skip }) => {
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  directory = mkdtempSync(join(tmpdir(), 'ringwire-uplink-'));
  host = new TestNamespace();
});

afterEach(async () => {
  await guest?.kill();
  await ringwire?.kill('SIGKILL');
  web?.closeAllConnections();
  web?.close();
  host?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Serves bytes over HTTP at the host's end of the tap device, and takes what is sent there. */
async function serveFile(bytes: Uint8Array, taken: (digest: string) => void): Promise<Server> {
  const server = createServer((request, response) => {
    const digest = createHash('sha256');
    request.on('data', (piece: Uint8Array) => digest.update(piece));
    request.on('end', () => {
      if (request.method === 'POST') taken(digest.digest('hex'));
      // A line, so that what the guest's shell says next begins another one.
      response.end(request.method === 'POST' ? 'taken\n' : bytes);
    });
  });
  await host.during(() => new Promise<void>((resolve) => server.listen(8080, '10.0.0.9', resolve)));
  return server;
}

test.for(['packed=off', 'packed=on'])(
  'a Linux guest and this machine ping each other and pass files through a tap device, in large frames: %s',
  { timeout: PATIENCE_MS },
  async (properties) => {
    const socket = join(directory, 'a.sock');
    ringwire = await host.inside(() => Ringwire.serve([socket], '--uplink', 'tap:tap0', '--hold', '--json'));
    host.ip('address add 10.0.0.9/24 dev tap0');
    // Busybox's wget sends a file up to its first zero.
    const file = randomBytes(BYTES).map((byte) => byte || 1);
    const digests: string[] = [];
    web = await serveFile(file, (digest) => digests.push(digest));
    const nic = { socket, mac: '02:00:00:00:01:01', properties };
    guest = new LinuxGuest({ name: 'guest', directory, image: makeGuestImage(directory), nics: [nic] });
    await guest.booted();
    await guest.run('ip address add 10.0.0.1/24 dev eth0 && ip link set eth0 up');
    expect(await pings(guest, '10.0.0.9', 56)).toBe(PINGS);
    const got = await guest.run('wget -q -O /tmp/file http://10.0.0.9:8080/ && sha256sum < /tmp/file');
    expect(got.slice(0, 64)).toBe(createHash('sha256').update(file).digest('hex'));
    expect(await guest.run('wget -q -O - --post-file=/tmp/file http://10.0.0.9:8080/')).toBe('taken\n');
    expect(digests).toEqual([got.slice(0, 64)]);
    await guest.kill();
    await ringwire.kill('SIGTERM');
    const [counters] = ringwire.events('counters');
    const [uplink] = (
      counters as { uplinks: { sent: number; sentBytes: number; received: number; receivedBytes: number }[] }
    ).uplinks;
    expect(uplink!.receivedBytes / uplink!.received).toBeGreaterThan(WHOLE_FRAME);
    expect(uplink!.sentBytes).toBeGreaterThan(BYTES);
  },
);
