import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GuestImage, makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, PATIENCE_MS } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';
import { filesBothWays, framesReceived, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const MIB = 2 ** 20;
const BYTES = 16 * MIB;
/** Most bytes of TCP in a frame of 1514 bytes. */
const SEGMENT = 1460;
/** Numbers of feature bits. */
const BIT = { CSUM: 0, GUEST_CSUM: 1, GUEST_TSO4: 7, HOST_TSO4: 11, MRG_RXBUF: 15, EVENT_IDX: 29, PACKED: 34 } as const;
const OFFLOADS = [BIT.CSUM, BIT.GUEST_CSUM, BIT.GUEST_TSO4, BIT.HOST_TSO4] as const;

const off = (...names: string[]): string => names.map((name) => `${name}=off`).join(',');
const NO_OFFLOADS = off(
  ...['csum', 'guest_csum', 'gso', 'host_tso4', 'host_tso6', 'host_ecn', 'host_ufo'],
  ...['guest_tso4', 'guest_tso6', 'guest_ecn', 'guest_ufo'],
);

interface FeatureSet {
  readonly name: string;
  /** Properties of the guests' devices. */
  readonly properties: string;
  /** Bits that are negotiated then, and bits that are not. */
  readonly on: readonly number[];
  readonly without: readonly number[];
}

const SETS: readonly FeatureSet[] = [
  {
    name: 'split rings',
    properties: 'packed=off',
    on: [...OFFLOADS, BIT.MRG_RXBUF, BIT.EVENT_IDX],
    without: [BIT.PACKED],
  },
  {
    name: 'packed rings',
    properties: 'packed=on',
    on: [...OFFLOADS, BIT.MRG_RXBUF, BIT.EVENT_IDX, BIT.PACKED],
    without: [],
  },
  {
    name: 'split rings, without event indexes or offloads',
    properties: `event_idx=off,${NO_OFFLOADS}`,
    on: [BIT.MRG_RXBUF],
    without: [...OFFLOADS, BIT.EVENT_IDX, BIT.PACKED],
  },
  {
    name: 'packed rings, without event indexes or mergeable buffers',
    properties: 'packed=on,event_idx=off,mrg_rxbuf=off',
    on: [...OFFLOADS, BIT.PACKED],
    without: [BIT.EVENT_IDX, BIT.MRG_RXBUF],
  },
];

describe.skipIf(problem !== undefined).each(SETS)(
  `two Linux guests in QEMU, $name${SKIPPED}`,
  GUEST_SUITE,
  ({ properties, on, without }) => {
    let directory: string;
    let image: GuestImage;
    let pair: LinuxPair;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
      image = makeGuestImage(directory);
      pair = await LinuxPair.boot({ directory, image, properties });
    }, PATIENCE_MS);

    afterAll(async () => {
      await pair?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    test('their drivers negotiated the features that the test is of', async () => {
      for (const guest of pair.guests) {
        const bits = await guest.run('cat /sys/class/net/eth0/device/features');
        expect(on.filter((bit) => bits[bit] !== '1')).toEqual([]);
        expect(without.filter((bit) => bits[bit] !== '0')).toEqual([]);
      }
    });

    test('pings come back, in one frame and in fragments', async () => {
      for (const size of [56, 8000]) {
        expect(await pings(pair.guests[0], LinuxPair.ADDRESSES[1], size)).toBe(PINGS);
        expect(await pings(pair.guests[1], LinuxPair.ADDRESSES[0], size)).toBe(PINGS);
      }
    });

    test('files go both ways at once and arrive as they were, in large frames where those were negotiated', async () => {
      const before = await Promise.all(pair.guests.map(framesReceived));
      await filesBothWays(pair, BYTES);
      const after = await Promise.all(pair.guests.map(framesReceived));
      for (const at of [0, 1]) {
        // Each guest gets a file, and acknowledgements of the one that it sends.
        const frames = after[at]! - before[at]!;
        if (on.includes(BIT.GUEST_TSO4)) expect(frames).toBeLessThan(BYTES / SEGMENT);
        else expect(frames).toBeGreaterThanOrEqual(BYTES / SEGMENT);
      }
    });
  },
);
