import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '@ringwire/guest-memory';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { readPcap } from '@ringwire/net-backend';
import {
  PcapUplink,
  pcapUplinkBytes,
  TAP_BYTES,
  TapUplink,
  type Uplink,
  VXLAN_BYTES,
  VxlanUplink,
} from '@ringwire/net-uplink';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { arpFrame } from '../../examples/browser/src/frames.js';
import { bootedState, guestPartsProblem, machineFiles } from '../../examples/v86/src/guest-parts.js';
import { LinuxMachine, NOWHERE } from '../../examples/v86/src/linux-machine.js';
import { mac } from './v86-network.js';

const PATIENCE_MS = 400_000;
const problem = guestPartsProblem();
const tapProblem = namespaceProblem('tap');
const SUITE = `a card in v86 plugged into what leads out of the process${problem === undefined ? '' : `: skipped, because ${problem}`}`;
const FILE: Uint8Array = randomBytes(1 << 20);
const HOST = '192.0.2.1';
/** How often an uplink is asked whether it has frames, in ms. */
const ASK_MS = 1;

describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  let state: ArrayBuffer;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    state = await bootedState();
  }, PATIENCE_MS);

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** A machine whose first card is plugged into an uplink, and has an address. */
  async function machineAt(uplink: Uplink, last: number, address: string): Promise<LinuxMachine> {
    const cards = { msix: { port: uplink, mac: mac(last) }, pin: { port: NOWHERE, mac: mac(0x80 + last) } };
    const machine = await LinuxMachine.open(machineFiles(), { state }, cards);
    const timer = setInterval(() => {
      uplink.ready();
      machine.cards.wake();
    }, ASK_MS);
    closing.push(async () => {
      clearInterval(timer);
      await machine.close();
      uplink.close();
    });
    const { msix } = await machine.loadDrivers();
    await machine.must(`ip address add ${address}/24 dev ${msix}; ip link set ${msix} up`);
    return machine;
  }

  const digest = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
  const fetchedBy = async (machine: LinuxMachine, url: string): Promise<string> =>
    (await machine.must(`wget -q -O - ${url} | md5sum`)).slice(0, 32);

  test('a tap device: Linux pings this machine and fetches a file from it', async ({ skip }) => {
    if (tapProblem !== undefined) return skip(`skipped, because ${tapProblem}`);
    const namespace = new TestNamespace();
    closing.push(() => namespace.close());
    const memory = HostMemory.create(TAP_BYTES);
    const uplink = namespace.inside(() => new TapUplink({ memory, at: 0, name: 'tap0' }));
    namespace.ip(`address add ${HOST}/24 dev tap0`);
    const server: Server = createServer((_request, response) => response.end(FILE));
    await new Promise<void>((resolve) => namespace.inside(() => server.listen(8000, resolve)));
    closing.push(() => server.close());
    const machine = await machineAt(uplink, 1, '192.0.2.50');
    expect(await machine.must(`ping -c 5 -i 0.1 ${HOST}`)).toContain('5 packets received');
    expect(await fetchedBy(machine, `http://${HOST}:8000/`)).toBe(digest(FILE));
    // What the kernel says before the card's driver runs is for nobody.
    expect(uplink.counters.drops).toMatchObject({ refused: 0, scattered: 0 });
  });

  test('a VXLAN tunnel: two machines ping each other and one fetches a file', async () => {
    const memory = HostMemory.create(2 * VXLAN_BYTES);
    const ends = ['127.0.0.86', '127.0.0.87'] as const;
    const machines: LinuxMachine[] = [];
    for (const [index, local] of ends.entries()) {
      const uplink = new VxlanUplink({ memory, at: index * VXLAN_BYTES, local, remote: ends[1 - index]!, vni: 86 });
      machines.push(await machineAt(uplink, index + 1, `10.0.0.${index + 1}`));
    }
    const [first, second] = machines as [LinuxMachine, LinuxMachine];
    expect(await first.must('ping -c 5 -i 0.1 10.0.0.2')).toContain('5 packets received');
    await second.must('httpd -p 8000 -h /tmp; dd if=/dev/urandom of=/tmp/file bs=1M count=1 2>/dev/null');
    const sum = (await second.must('md5sum < /tmp/file')).slice(0, 32);
    expect(await fetchedBy(first, 'http://10.0.0.2:8000/file')).toBe(sum);
  });

  test('captures: a question that is played to Linux is answered in the one that is written', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
    closing.push(() => rmSync(directory, { recursive: true, force: true }));
    const stranger = { mac: mac(0x99), ip: Uint8Array.of(10, 0, 0, 99) };
    const bytes = arpFrame(stranger, Uint8Array.of(10, 0, 0, 1));
    const frame = { bytes, wireLength: bytes.length, seconds: 0, nanoseconds: 0 };
    const play = { linkType: 1, snapLength: 0, frames: [frame] };
    const memory = HostMemory.create(pcapUplinkBytes(play));
    const write = join(directory, 'written.pcap');
    let asks = false;
    const uplink = new PcapUplink({ memory, at: 0, write, play, isAudience: () => asks });
    await machineAt(uplink, 1, '10.0.0.1');
    asks = true;
    const answer = Buffer.from(arpFrame({ mac: mac(1), ip: Uint8Array.of(10, 0, 0, 1) }, stranger.ip, stranger.mac));
    const written = (): boolean => readPcap(readFileSync(write)).frames.some((one) => answer.equals(one.bytes));
    await expect.poll(written, { timeout: PATIENCE_MS }).toBe(true);
  });
});
