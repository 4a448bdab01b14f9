import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPcap } from '@ringwire/net-backend';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture, numberOf } from './capture.js';
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
  write('in0', numberedCapture(Array(FRAMES).keys()));
  write('none', numberedCapture([]));
});

afterEach(async () => {
  await testpmd?.kill();
  testpmd = undefined;
  await served.close();
  rmSync(directory, { recursive: true, force: true });
});

const fileOf = (name: string): string => join(directory, `${name}.pcap`);
const write = (name: string, capture: Uint8Array): void => writeFileSync(fileOf(name), capture);

/**
 * Ports 0 and 3 are captures, one for each queue, 1 and 2 the sockets: testpmd forwards 0 to 1 and 2 to 3, each queue to
 * the one with its number.
 */
function start(options: string, queues = 1): Testpmd {
  const numbers = Array.from(Array(queues).keys());
  const capturePort = (from: (queue: number) => string, to: string): string =>
    numbers.map((queue) => `rx_pcap=${fileOf(from(queue))},tx_pcap=${fileOf(`${to}${queue}`)}`).join(',');
  const sockets = served.paths.map(
    (path, index) => `net_virtio_user${index},path=${path},queues=${queues},queue_size=256,${options}`,
  );
  const [first, last] = [capturePort((queue) => `in${queue}`, 'back'), capturePort(() => 'none', 'out')];
  testpmd = new Testpmd(directory, [`net_pcap0,${first}`, ...sockets, `net_pcap1,${last}`], queues);
  // A ring that is full is tried again for as long as it takes.
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
  return testpmd;
}

const framesOf = (name: string): Uint8Array[] => readPcap(readFileSync(fileOf(name))).frames.map(({ bytes }) => bytes);

/** Numbers of the frames that did not come out as they went in. */
function differences(): number[] {
  const [sent, got] = [framesOf('in0'), framesOf('out0')];
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
    expect(framesOf('back0')).toEqual([]);
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

test.for([
  ['split', 'packed_vq=0'],
  ['packed', 'packed_vq=1'],
] as const)(
  'two pairs of %s rings: every frame of each arrives, and a flow keeps to a queue and in order',
  async ([, options], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    const flows = 8;
    const numbersOf = (queue: number): number[] => Array.from(Array(FRAMES).keys()).filter((n) => n % 2 === queue);
    for (const queue of [0, 1]) write(`in${queue}`, numberedCapture(numbersOf(queue), flows));
    const peer = start(options, 2);
    await peer.ask('show port stats 3', new RegExp(`TX-packets: ${FRAMES}\\b`));
    await peer.quit();
    const out = [framesOf('out0'), framesOf('out1')];
    const byNumber = (frames: readonly Uint8Array[]): Uint8Array[] =>
      [...frames].sort((a, b) => numberOf(a) - numberOf(b));
    const [sent, got] = [byNumber([...framesOf('in0'), ...framesOf('in1')]), byNumber(out.flat())];
    expect(got.length).toBe(FRAMES);
    expect(sent.filter((frame, at) => !sameBytes(frame, got[at]!))).toEqual([]);
    for (let flow = 0; flow < flows; flow++) {
      const parts = out.map((frames) => frames.map(numberOf).filter((number) => number % flows === flow));
      expect(parts.filter((numbers) => numbers.length > 0)).toEqual([
        Array.from(Array(FRAMES / flows).keys(), (n) => n * flows + flow),
      ]);
    }
    expect(Math.min(...out.map(({ length }) => length))).toBeGreaterThan(0);
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
