import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RX_STAT, TX_STAT } from '@ringwire/virtio-device';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, LinuxGuest, PATIENCE_MS } from './linux-guest.js';
import { ServedPair } from './served-pair.js';
import { fetchFile, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const MTU = 9000;
const BYTES = 4 * 2 ** 20;
/** Flows at the same time, so that it would be strange if all of them had the same queue. */
const FLOWS = 8;
const ADDRESSES = ['10.0.0.1', '10.0.0.2'] as const;
/** Numbers of feature bits. */
const BIT = { MTU: 3, CTRL_VQ: 17, MQ: 22 } as const;

describe.skipIf(problem !== undefined).each([
  ['split', 'packed=off'],
  ['packed', 'packed=on'],
])(
  `two Linux guests in QEMU with two pairs of %s queues and frames of ${MTU} bytes${SKIPPED}`,
  GUEST_SUITE,
  (_, layout) => {
    let directory: string;
    let served: ServedPair;
    let guests: LinuxGuest[] = [];

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
      served = new ServedPair(directory, MTU);
      const image = makeGuestImage(directory);
      guests = served.paths.map((socket, at) => {
        const properties = `${layout},mq=on,host_mtu=${MTU}`;
        const nic = { socket, mac: `02:00:00:00:01:0${at + 1}`, properties, queuePairs: 2 };
        return new LinuxGuest({ name: `guest${at}`, directory, image, nics: [nic], processors: 2 });
      });
      for (const [at, guest] of guests.entries()) {
        await guest.booted();
        await guest.run(`ip address add ${ADDRESSES[at]}/24 dev eth0 && ip link set eth0 up && httpd -h /tmp`);
      }
    }, PATIENCE_MS);

    afterAll(async () => {
      for (const guest of guests) await guest.kill();
      await served?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    test('their drivers have both pairs, and the MTU that the device told them', async () => {
      for (const guest of guests) {
        const bits = await guest.run('cat /sys/class/net/eth0/device/features');
        expect(Object.values(BIT).filter((bit) => bits[bit] !== '1')).toEqual([]);
        expect(await guest.run('ls -1 /sys/class/net/eth0/queues')).toBe('rx-0\nrx-1\ntx-0\ntx-1\n');
        expect(await guest.run('cat /sys/class/net/eth0/mtu')).toBe(`${MTU}\n`);
      }
      // All of it is one frame: without its headers.
      expect(await pings(guests[0]!, ADDRESSES[1], MTU - 28)).toBe(PINGS);
    });

    test('flows spread over both pairs, and files arrive as they were', async () => {
      const digest = await makeFile(guests[0]!, BYTES);
      const fetch = `wget -q -O - http://${ADDRESSES[0]}/file | sha256sum`;
      const said = await guests[1]!.run(`for n in $(seq ${FLOWS}); do { ${fetch}; } & done; wait`);
      expect(said.match(/[0-9a-f]{64}/g)).toEqual(Array(FLOWS).fill(digest));
      expect(await fetchFile(guests[1]!, ADDRESSES[0])).toBe(digest);
      for (const device of served.devices) {
        const frames = [0, 1].map((pair) => [
          device.statistics(2 * pair)!.get(RX_STAT.rx_packets),
          device.statistics(2 * pair + 1)!.get(TX_STAT.tx_packets),
        ]);
        expect(Math.min(...frames.flat())).toBeGreaterThan(0);
      }
      expect(served.ends).toEqual([]);
    });
  },
);
