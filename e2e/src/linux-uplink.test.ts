import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetched } from './fetched.js';
import { BUSYBOX, makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, LinuxGuest, PATIENCE_MS } from './linux-guest.js';
import { Program } from './program.js';
import { Ringwire } from './ringwire.js';
import { answered } from './traffic.js';

const problem = guestProblem() ?? namespaceProblem('tap');
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const HOST = '192.0.2.1';
const GUEST = '192.0.2.50';
const PORT = 8080;
/** At once: over both pairs of queues, if it is not strange. */
const FLOWS = 4;
const FILE: Uint8Array = randomBytes(16 * 2 ** 20);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** One address to give away, on the uplink's interface. */
const LEASES = (directory: string): string =>
  [`start ${GUEST}`, `end ${GUEST}`, 'interface tap0', 'option subnet 255.255.255.0', `lease_file ${directory}/leases`]
    .concat(`pidfile ${directory}/udhcpd.pid`, '')
    .join('\n');

const SUITE = `a Linux guest in QEMU and the network of this machine, through a tap device${SKIPPED}`;
describe.skipIf(problem !== undefined)(SUITE, GUEST_SUITE, () => {
  let directory: string;
  let namespace: TestNamespace;
  let server: Server;
  let leases: Program | undefined;
  let ringwire: Ringwire | undefined;
  let guest: LinuxGuest | undefined;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
    namespace = new TestNamespace();
    const socket = join(directory, 'a.sock');
    ringwire = await namespace.inside(() => Ringwire.serve([socket], '--queues', '2', '--uplink', 'tap:tap0,queues=2'));
    namespace.ip(`address add ${HOST}/24 dev tap0`);
    const config = join(directory, 'udhcpd.conf');
    writeFileSync(config, LEASES(directory));
    leases = namespace.inside(() => new Program(BUSYBOX, ['udhcpd', '-f', config]));
    server = createServer((_request, response) => response.end(FILE));
    await new Promise<void>((resolve) => namespace.inside(() => server.listen(PORT, resolve)));
    const nic = { socket, mac: '02:00:00:00:01:01', properties: 'mq=on', queuePairs: 2 };
    guest = new LinuxGuest({ name: 'guest', directory, image: makeGuestImage(directory), nics: [nic], processors: 2 });
    await guest.booted();
  }, PATIENCE_MS);

  afterAll(async () => {
    await guest?.kill();
    await leases?.kill();
    await ringwire?.kill();
    server?.close();
    namespace?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('both have two pairs of queues', async () => {
    expect(await guest!.run('ls -1 /sys/class/net/eth0/queues')).toBe('rx-0\nrx-1\ntx-0\ntx-1\n');
    expect(namespace.ip('-d link show tap0')).toContain(' multi_queue numqueues 2 ');
  });

  test('the guest is given an address over DHCP', async () => {
    await guest!.run(
      `printf '#!/bin/sh\\n[ $1 = bound ] && ip address add $ip/$mask dev eth0; true' > /tmp/leased; chmod +x /tmp/leased`,
    );
    await guest!.run('ip link set eth0 up && udhcpc -i eth0 -n -q -t 10 -s /tmp/leased');
    expect(await guest!.run('ip -o address show eth0')).toContain(`inet ${GUEST}/24 `);
    expect(answered(await guest!.run(`ping -c 5 -i 0.1 ${HOST}`))).toBe(5);
  });

  test('the guest fetches a file from a server on this machine, and several at once', async () => {
    const fetch = `wget -q -O - http://${HOST}:${PORT}/`;
    const said = await guest!.run(`${fetch} | tee /tmp/file | sha256sum`);
    expect(said.slice(0, 64)).toBe(sha256(FILE));
    const all = await guest!.run(`for n in $(seq ${FLOWS}); do { ${fetch} | sha256sum; } & done; wait`);
    expect(all.match(/[0-9a-f]{64}/g)).toEqual(Array(FLOWS).fill(sha256(FILE)));
  });

  test('this machine fetches the file back from a server in the guest', async () => {
    await guest!.run('httpd -h /tmp');
    expect(sha256(await namespace.during(() => fetched(`http://${GUEST}/file`)))).toBe(sha256(FILE));
  });
});
