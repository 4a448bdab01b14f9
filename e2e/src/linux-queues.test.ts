import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, PATIENCE_MS } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';
import { beginTransfer, endTransfer, fetchFile, LONG_FILE, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const MTU = 9000;
const BYTES = 4 * 2 ** 20;
/** Flows at the same time, so that it would be strange if all of them had the same queue. */
const FLOWS = 8;
const [A, B] = LinuxPair.ADDRESSES;
/** Numbers of feature bits. */
const BIT = { MTU: 3, CTRL_VQ: 17, MQ: 22 } as const;
/** A card whose one register is a stretch of memory, which comes and goes as the guest switches the card's decoder on and off. */
const MEMORY_CARD = [
  ...['-object', 'memory-backend-memfd,id=card,size=1M,share=on'],
  ...['-device', 'ivshmem-plain,memdev=card'],
];

describe.skipIf(problem !== undefined).each([
  ['split', 'packed=off'],
  ['packed', 'packed=on'],
])(
  `two Linux guests in QEMU with two pairs of %s queues and frames of ${MTU} bytes${SKIPPED}`,
  GUEST_SUITE,
  (_, layout) => {
    let directory: string;
    let pair: LinuxPair;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
      pair = await LinuxPair.boot({
        directory,
        image: makeGuestImage(directory),
        properties: `${layout},mq=on,host_mtu=${MTU}`,
        queuePairs: 2,
        serve: ['--mtu', `${MTU}`, '--metrics', '0'],
        more: MEMORY_CARD,
      });
    }, PATIENCE_MS);

    afterAll(async () => {
      await pair?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    const port = (name: string, at: 0 | 1, direction: string): Promise<number> =>
      pair.ringwire.metric(`ringwire_port_${name}_total{socket="${pair.sockets[at]}",direction="${direction}"}`);

    test('their drivers have both pairs, and the MTU that the device told them', async () => {
      for (const guest of pair.guests) {
        const bits = await guest.run('cat /sys/class/net/eth0/device/features');
        expect(Object.values(BIT).filter((bit) => bits[bit] !== '1')).toEqual([]);
        expect(await guest.run('ls -1 /sys/class/net/eth0/queues')).toBe('rx-0\nrx-1\ntx-0\ntx-1\n');
        expect(await guest.run('cat /sys/class/net/eth0/mtu')).toBe(`${MTU}\n`);
      }
      const before = await port('bytes', 0, 'rx');
      // Without its headers. Linux sets "don't fragment" in what fits the MTU of the way: all of it is one frame.
      expect(await pings(pair.guests[0], B, MTU - 28)).toBe(PINGS);
      expect((await port('bytes', 0, 'rx')) - before).toBeGreaterThanOrEqual(PINGS * (MTU + 14));
    });

    test('flows spread over both pairs, and files arrive as they were', async () => {
      const digest = await makeFile(pair.guests[0], BYTES);
      const fetch = `wget -q -O - http://${A}/file | sha256sum`;
      const said = await pair.guests[1].run(`for n in $(seq ${FLOWS}); do { ${fetch}; } & done; wait`);
      expect(said.match(/[0-9a-f]{64}/g)).toEqual(Array(FLOWS).fill(digest));
      expect(await fetchFile(pair.guests[1], A)).toBe(digest);
      for (const socket of pair.sockets)
        for (const ring of [0, 1, 2, 3]) {
          const chains = `ringwire_ring_chains_total{socket="${socket}",ring="${ring}",step="used"}`;
          expect(await pair.ringwire.metric(chains)).toBeGreaterThan(0);
        }
      expect(pair.ringwire.events('disconnected')).toEqual([]);
    });

    test('memory that comes and goes, which QEMU 7.2 tells of once for each pair, is nothing to a transfer', async () => {
      const [from, to] = pair.guests;
      const before = to.complaints;
      const digest = await makeFile(from, LONG_FILE);
      await beginTransfer(to, A);
      const card = '$(dirname $(grep -l 0x1110 /sys/bus/pci/devices/*/device))/config';
      // Bit 1 of the command register, at 4: whether the card answers for its memory.
      const command = (value: number): string =>
        `printf '\\x0${value}' | dd of=${card} bs=1 seek=4 conv=notrunc 2>/dev/null`;
      for (let round = 0; round < 3; round++)
        await to.run(`${command(0)}; usleep 100000; ${command(2)}; usleep 100000`);
      expect(await endTransfer(to)).toBe(digest);
      expect(await pings(from, B, 56)).toBe(PINGS);
      expect(to.complaints).toBe(before);
      expect(pair.ringwire.events('disconnected')).toEqual([]);
    });
  },
);
