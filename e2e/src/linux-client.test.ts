import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, PATIENCE_MS } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';
import { filesBothWays, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const BYTES = 4 * 2 ** 20;
const [A, B] = LinuxPair.ADDRESSES;

const SUITE = `two Linux guests in QEMU, which makes the sockets that ringwire serve connects to${SKIPPED}`;
describe.skipIf(problem !== undefined)(SUITE, GUEST_SUITE, () => {
  let directory: string;
  let pair: LinuxPair;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
    // The back-end is there first: nobody listens yet.
    pair = await LinuxPair.boot({
      directory,
      image: makeGuestImage(directory),
      properties: 'packed=on',
      connects: true,
    });
  }, PATIENCE_MS);

  afterAll(async () => {
    await pair?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('pings come back, and files arrive as they were', async () => {
    expect(await pings(pair.guests[0], B, 56)).toBe(PINGS);
    await filesBothWays(pair, BYTES);
    expect(pair.ringwire.events('connected').map(({ socket }) => socket)).toEqual([...pair.sockets]);
  });

  test('a QEMU that was killed and started again is connected to, and the other guest does not notice', async () => {
    await pair.exchange(0);
    expect(await pings(pair.guests[1], A, 1400)).toBe(PINGS);
    await filesBothWays(pair, BYTES);
    const [first] = pair.sockets;
    expect(pair.ringwire.events('disconnected').map(({ socket }) => socket)).toEqual([first]);
    expect(pair.ringwire.events('connected').map(({ socket }) => socket)).toEqual([...pair.sockets, first]);
  });
});
