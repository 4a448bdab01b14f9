import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { guestProblem, PATIENCE_MS } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';
import { Qmp } from './qmp.js';
import { filesBothWays, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const MIB = 2 ** 20;
/** Long enough for what happens in the middle of it. */
const LONG_FILE = 48 * MIB;
const [A, B] = LinuxPair.ADDRESSES;

describe.skipIf(problem !== undefined)(
  `two Linux guests in QEMU that come and go${SKIPPED}`,
  { timeout: PATIENCE_MS },
  () => {
    let directory: string;
    let pair: LinuxPair;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
      pair = await LinuxPair.boot({ directory, image: makeGuestImage(directory), properties: 'packed=off' });
    }, PATIENCE_MS);

    afterAll(async () => {
      await pair?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    /** The second guest begins to fetch a file from the first. @returns the digest of the file */
    async function beginTransfer(): Promise<string> {
      const [from, to] = pair.guests;
      const digest = await makeFile(from, LONG_FILE);
      await to.run(`wget -q -O /tmp/got http://${A}/file &`);
      await to.run('until [ -s /tmp/got ]; do usleep 10000; done');
      return digest;
    }

    test.each([
      ['by itself', async () => pair.guests[0].send('reboot -f')],
      ['as by its reset button', async () => (await Qmp.connect(pair.guests[0].qmp)).command('system_reset')],
    ] as const)('a guest that boots anew under traffic, %s, finds its device as at first', async (_, reboot) => {
      await beginTransfer();
      await reboot();
      await pair.configure(0);
      await pair.guests[1].run('killall wget; rm /tmp/got');
      expect(await pings(pair.guests[1], A, 56)).toBe(PINGS);
      await filesBothWays(pair, 4 * MIB);
      expect(pair.ringwire.said).toBe('2 ports are served\n');
    });

    test.each(['SIGTERM', 'SIGKILL'] as const)(
      'a transfer goes on after the back-end had %s and is there again',
      async (signal) => {
        const digest = await beginTransfer();
        await pair.restart(signal);
        const [, to] = pair.guests;
        expect(await to.run('pidof wget > /dev/null && echo under way')).toBe('under way\n');
        await to.run('while pidof wget > /dev/null; do usleep 10000; done');
        expect((await to.run('sha256sum < /tmp/got && rm /tmp/got')).slice(0, 64)).toBe(digest);
        expect(await pings(pair.guests[0], B, 56)).toBe(PINGS);
      },
    );
  },
);
