import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { readPcap } from '@ringwire/net-backend';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture } from './capture.js';
import { type FrontEndGuest, type GuestKind, openGuest } from './front-end-guest.js';
import { Ringwire } from './ringwire.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

/** Many times round a ring of 256. */
const FRAMES = 6000;
/** Between two looks for sockets. */
const LOOK_MS = 50;
/** Nothing more comes after so long without a frame. */
const QUIET_MS = 3000;
const problem = testpmdProblem();
const SKIPPED = `skipped, because ${problem}`;
const PLAIN = [VIRTIO_F.VERSION_1, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS];
const MORE = [...PLAIN, VIRTIO_NET_F.MRG_RXBUF, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX];

/**
 * What may be lost with a killed back-end: two bursts of 64 that it had taken and not yet given, and a ring of 256 that its
 * successor takes from one side before the other one is there.
 */
const LOST_MAX = 2 * 64 + 256;

let directory: string;
let paths: readonly [one: string, other: string];
let testpmd: Testpmd | undefined;
let ringwire: Ringwire | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-front-'));
  paths = [join(directory, 'a.sock'), join(directory, 'b.sock')];
});

afterEach(async () => {
  await testpmd?.kill();
  await ringwire?.kill();
  testpmd = undefined;
  ringwire = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** Two of DPDK's vhost devices, whose frames it forwards from each to the other, pair by pair of queues. */
async function startDpdk(queues = 1): Promise<void> {
  // DPDK takes no path that is there already.
  for (const path of paths) rmSync(path, { force: true });
  testpmd = new Testpmd(
    directory,
    paths.map((path, index) => `net_vhost${index},iface=${path},queues=${queues}`),
    queues,
  );
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
  // It is not asked: what it would print meanwhile nobody reads while this thread waits for its answers, and then it waits too.
  while (!paths.every((path) => existsSync(path))) await sleep(LOOK_MS);
}

async function startRingwire(): Promise<void> {
  for (const path of paths) rmSync(path, { force: true });
  ringwire = await Ringwire.serve(paths, '--hold', '--memory', '256');
}

const frames = readPcap(numberedCapture(Array(FRAMES).keys())).frames.map(({ bytes }) => bytes);

function openBoth(kind: GuestKind, bits: readonly number[], pairs = 1): FrontEndGuest[] {
  return paths.map((path, n) => openGuest(kind, path, featureWords(bits), Uint8Array.of(2, 0, 0, 0, 0, n), pairs));
}

/** Send all frames from both sides at once, and go on until `done`, which is asked after each turn. */
async function exchange(guests: readonly FrontEndGuest[], done: () => boolean): Promise<void> {
  do {
    for (const guest of guests) {
      guest.sent += guest.send(frames, guest.sent);
      guest.turn();
    }
    await turn();
  } while (!done());
}

/** Numbers of the frames that did not come as they were sent. */
function differences(heard: readonly Uint8Array[], sent: readonly Uint8Array[] = frames): number[] {
  const nothing = new Uint8Array(0);
  const numbers = Array.from({ length: Math.max(sent.length, heard.length) }, (_, number) => number);
  return numbers.filter((at) => Buffer.compare(sent[at] ?? nothing, heard[at] ?? nothing) !== 0);
}

const KINDS = [
  ['poll-mode', 'split', PLAIN],
  ['poll-mode', 'packed', [...PLAIN, VIRTIO_F.RING_PACKED]],
  ['poll-mode', 'split, with all that rings can', MORE],
  ['interrupt-driven', 'split', MORE],
  ['interrupt-driven', 'packed', [...MORE, VIRTIO_F.RING_PACKED]],
] as const;

test.for(KINDS)(
  "our drivers send through DPDK's vhost devices to each other and lose, change and reorder nothing: %s, %s",
  async ([kind, , bits], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    await startDpdk();
    const guests = openBoth(kind, bits);
    await exchange(guests, () => guests.every(({ heard }) => heard.length >= FRAMES));
    expect(guests.map(({ heard }) => differences(heard))).toEqual([[], []]);
    expect(guests.map((guest) => guest.close())).toEqual([undefined, undefined]);
    const said = await testpmd!.quit();
    expect(said).toMatch(new RegExp(`RX-packets: ${2 * FRAMES} +RX-dropped: 0 +RX-total: ${2 * FRAMES}`));
  },
);

test.for(KINDS)('they do so through ringwire serve: %s, %s', async ([kind, , bits]) => {
  await startRingwire();
  const guests = openBoth(kind, bits);
  await exchange(guests, () => guests.every(({ heard }) => heard.length >= FRAMES));
  expect(guests.map(({ heard }) => differences(heard))).toEqual([[], []]);
  expect(guests.map((guest) => guest.close())).toEqual([undefined, undefined]);
});

const MULTI = [...PLAIN, VIRTIO_NET_F.MQ, VIRTIO_NET_F.CTRL_VQ];

test.for([
  ['split', MULTI],
  ['packed', [...MULTI, VIRTIO_F.RING_PACKED]],
] as const)(
  "virtio 1.4 §5.1.9.5.6.1: with two pairs of %s queues DPDK's vhost devices send on each pair what came on it, in order",
  async ([, bits], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    const pairs = 2;
    await startDpdk(pairs);
    const guests = openBoth('poll-mode', bits, pairs);
    const ofPair = Array.from({ length: pairs }, (_, pair) =>
      frames.filter((_frame, number) => number % pairs === pair),
    );
    const sent = guests.map(() => ofPair.map(() => 0));
    do {
      for (const [at, guest] of guests.entries()) {
        for (const [pair, its] of ofPair.entries()) sent[at]![pair]! += guest.send(its, sent[at]![pair]!, pair);
        guest.turn();
      }
      await turn();
    } while (!guests.every(({ heard }) => heard.length >= FRAMES));
    for (const { heard, heardOn } of guests) {
      const got = ofPair.map((_, pair) => heard.filter((_frame, at) => heardOn[at] === pair));
      expect(got.map((its, pair) => differences(its, ofPair[pair]))).toEqual([[], []]);
    }
    expect(guests.map((guest) => guest.close())).toEqual([undefined, undefined]);
    await testpmd!.quit();
  },
);

/** Each frame that came is one that was sent, whole, behind all that came before. @returns how many did not come */
function missing({ heard }: FrontEndGuest): number {
  let next = 0;
  for (const bytes of heard) {
    const number = frames.findIndex((frame, at) => at >= next && Buffer.compare(frame, bytes) === 0);
    expect(number).toBeGreaterThanOrEqual(next);
    next = number + 1;
  }
  return FRAMES - heard.length;
}

// DPDK marks most of a packed ring used before it shows the first of them, and keeps no record: nobody can go on from there.
test.for([
  ['DPDK', 'split', startDpdk, PLAIN],
  ['ringwire serve', 'split', startRingwire, PLAIN],
  ['ringwire serve', 'packed', startRingwire, [...PLAIN, VIRTIO_F.RING_PACKED]],
] as const)(
  'VU-27, VU-28: %s is killed under traffic; its successor goes on with the %s rings where it was, nothing comes twice, and little is lost',
  async ([name, , start, bits], { skip }) => {
    if (name === 'DPDK' && problem !== undefined) return skip(SKIPPED);
    await start();
    const guests = openBoth('poll-mode', bits);
    await exchange(guests, () => guests.every(({ heard }) => heard.length >= FRAMES / 4));
    await testpmd?.kill();
    await ringwire?.kill('SIGKILL');
    // Meanwhile frames wait in the rings, and the link is down.
    let turns = 0;
    await exchange(guests, () => ++turns > 50);
    expect(guests.map(({ transport }) => transport.isConnected)).toEqual([false, false]);
    await start();
    let before = -1;
    let quietSince = performance.now();
    await exchange(guests, () => {
      const heard = guests.reduce((sum, guest) => sum + guest.heard.length, 0);
      if (heard !== before) quietSince = performance.now();
      before = heard;
      return guests.every(({ sent }) => sent === FRAMES) && performance.now() - quietSince > QUIET_MS;
    });
    for (const guest of guests) expect(missing(guest)).toBeLessThanOrEqual(LOST_MAX);
    expect(guests.map(({ transport }) => transport.isConnected)).toEqual([true, true]);
    expect(guests.map((guest) => guest.close())).toEqual([undefined, undefined]);
  },
);
