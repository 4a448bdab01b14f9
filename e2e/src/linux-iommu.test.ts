import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGuestImage } from './guest-image.js';
import { GUEST_SUITE, guestProblem, LinuxGuest, PATIENCE_MS } from './linux-guest.js';
import { Ringwire } from './ringwire.js';
import { fetchFile, makeFile, PINGS, pings } from './traffic.js';

const problem = guestProblem();
const SKIPPED = problem === undefined ? '' : `: skipped, because ${problem}`;

const BYTES = 2 ** 20;
const KINDS = [
  { name: 'lazy', rings: 'split', address: '10.0.0.1' },
  { name: 'strict', rings: 'packed', address: '10.0.0.2' },
] as const;

const SUITE = `two Linux guests in QEMU whose cards are behind an IOMMU${SKIPPED}`;
describe.skipIf(problem !== undefined)(SUITE, GUEST_SUITE, () => {
  let directory: string;
  let ringwire: Ringwire | undefined;
  let guests: LinuxGuest[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
    const socket = (name: string): string => join(directory, `${name}.sock`);
    ringwire = await Ringwire.serve(
      KINDS.map(({ name }) => socket(name)),
      '--hold',
      '--json',
    );
    const image = makeGuestImage(directory);
    guests = KINDS.map(({ name, rings }, at) => {
      const properties = `packed=${rings === 'packed' ? 'on' : 'off'}`;
      const nic = { socket: socket(name), mac: `02:00:00:00:01:0${at + 1}`, properties };
      return new LinuxGuest({ name, directory, image, nics: [nic], iommu: name });
    });
    for (const [at, guest] of guests.entries()) {
      await guest.booted();
      await guest.run(`ip address add ${KINDS[at]!.address}/24 dev eth0 && ip link set eth0 up && httpd -h /tmp`);
    }
  }, PATIENCE_MS);

  afterAll(async () => {
    for (const guest of guests) await guest.kill();
    await ringwire?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  test('virtio 1.4 §6.1: ACCESS_PLATFORM was negotiated, and both units translate', async () => {
    for (const { rings } of KINDS) {
      const running = ringwire!.events('running').find((event) => Object.values(event).includes(rings));
      expect(running).toMatchObject({ features: expect.arrayContaining(['VIRTIO_F_ACCESS_PLATFORM']) });
    }
    for (const guest of guests)
      expect(await guest.run('cat /sys/bus/pci/devices/0000:01:00.0/iommu_group/type')).toMatch(/^DMA(-FQ)?\n$/);
  });

  test('pings come back and files arrive as they were, over pages that are translated and taken back all the time', async () => {
    for (const [at, guest] of guests.entries()) {
      const other = 1 - at;
      expect(await pings(guest, KINDS[other]!.address, 1400)).toBe(PINGS);
      const digest = await makeFile(guests[other]!, BYTES);
      expect(await fetchFile(guest, KINDS[other]!.address)).toBe(digest);
    }
    expect(ringwire!.events('disconnected')).toEqual([]);
  });
});
