import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPcap } from '@ringwire/net-backend';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture } from './capture.js';
import { Ringwire } from './ringwire.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

const FRAMES = 20_000;
const problem = testpmdProblem(2);
const SKIPPED = `skipped, because ${problem}`;
const SIDES = ['a', 'b'] as const;

let directory: string;
let ringwire: Ringwire | undefined;
let testpmds: Testpmd[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-two-'));
  testpmds = [];
  for (const side of SIDES) {
    mkdirSync(join(directory, side));
    writeFileSync(join(directory, side, 'in.pcap'), numberedCapture(Array(FRAMES).keys()));
  }
});

afterEach(async () => {
  for (const testpmd of testpmds) await testpmd.kill();
  await ringwire?.kill();
  ringwire = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** A process of its own: port 0 is a pair of captures, port 1 the socket, and it forwards between them. */
function start(side: string, options: string): Testpmd {
  const place = join(directory, side);
  const testpmd = new Testpmd(
    place,
    [
      `net_pcap0,rx_pcap=${join(place, 'in.pcap')},tx_pcap=${join(place, 'out.pcap')}`,
      `net_virtio_user0,path=${join(directory, `${side}.sock`)},queues=1,queue_size=256,${options}`,
    ],
    1,
  );
  testpmds.push(testpmd);
  // A ring that is full is tried again for as long as it takes.
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000']) testpmd.command(line);
  return testpmd;
}

const framesOf = (side: string, name: string): Uint8Array[] =>
  readPcap(readFileSync(join(directory, side, `${name}.pcap`))).frames.map(({ bytes }) => bytes);

/** Numbers of the frames that did not come to a side as they went in at the other. */
function differences(to: string, from: string): number[] {
  const [sent, got] = [framesOf(from, 'in'), framesOf(to, 'out')];
  const numbers = Array.from({ length: Math.max(sent.length, got.length) }, (_, number) => number);
  const nothing = new Uint8Array(0);
  return numbers.filter((at) => Buffer.compare(sent[at] ?? nothing, got[at] ?? nothing) !== 0);
}

test.for([
  ['split', 'packed_vq=0'],
  ['packed', 'packed_vq=1'],
  ['split on both sides, in order', 'packed_vq=0,in_order=1'],
] as const)(
  'two processes of stock DPDK send to each other through ringwire serve, and nothing is lost, changed or out of order: %s',
  async ([, options], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    ringwire = await Ringwire.serve(
      SIDES.map((side) => join(directory, `${side}.sock`)),
      '--hold',
      '--memory',
      '1024',
    );
    const both = SIDES.map((side) => start(side, options));
    // A frame for a driver that is not there yet would be lost.
    for (const testpmd of both) await testpmd.ask('show port stats 1', /RX-packets/);
    for (const testpmd of both) testpmd.command('start');
    for (const testpmd of both) await testpmd.ask('show port stats 0', new RegExp(`TX-packets: ${FRAMES}\\b`));
    for (const testpmd of both) await testpmd.quit();
    expect([differences('b', 'a'), differences('a', 'b')]).toEqual([[], []]);
  },
);
