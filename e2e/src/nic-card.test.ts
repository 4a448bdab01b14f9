import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPcap } from '@ringwire/net-backend';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture, numberOf } from './capture.js';
import { Ringwire } from './ringwire.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

const TSHARK = 'tshark';
const FRAMES = 3000;
const problem = testpmdProblem() ?? tsharkProblem();
const SKIPPED = `skipped, because ${problem}`;
const SLOW_FRAMES = 1000;
/** Mbit/s: these frames take some seconds. */
const RATE = 2;
/** Mbit/s. */
const WIRE_SPEED = 100;
/** Preamble, check sequence and gap. */
const WIRE_OVERHEAD = 24;

function tsharkProblem(): string | undefined {
  return spawnSync(TSHARK, ['-v']).error === undefined ? undefined : 'tshark is not installed';
}

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

/**
 * A card with two virtual functions, and a DPDK that sends a capture into each of them and writes what the other one gets.
 * @param more options of `ringwire serve`, @param lines of the card's file
 */
async function start(
  capture: Uint8Array,
  backwards: Uint8Array,
  first: string,
  rings: string,
  more: readonly string[] = [],
  lines: readonly string[] = [],
): Promise<Ringwire> {
  writeFileSync(at('in.pcap'), capture);
  writeFileSync(at('in-back.pcap'), backwards);
  writeFileSync(
    at('card.yaml'),
    [
      'memory: 1024',
      'vfs:',
      `  - { socket: ${at('a.sock')}, mac: 02:00:00:00:00:aa, hold: true, ${first} }`,
      `  - { socket: ${at('b.sock')}, mac: 02:00:00:00:00:bb, hold: true }`,
      ...lines,
    ].join('\n'),
  );
  const served = await Ringwire.serveCard(at('card.yaml'), '--control', at('card.sock'), ...more);
  ringwire = served;
  const sockets = ['a', 'b'].map(
    (name, index) => `net_virtio_user${index},path=${at(`${name}.sock`)},queues=1,queue_size=256,${rings}`,
  );
  const captures = [
    `rx_pcap=${at('in.pcap')},tx_pcap=${at('back.pcap')}`,
    `rx_pcap=${at('in-back.pcap')},tx_pcap=${at('out.pcap')}`,
  ];
  testpmd = new Testpmd(directory, [`net_pcap0,${captures[0]}`, ...sockets, `net_pcap1,${captures[1]}`], 1);
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
  return served;
}

interface Vf {
  readonly stats: {
    readonly rx: { readonly packets: number; readonly dropped: number };
    readonly tx: { readonly tx_packets: number; readonly tx_bytes: number; readonly dropped: number };
  };
  readonly drops: Readonly<Record<string, number>>;
}

/** As `ringwire nic show` has them. */
async function functions(): Promise<Vf[]> {
  const [{ vfinfo_list: vfs }] = JSON.parse(await Ringwire.command('nic', 'show', at('card.sock'), '--json'));
  return vfs;
}

/** Port, reason and source of the frames that were dropped, as tshark reads them, each with how often. */
function droppedRows(): [frames: number, row: string][] {
  const fields = ['frame.interface_name', 'frame.comment', 'eth.src'].flatMap((field) => ['-e', field]);
  const text = execFileSync(TSHARK, ['-r', at('drops.pcapng'), '-T', 'fields', ...fields], {
    encoding: 'utf8',
    maxBuffer: 0x100_0000,
  });
  const counts = new Map<string, number>();
  for (const row of text.trimEnd().split('\n')) counts.set(row, (counts.get(row) ?? 0) + 1);
  return Array.from(counts, ([row, frames]): [number, string] => [frames, row]).sort(([, a], [, b]) =>
    a < b ? -1 : 1,
  );
}

test.for([
  ['split', 'packed_vq=0'],
  ['packed', 'packed_vq=1'],
] as const)(
  'SR-11: stock DPDK exchanges frames between two virtual functions, and what has another source address stays where it is: %s',
  async ([, rings], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    const isSpoofed = (number: number): boolean => number % 3 === 0;
    const numbers = Array.from(Array(FRAMES).keys());
    const honest = numbers.filter((number) => !isSpoofed(number));
    const capture = numberedCapture(numbers, 0, (number) => (isSpoofed(number) ? 0xcc : 0xaa));
    // The second one's are for the first one, and half of those from its address.
    const backwards = numberedCapture(numbers, 0, (number) => (number % 2 === 0 ? 0xaa : 0xbb), 0xaa);
    await start(capture, backwards, 'spoofchk: true', rings, ['--drops', at('drops.pcapng')]);
    await testpmd!.ask('show port stats 3', new RegExp(`TX-packets: ${honest.length}\\b`));
    await testpmd!.ask('show port stats 0', new RegExp(`TX-packets: ${FRAMES / 2}\\b`));
    const [one, other] = await functions();
    expect([one!.stats.tx.tx_packets, one!.drops]).toEqual([honest.length, { MAC_SPOOF: FRAMES / 3 }]);
    expect([other!.stats.tx.tx_packets, other!.drops]).toEqual([FRAMES / 2, { MAC_SPOOF: FRAMES / 2 }]);
    await testpmd!.quit();
    expect(framesOf('out.pcap').map(({ bytes }) => numberOf(bytes))).toEqual(honest);
    expect(framesOf('back.pcap').map(({ bytes }) => numberOf(bytes))).toEqual(numbers.filter((n) => n % 2 === 1));
    await ringwire!.kill();
    expect(droppedRows()).toEqual([
      [FRAMES / 3, "vf0\tdropped, MAC_SPOOF: from an address that is not its sender's\t02:00:00:00:00:cc"],
      [FRAMES / 2, "vf1\tdropped, MAC_SPOOF: from an address that is not its sender's\t02:00:00:00:00:aa"],
    ]);
  },
);

