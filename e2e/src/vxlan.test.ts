import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { readPcap } from '@ringwire/net-backend';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture } from './capture.js';
import { NamespacedServe } from './namespaced-serve.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

/** As many as a socket of the kernel queues while its reader is not scheduled. */
const FRAMES = 2000;
const problem = testpmdProblem() ?? namespaceProblem('veth');

let directory: string;
let namespaces: TestNamespace[];
let served: NamespacedServe[];
let testpmd: Testpmd | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-vxlan-'));
  namespaces = [];
  served = [];
});

afterEach(async () => {
  await testpmd?.kill();
  testpmd = undefined;
  for (const one of served) await one.end('SIGKILL');
  for (const namespace of namespaces) namespace.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Two machines and a cable that carries a frame of 1514 bytes with a tunnel's headers around it. */
function machines(): [TestNamespace, TestNamespace] {
  const [here, there] = [new TestNamespace(), new TestNamespace()];
  namespaces.push(here, there);
  here.ip(`link add wire mtu 1600 type veth peer name wire mtu 1600 netns ${there.path}`);
  for (const [index, namespace] of namespaces.entries()) {
    namespace.ip(`address add 198.51.100.${index + 1}/24 dev wire`);
    namespace.ip('link set wire up');
  }
  return [here, there];
}

const fileOf = (name: string): string => join(directory, name);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}

test.for([
  ['split', 'packed_vq=0'],
  ['packed', 'packed_vq=1'],
] as const)(
  'RFC 7348: two serves on two machines exchange their guests’ frames, byte for byte, and end cleanly: %s rings',
  async ([rings, options], { skip }) => {
    if (problem !== undefined) return skip(`skipped, because ${problem}`);
    const sockets = ['a', 'b'].map((name) => fileOf(`${name}.sock`));
    const trace = fileOf('b.pcapng');
    for (const [index, namespace] of machines().entries()) {
      const uplink = `vxlan:198.51.100.${2 - index},7`;
      const traced = index === 1 ? ['--trace', trace] : [];
      served.push(new NamespacedServe(namespace, ['--port', sockets[index]!, '--uplink', uplink, '--hold', ...traced]));
    }
    const [here, there] = served as [NamespacedServe, NamespacedServe];
    await until(() => served.every(({ text }) => text.includes(' served\n')));
    writeFileSync(fileOf('in'), numberedCapture(Array(FRAMES).keys()));
    writeFileSync(fileOf('none'), numberedCapture([]));
    testpmd = new Testpmd(
      directory,
      [
        `net_pcap0,rx_pcap=${fileOf('in')},tx_pcap=${fileOf('back')}`,
        ...sockets.map((path, index) => `net_virtio_user${index},path=${path},queues=1,queue_size=256,${options}`),
        `net_pcap1,rx_pcap=${fileOf('none')},tx_pcap=${fileOf('out')}`,
      ],
      1,
    );
    for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
    await testpmd.ask('show port stats 3', new RegExp(`TX-packets: ${FRAMES}\\b`));
    await testpmd.quit();
    const framesOf = (name: string) => readPcap(readFileSync(fileOf(name))).frames.map(({ bytes }) => bytes);
    const [sent, got] = [framesOf('in'), framesOf('out')];
    expect(got.length).toBe(FRAMES);
    expect(sent.filter((bytes, at) => Buffer.compare(bytes, got[at]!) !== 0)).toEqual([]);
    await until(() => served.every((one) => one.events('disconnected').length === 1));
    expect(await Promise.all(served.map((one) => one.end()))).toEqual([0, 0]);
    expect(there.events('running')).toMatchObject([{ socket: sockets[1], rings }]);
    const sender = { uplink: 'vxlan:198.51.100.2,7', sent: FRAMES, received: 0 };
    expect(here.events('counters')).toMatchObject([{ uplinks: [sender] }]);
    expect(there.events('counters')).toMatchObject([{ uplinks: [{ sent: 0, received: FRAMES }] }]);
    expect(readFileSync(trace).length).toBeGreaterThan(FRAMES * 60);
  },
);
