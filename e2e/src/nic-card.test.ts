import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPcap } from '@ringwire/net-backend';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture, numberOf } from './capture.js';
import { Ringwire } from './ringwire.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

const FRAMES = 3000;
const problem = testpmdProblem();
const SKIPPED = `skipped, because ${problem}`;
const SLOW_FRAMES = 1000;
/** Mbit/s: these frames take some seconds. */
const RATE = 2;
/** Preamble, check sequence and gap. */
const WIRE_OVERHEAD = 24;

let directory: string;
let ringwire: Ringwire | undefined;
let testpmd: Testpmd | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-card-'));
});

afterEach(async () => {
  await testpmd?.kill();
  await ringwire?.kill();
  testpmd = undefined;
  ringwire = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const at = (name: string): string => join(directory, name);
const framesOf = (name: string) => readPcap(readFileSync(at(name))).frames;

/** A card with two virtual functions, and a DPDK that sends a capture into the first one and writes what the second gets. */
async function start(
  capture: Uint8Array,
  first: string,
  rings: string,
  more: readonly string[] = [],
): Promise<Ringwire> {
  writeFileSync(at('in.pcap'), capture);
  writeFileSync(at('none.pcap'), numberedCapture([]));
  writeFileSync(
    at('card.yaml'),
    [
      'memory: 1024',
      'vfs:',
      `  - { socket: ${at('a.sock')}, mac: 02:00:00:00:00:aa, hold: true, ${first} }`,
      `  - { socket: ${at('b.sock')}, mac: 02:00:00:00:00:bb, hold: true }`,
    ].join('\n'),
  );
  const served = await Ringwire.serveCard(at('card.yaml'), '--control', at('card.sock'), ...more);
  ringwire = served;
  const sockets = ['a', 'b'].map(
    (name, index) => `net_virtio_user${index},path=${at(`${name}.sock`)},queues=1,queue_size=256,${rings}`,
  );
  const captures = [
    `rx_pcap=${at('in.pcap')},tx_pcap=${at('back.pcap')}`,
    `rx_pcap=${at('none.pcap')},tx_pcap=${at('out.pcap')}`,
  ];
  testpmd = new Testpmd(directory, [`net_pcap0,${captures[0]}`, ...sockets, `net_pcap1,${captures[1]}`], 1);
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
  return served;
}

interface Vf {
  readonly stats: { readonly tx: { readonly tx_packets: number; readonly tx_bytes: number; readonly dropped: number } };
  readonly drops: Readonly<Record<string, number>>;
}

/** The first function, as `ringwire nic show` has it. */
async function firstVf(): Promise<Vf> {
  const [{ vfinfo_list: vfs }] = JSON.parse(await Ringwire.command('nic', 'show', at('card.sock'), '--json'));
  return vfs[0];
}

test.for([
  ['split', 'packed_vq=0'],
  ['packed', 'packed_vq=1'],
] as const)(
  'SR-11: stock DPDK sends from one virtual function to another, and what has another source address stays there: %s',
  async ([, rings], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    const isSpoofed = (number: number): boolean => number % 3 === 0;
    const numbers = Array.from(Array(FRAMES).keys());
    const capture = numberedCapture(numbers, 0, (number) => (isSpoofed(number) ? 0xcc : 0xaa));
    await start(capture, 'spoofchk: true', rings);
    await testpmd!.ask('show port stats 3', new RegExp(`TX-packets: ${(FRAMES / 3) * 2}\\b`));
    const { stats, drops } = await firstVf();
    expect([stats.tx.tx_packets, drops]).toEqual([(FRAMES / 3) * 2, { MAC_SPOOF: FRAMES / 3 }]);
    await testpmd!.quit();
    expect(framesOf('out.pcap').map(({ bytes }) => numberOf(bytes))).toEqual(numbers.filter((n) => !isSpoofed(n)));
  },
);

test('a virtual function sends no faster than its rate, and nothing of what stock DPDK sends is lost', async ({
  skip,
}) => {
  if (problem !== undefined) return skip(SKIPPED);
  const numbers = Array.from(Array(SLOW_FRAMES).keys());
  await start(numberedCapture(numbers), `maxTxRate: ${RATE}`, 'packed_vq=0');
  const looks: { readonly before: number; readonly after: number; readonly bits: number }[] = [];
  for (let frames = 0; frames < SLOW_FRAMES; ) {
    const before = performance.now();
    const { tx_packets: packets, tx_bytes: bytes } = (await firstVf()).stats.tx;
    frames = packets;
    if (frames > 0) looks.push({ before, after: performance.now(), bits: (bytes + packets * WIRE_OVERHEAD) * 8 });
    testpmd!.checkRunning();
  }
  await testpmd!.ask('show port stats 3', new RegExp(`TX-packets: ${SLOW_FRAMES}\\b`));
  await testpmd!.quit();
  expect(framesOf('out.pcap').map(({ bytes }) => numberOf(bytes))).toEqual(numbers);
  // Without a limit all would be there at the first look.
  expect(looks.length).toBeGreaterThan(2);
  const [first, last] = [looks[0]!, looks.at(-1)!];
  const seconds = (last.after - first.before) / 1000;
  expect((last.bits - first.bits) / seconds / 1e6).toBeLessThan(RATE * 1.01);
});
