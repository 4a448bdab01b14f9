import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { guestProblem, LinuxGuest, PATIENCE_MS } from './linux-guest.js';
import { moveGuest } from './move-guest.js';
import { Ringwire } from './ringwire.js';
import { fetchFile, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const [MOVER, STAYER] = ['10.0.0.1', '10.0.0.2'];
const [MOVER_MAC, STAYER_MAC] = ['02:00:00:00:01:01', '02:00:00:00:01:02'];
const [HERE, THERE] = ['127.0.0.1:14789', '127.0.0.1:14790'];
const FILE_BYTES = 2 ** 22;

/** QEMU's emulated processor may store into a page while it is copied away, on a busy machine: a guest without any device broke that way too. */
const RETRIES = 2;

const SUITE = `a Linux guest in QEMU that migrates${SKIPPED}`;
describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS, retry: RETRIES }, () => {
  let directory: string;
  let ends: (() => Promise<void>)[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-migration-'));
    ends = [];
  });

  afterEach(async () => {
    for (const end of ends.reverse()) await end();
    rmSync(directory, { recursive: true, force: true });
  });

  const at = (name: string): string => join(directory, name);

  async function serve(sockets: readonly string[], local: string, remote: string): Promise<Ringwire> {
    const served = await Ringwire.serve(sockets, '--hold', '--json', '--uplink', `vxlan:${remote},7,local=${local}`);
    ends.push(() => served.kill());
    return served;
  }

  test.each([
    ['split', 'packed=off'],
    ['packed', 'packed=on'],
  ] as const)(
    'goes on pinging through another back-end process, which is told where its rings were: %s',
    async (rings, properties) => {
      await serve([at('a.sock'), at('b.sock')], HERE, THERE);
      const second = await serve([at('c.sock')], THERE, HERE);
      const image = makeGuestImage(directory);
      const start = (name: string, socket: string, mac: string, incoming?: string): LinuxGuest => {
        const nics = [{ socket: at(socket), mac, properties }];
        const guest = new LinuxGuest({ name, directory, image, nics, ...(incoming && { incoming }) });
        ends.push(() => guest.kill());
        return guest;
      };
      const mover = start('mover', 'a.sock', MOVER_MAC);
      const stayer = start('stayer', 'b.sock', STAYER_MAC);
      for (const [guest, address] of [
        [mover, MOVER],
        [stayer, STAYER],
      ] as const) {
        await guest.booted();
        await guest.run(`ip address add ${address}/24 dev eth0 && ip link set eth0 up && httpd -h /tmp`);
      }
      const digest = await makeFile(mover, FILE_BYTES);
      await mover.run(`ping -i 0.1 -s 1000 ${STAYER} > /tmp/ping &`);
      const moved = start('moved', 'c.sock', MOVER_MAC, at('migration'));
      await moveGuest(mover, at('migration'));
      await mover.kill();
      const before = await answers(moved);
      await moved.run(`until [ $(grep -c seq= /tmp/ping) -ge ${before + PINGS} ]; do usleep 100000; done`);
      expect(await pings(moved, STAYER, 1400)).toBe(PINGS);
      expect(await pings(stayer, MOVER, 1400)).toBe(PINGS);
      expect(await fetchFile(stayer, MOVER)).toBe(digest);
      expect(second.events('running')).toMatchObject([{ socket: at('c.sock'), rings }]);
    },
  );
});

/** Answers that a ping in the background had so far. */
async function answers(guest: LinuxGuest): Promise<number> {
  return Number(await guest.run('grep -c seq= /tmp/ping'));
}
