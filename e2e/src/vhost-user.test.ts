import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPcap } from '@ringwire/net-backend';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture } from './capture.js';
import { ServedPair } from './served-pair.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

/** Many times round a ring of 256, and most of the ring's wraps in the middle of a burst. */
const FRAMES = 20_000;
const problem = testpmdProblem();
const SKIPPED = `skipped, because ${problem}`;

let directory: string;
let served: ServedPair;
let testpmd: Testpmd | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
  served = new ServedPair(directory);
  writeFileSync(join(directory, 'in.pcap'), numberedCapture(FRAMES));
  writeFileSync(join(directory, 'none.pcap'), numberedCapture(0));
});

afterEach(async () => {
  await testpmd?.kill();
  testpmd = undefined;
  await served.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Ports 0 and 3 are captures, 1 and 2 the sockets: testpmd forwards 0 to 1 and 2 to 3. */
function start(options: string): Testpmd {
  const file = (name: string): string => join(directory, `${name}.pcap`);
  testpmd = new Testpmd(directory, [
    `net_pcap0,rx_pcap=${file('in')},tx_pcap=${file('back')}`,
    ...served.paths.map((path, index) => `net_virtio_user${index},path=${path},queues=1,queue_size=256,${options}`),
    `net_pcap1,rx_pcap=${file('none')},tx_pcap=${file('out')}`,
  ]);
  // A ring that is full is tried again for as long as it takes.
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
  return testpmd;
}

const framesOf = (name: string): Uint8Array[] =>
  readPcap(readFileSync(join(directory, `${name}.pcap`))).frames.map(({ bytes }) => bytes);

/** Numbers of the frames that did not come out as they went in. */
function differences(): number[] {
  const [sent, got] = [framesOf('in'), framesOf('out')];
  const numbers = Array.from({ length: Math.max(sent.length, got.length) }, (_, number) => number);
  return numbers.filter((at) => sent[at] === undefined || got[at] === undefined || !sameBytes(sent[at], got[at]));
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test.for([
  ['split', 'packed_vq=0,in_order=0'],
  ['split, in order', 'packed_vq=0,in_order=1'],
  ['split, without mergeable buffers', 'packed_vq=0,in_order=0,mrg_rxbuf=0'],
  ['packed', 'packed_vq=1,in_order=0'],
  ['packed, in order', 'packed_vq=1,in_order=1'],
] as const)(
  'stock DPDK sends through ringwire to itself and loses, changes and reorders nothing: %s',
  async ([, options], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    const peer = start(options);
    await peer.ask('show port stats 3', new RegExp(`TX-packets: ${FRAMES}\\b`));
    const said = await peer.quit();
    expect(differences()).toEqual([]);
    expect(framesOf('back')).toEqual([]);
    expect(said).toMatch(
      new RegExp(
        `RX-packets: ${2 * FRAMES} +RX-dropped: 0 +RX-total: ${2 * FRAMES}\\n +TX-packets: ${2 * FRAMES} +TX-dropped: 0`,
      ),
    );
    expect(served.lan.ports.map(({ counters }) => counters)).toEqual([
      { forwarded: 0, flooded: FRAMES, filtered: 0, lost: 0 },
      { forwarded: 0, flooded: 0, filtered: 0, lost: 0 },
    ]);
    expect(served.ends).toEqual(['the connection ended', 'the connection ended']);
    expect(served.memory.inUse).toBe(0);
  },
);

test('VU-27: after a testpmd was killed in the middle of its traffic, the next one is served as the first', async ({
  skip,
}) => {
  if (problem !== undefined) return skip(SKIPPED);
  const first = start('packed_vq=1');
  await first.ask('show port stats 3', /TX-packets: [1-9]/);
  await first.kill();
  const before = served.lan.ports[0]!.counters.flooded;
  const second = start('packed_vq=0');
  await second.ask('show port stats 3', new RegExp(`TX-packets: ${FRAMES}\\b`));
  await second.quit();
  expect(differences()).toEqual([]);
  expect(served.lan.ports[0]!.counters.flooded).toBe(before + FRAMES);
  expect(served.ends).toEqual(Array(4).fill('the connection ended'));
  expect(served.memory.inUse).toBe(0);
});
