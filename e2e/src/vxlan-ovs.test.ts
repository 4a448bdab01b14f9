import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetched } from './fetched.js';
import { OpenVswitch, openVswitchProblem } from './open-vswitch.js';
import { Ringwire } from './ringwire.js';

const problem = openVswitchProblem() ?? namespaceProblem('tap', 'veth');
const FILE: Uint8Array = randomBytes(4 * 2 ** 20);
const PORT = 8080;
/** What an Ethernet of 1500 bytes carries in a tunnel over IPv4. */
const MTU = 1450;
/** Ends of the tunnel, and stations on the network that it carries. */
const ENDS = ['198.51.100.1', '198.51.100.2'] as const;
const STATIONS = ['10.0.0.1', '10.0.0.2'] as const;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let directory: string;
let namespaces: TestNamespace[];
let servers: Server[];
let ringwire: Ringwire | undefined;
let ovs: OpenVswitch | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-ovs-'));
  namespaces = [];
  servers = [];
});

afterEach(async () => {
  await ringwire?.kill('SIGKILL');
  await ovs?.end();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  for (const namespace of namespaces) namespace.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A namespace with a cable to another one. */
function machines(): readonly [TestNamespace, TestNamespace] {
  const both = [new TestNamespace(), new TestNamespace()] as const;
  namespaces.push(...both);
  both[0].ip(`link add wire type veth peer name wire netns ${both[1].path}`);
  for (const namespace of both) namespace.ip('link set wire up');
  return both;
}

test('RFC 7348: Open vSwitch is the other end of a tunnel: stations behind both fetch files from each other', async ({
  skip,
}) => {
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  const [here, there] = machines();
  here.ip(`address add ${ENDS[0]}/24 dev wire`);
  ovs = await OpenVswitch.start(directory, there);
  const bridge = (name: string): string[] => [
    'add-br',
    name,
    '--',
    'set',
    'bridge',
    name,
    'datapath_type=netdev',
    '--',
  ];
  const tunnel = ['type=vxlan', `options:remote_ip=${ENDS[0]}`, `options:local_ip=${ENDS[1]}`, 'options:key=7'];
  // A tunnel of the user space's needs a bridge with its own address in front of the cable.
  await ovs.configure(...bridge('outer'), 'add-port', 'outer', 'wire');
  await ovs.configure(...bridge('inner'), 'add-port', 'inner', 'far', '--', 'set', 'interface', 'far', ...tunnel);
  there.ip(`address add ${ENDS[1]}/24 dev outer`);
  there.ip('link set outer up');
  there.ip(`address add ${STATIONS[1]}/24 dev inner`);
  there.ip(`link set inner mtu ${MTU} up`);
  const words = ['--json', '--mtu', `${MTU}`, '--uplink', 'tap:tap0', '--uplink', `vxlan:${ENDS[1]},7`];
  ringwire = await here.inside(() => Ringwire.serve([join(directory, 'a.sock')], ...words));
  here.ip(`address add ${STATIONS[0]}/24 dev tap0`);
  for (const namespace of [here, there]) {
    const server = createServer((_request, response) => response.end(FILE));
    servers.push(server);
    await new Promise<void>((resolve) => namespace.inside(() => server.listen(PORT, resolve)));
  }
  for (const [at, namespace] of [here, there].entries()) {
    const file = await namespace.during(() => fetched(`http://${STATIONS[1 - at]}:${PORT}/`));
    expect(sha256(file)).toBe(sha256(FILE));
  }
  await ringwire.kill('SIGTERM');
  const [{ uplinks }] = ringwire.events('counters') as [{ uplinks: Record<string, unknown>[] }];
  const frames = FILE.length / MTU;
  for (const { sent, received } of uplinks) {
    expect(sent).toBeGreaterThan(frames);
    expect(received).toBeGreaterThan(frames / 64);
  }
});
