import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GuestImage, makeGuestImage } from './guest-image.js';
import { guestProblem, LinuxGuest, PATIENCE_MS } from './linux-guest.js';
import { moveGuest } from './move-guest.js';
import { Ringwire } from './ringwire.js';
import { beginTransfer, endTransfer, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const [MOVER, STAYER] = ['10.0.0.1', '10.0.0.2'];
const [MOVER_MAC, STAYER_MAC] = ['02:00:00:00:01:01', '02:00:00:00:01:02'];
/** Of tunnels between the neighbour's switch and each card's wire: the neighbour's end, and the card's. */
const [FROM_HERE, HERE] = ['127.0.0.1:14793', '127.0.0.1:14794'];
const [FROM_THERE, THERE] = ['127.0.0.1:14795', '127.0.0.1:14796'];
const FILE_BYTES = 2 ** 23;

/** As in the migration between devices of one kind: QEMU's emulated processor may store into a page while it is copied away. */
const RETRIES = 2;

const SUITE = `a Linux guest in QEMU on a virtual function of a vendor’s card${SKIPPED}`;
describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS, retry: RETRIES }, () => {
  let directory: string;
  let image: GuestImage;
  let ends: (() => Promise<void>)[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-vendors-'));
    image = makeGuestImage(directory);
    ends = [];
  });

  afterEach(async () => {
    for (const end of ends.reverse()) await end();
    rmSync(directory, { recursive: true, force: true });
  });

  const at = (name: string): string => join(directory, name);

  const tunnel = (local: string, remote: string): string[] => ['--uplink', `vxlan:${remote},7,local=${local}`];

  /** A card in a process of its own, with one function on a card of a vendor's. */
  async function serveCard(vendor: string, socket: string, local: string, remote: string): Promise<Ringwire> {
    const file = at(`${vendor}.yaml`);
    const vf = `  - { socket: ${at(socket)}, mac: "${MOVER_MAC}", vendor: ${vendor}, hold: true }`;
    writeFileSync(file, ['memory: 1024', 'vfs:', vf].join('\n'));
    const served = await Ringwire.serveCard(file, '--json', ...tunnel(local, remote));
    ends.push(() => served.kill());
    return served;
  }

  function start(name: string, socket: string, mac: string, properties: string, incoming?: string): LinuxGuest {
    const nics = [{ socket: at(socket), mac, properties }];
    const guest = new LinuxGuest({ name, directory, image, nics, ...(incoming && { incoming }) });
    ends.push(() => guest.kill());
    return guest;
  }

  test.each([
    ['82599', 'vendor-b', 'packed', 'packed=on'],
    ['vendor-b', '82599', 'split', 'packed=off'],
  ] as const)(
    'migrates from %s to %s, each in a process of its own, while it sends a file: the same bytes arrive, %s',
    async (first, second, rings, properties) => {
      await serveCard(first, 'a.sock', HERE, FROM_HERE);
      const target = await serveCard(second, 'c.sock', THERE, FROM_THERE);
      const tunnels = [...tunnel(FROM_HERE, HERE), ...tunnel(FROM_THERE, THERE)];
      const neighbour = await Ringwire.serve([at('b.sock')], '--hold', '--json', ...tunnels);
      ends.push(() => neighbour.kill());
      const mover = start('mover', 'a.sock', MOVER_MAC, properties);
      const stayer = start('stayer', 'b.sock', STAYER_MAC, properties);
      for (const [guest, address] of [
        [mover, MOVER],
        [stayer, STAYER],
      ] as const) {
        await guest.booted();
        await guest.run(`ip address add ${address}/24 dev eth0 && ip link set eth0 up && httpd -h /tmp`);
      }
      expect(await pings(stayer, MOVER, 1400)).toBe(PINGS);
      const digest = await makeFile(mover, FILE_BYTES);
      await mover.run(`ping -i 0.1 -s 1000 ${STAYER} > /tmp/ping &`);
      await beginTransfer(stayer, MOVER);
      const moved = start('moved', 'c.sock', MOVER_MAC, properties, at('migration'));
      await moveGuest(mover, at('migration'));
      await mover.kill();
      const before = Number(await moved.run('grep -c seq= /tmp/ping'));
      expect(await endTransfer(stayer)).toBe(digest);
      await moved.run(`until [ $(grep -c seq= /tmp/ping) -ge ${before + PINGS} ]; do usleep 100000; done`);
      expect(await pings(moved, STAYER, 1400)).toBe(PINGS);
      expect(await pings(stayer, MOVER, 1400)).toBe(PINGS);
      expect(target.events('running')).toMatchObject([{ socket: at('c.sock'), rings }]);
    },
  );
});
