import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, PATIENCE_MS } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';
import { Qmp } from './qmp.js';
import { beginTransfer, endTransfer, filesBothWays, LONG_FILE, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const MIB = 2 ** 20;
const [A, B] = LinuxPair.ADDRESSES;

const SUITE = `two Linux guests in QEMU that come and go${SKIPPED}`;
describe.skipIf(problem !== undefined)(SUITE, GUEST_SUITE, () => {
  let directory: string;
  let pair: LinuxPair;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
    // QEMU 7.2 says itself that it cannot take up packed rings again whose back-end is gone.
    pair = await LinuxPair.boot({ directory, image: makeGuestImage(directory), properties: 'packed=off' });
  }, PATIENCE_MS);

  afterAll(async () => {
    await pair?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each([
    ['its receiver was stopped and continued', stopAndContinue],
    ['the back-end was ended and is there again', () => pair.restart('SIGTERM')],
    ['the back-end was killed and is there again', () => pair.restart('SIGKILL')],
  ] as const)('a transfer goes on after %s', async (_, interrupt) => {
    const [from, to] = pair.guests;
    const digest = await makeFile(from, LONG_FILE);
    await beginTransfer(to, A);
    await interrupt();
    expect(await endTransfer(to)).toBe(digest);
    expect(await pings(from, B, 56)).toBe(PINGS);
  });

  async function stopAndContinue(): Promise<void> {
    const qmp = await Qmp.connect(pair.guests[1].qmp);
    await qmp.command('stop');
    await qmp.command('cont');
  }

  test.each([
    ['by itself', async () => pair.guests[0].send('reboot -f')],
    ['as by its reset button', async () => (await Qmp.connect(pair.guests[0].qmp)).command('system_reset')],
  ] as const)('a guest that boots anew under traffic, %s, finds its device as at first', async (_, reboot) => {
    const [from, to] = pair.guests;
    await makeFile(from, LONG_FILE);
    await beginTransfer(to, A);
    const before = pair.ringwire.said;
    await reboot();
    await pair.configure(0);
    await to.run('killall wget');
    await endTransfer(to);
    expect(await pings(to, A, 56)).toBe(PINGS);
    await filesBothWays(pair, 4 * MIB);
    expect(pair.ringwire.said.slice(before.length)).not.toContain('the connection ended');
  });
});
