import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { readPcap } from '@ringwire/net-backend';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numberedCapture } from './capture.js';
import { type FrontEndGuest, openGuest } from './front-end-guest.js';
import { Testpmd, testpmdProblem } from './testpmd.js';

/** Many times round a ring of 256. */
const FRAMES = 6000;
const problem = testpmdProblem();
const SKIPPED = `skipped, because ${problem}`;
const PLAIN = [VIRTIO_F.VERSION_1, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS];
const MORE = [...PLAIN, VIRTIO_NET_F.MRG_RXBUF, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX];

let directory: string;
let testpmd: Testpmd | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-front-'));
});

afterEach(async () => {
  await testpmd?.kill();
  testpmd = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** Two of DPDK's vhost devices, whose frames it forwards from each to the other. */
async function start(): Promise<[one: string, other: string]> {
  const paths = ['a', 'b'].map((name) => join(directory, `${name}.sock`)) as [string, string];
  testpmd = new Testpmd(
    directory,
    paths.map((path, index) => `net_vhost${index},iface=${path},queues=1`),
  );
  for (const line of ['set fwd io retry', 'set burst tx delay 100 retry 100000', 'start']) testpmd.command(line);
  await testpmd.ask('show port stats 1', /TX-packets/);
  return paths;
}

/** Numbers of the frames that did not come as they were sent. */
function differences(sent: readonly Uint8Array[], { heard }: FrontEndGuest): number[] {
  const numbers = Array.from({ length: Math.max(sent.length, heard.length) }, (_, number) => number);
  return numbers.filter((at) => Buffer.compare(sent[at] ?? new Uint8Array(0), heard[at] ?? new Uint8Array(0)) !== 0);
}

test.for([
  ['poll-mode', 'split', PLAIN],
  ['poll-mode', 'packed', [...PLAIN, VIRTIO_F.RING_PACKED]],
  ['poll-mode', 'split, with all that rings can', MORE],
  ['interrupt-driven', 'split', MORE],
  ['interrupt-driven', 'packed', [...MORE, VIRTIO_F.RING_PACKED]],
] as const)(
  "our drivers send through DPDK's vhost devices to each other and lose, change and reorder nothing: %s, %s",
  async ([kind, , bits], { skip }) => {
    if (problem !== undefined) return skip(SKIPPED);
    const paths = await start();
    const frames = readPcap(numberedCapture(FRAMES)).frames.map(({ bytes }) => bytes);
    const guests = paths.map((path, n) => openGuest(kind, path, featureWords(bits), Uint8Array.of(2, 0, 0, 0, 0, n)));
    const [one, other] = guests as [FrontEndGuest, FrontEndGuest];
    const sent = [0, 0];
    while (guests.some(({ heard }) => heard.length < FRAMES)) {
      for (const [n, guest] of guests.entries()) {
        sent[n]! += guest.send(frames, sent[n]!);
        guest.turn();
      }
      await turn();
    }
    expect([differences(frames, one), differences(frames, other)]).toEqual([[], []]);
    expect(guests.map((guest) => guest.close())).toEqual([undefined, undefined]);
    const said = await testpmd!.quit();
    expect(said).toMatch(new RegExp(`RX-packets: ${2 * FRAMES} +RX-dropped: 0 +RX-total: ${2 * FRAMES}`));
  },
);