test('a virtual function sends no faster than its rate, and nothing of what stock DPDK sends is lost', async ({
  skip,
}) => {
  if (problem !== undefined) return skip(SKIPPED);
  const numbers = Array.from(Array(SLOW_FRAMES).keys());
  await start(numberedCapture(numbers), numberedCapture([]), `maxTxRate: ${RATE}`, 'packed_vq=0');
  const looks: { readonly before: number; readonly after: number; readonly bits: number }[] = [];
  for (let frames = 0; frames < SLOW_FRAMES; ) {
    const before = performance.now();
    const { tx_packets: packets, tx_bytes: bytes } = (await functions())[0]!.stats.tx;
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

test('F44: what stock DPDK sends leaves by the wire at its speed, and what comes by it reaches DPDK or is counted', async ({
  skip,
}) => {
  if (problem !== undefined) return skip(SKIPPED);
  const numbers = Array.from(Array(SLOW_FRAMES).keys());
  // To a station outside; from one to the second function.
  writeFileSync(
    at('outside.pcap'),
    numberedCapture(numbers, 0, () => 0xdd),
  );
  const wire = `wire: { speed: ${WIRE_SPEED}, cable: 100, capture: ${at('wire.pcapng')} }`;
  const uplink = ['--uplink', `pcap:${at('sent.pcap')},play=${at('outside.pcap')}`];
  await start(
    numberedCapture(numbers, 0, () => 0xaa, 0xdd),
    numberedCapture([]),
    'spoofchk: true',
    'packed_vq=0',
    uplink,
    [wire],
  );
  const shown = async () => JSON.parse(await Ringwire.command('nic', 'wire', 'show', at('card.sock'), '--json'))[0];
  // Who comes by the wire waits for no receiver: DPDK may be too late for some of them.
  const received = async (): Promise<number> => {
    const { rx } = (await functions())[1]!.stats;
    return rx.packets + rx.dropped;
  };
  while ((await shown()).stats.tx.packets < SLOW_FRAMES || (await received()) < SLOW_FRAMES) testpmd!.checkRunning();
  expect((await shown()).drops).toEqual({});
  const { packets } = (await functions())[1]!.stats.rx;
  await testpmd!.ask('show port stats 3', new RegExp(`TX-packets: ${packets}\\b`));
  await testpmd!.quit();
  await ringwire!.kill();
  expect(framesOf('sent.pcap').map(({ bytes }) => numberOf(bytes))).toEqual(numbers);
  const got = framesOf('out.pcap').map(({ bytes }) => numberOf(bytes));
  expect(got).toEqual(numbers.filter((number) => got.includes(number)));
  expect(got).toHaveLength(packets);
  // Of either direction: each frame ends its own time behind the one before it, or later. In ns.
  const fields = ['frame.packet_flags_direction', 'frame.time_epoch', 'frame.len'].flatMap((field) => ['-e', field]);
  const rows = execFileSync(TSHARK, ['-r', at('wire.pcapng'), '-T', 'fields', ...fields], { encoding: 'utf8' });
  for (const direction of ['0x00000001', '0x00000002']) {
    const passed = rows.split('\n').filter((row) => row.startsWith(direction));
    expect(passed).toHaveLength(SLOW_FRAMES);
    let before = Number.NEGATIVE_INFINITY;
    for (const row of passed) {
      const [, seconds, length] = row.split('\t') as [string, string, string];
      const [whole, part] = seconds.split('.') as [string, string];
      // Seconds of an hour: a number of ns that is exact.
      const now = (Number(whole) % 3600) * 1e9 + Number(part);
      const own = ((Number(length) + WIRE_OVERHEAD) * 8000) / WIRE_SPEED;
      // Both ends are in whole ns.
      if (now > before) expect(now - before).toBeGreaterThanOrEqual(own - 1);
      before = now;
    }
  }
});
