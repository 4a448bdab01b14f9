import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATIENCE_MS } from './linux-guest.js';
import { makeVduseImage, VduseGuest, vduseProblem } from './vduse-guest.js';

const problem = vduseProblem();
const SUITE = `a Linux kernel's own driver on devices that ringwire serves to it through VDUSE${
  problem === undefined ? '' : `: skipped, because ${problem}`
}`;
const FILE_BYTES = 3 * 2 ** 20;

// Each test goes on where the one before it left the kernel.
describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  let directory: string;
  let guest: VduseGuest;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwire-e2e-'));
    guest = new VduseGuest(directory, await makeVduseImage(directory));
    await guest.booted();
    await guest.serve();
  }, PATIENCE_MS);

  afterAll(async () => {
    await guest?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each(['split', 'packed'] as const)('it runs %s rings, and is answered through the switch', async (rings) => {
    await guest.plug(rings);
    expect(await guest.said(`vduse:${rings}: running`)).toBe(`vduse:${rings}: running, ${rings} rings`);
    await guest.join(rings);
    expect(await guest.pings(rings)).toBe(5);
  });

  test('it is explained, and measured, as ports at sockets are', async () => {
    const explained = await guest.page('/explain');
    for (const name of ['split', 'packed']) expect(explained).toContain(`vduse:${name}: running`);
    expect(explained).toContain('No problem found.');
    expect(await guest.page('/metrics')).toContain('ringwire_port_running{socket="vduse:packed"} 1');
  });

  test.each(['split', 'packed'] as const)('TCP brings every byte both ways over %s rings', async (rings) => {
    const [sent, received] = await guest.transfer(rings, FILE_BYTES);
    expect(received).toEqual([sent, sent]);
  });

  test('a process that is killed in the middle of a transfer over split rings has a successor that ends it', async () => {
    const digest = await guest.beginTransfer('split', FILE_BYTES);
    await guest.killServer();
    await guest.serve();
    expect(await guest.said('vduse:split: running')).toBe('vduse:split: running, split rings');
    expect(await guest.endTransfer()).toBe(digest);
  });

  test('packed rings do not say where they are: that is told, and their driver begins anew when it is bound again', async () => {
    expect(await guest.said('vduse:packed: left behind')).toContain('packed rings do not say where they are');
    await guest.bindAgain('packed');
    expect(await guest.said('vduse:packed: running')).toBe('vduse:packed: running, packed rings');
    await guest.join('packed');
    expect(await guest.pings('packed')).toBe(5);
  });

  test('another process that wants the same name is told that it is served', async () => {
    expect(await guest.refusal('--vduse', 'split')).toBe('ringwire: another process serves the VDUSE device split\n');
  });

  test('ended, a device that is off the bus is gone, and one that is on it stays', async () => {
    await guest.unplug('split');
    await guest.endServer();
    expect(await guest.said('vduse:packed: stays')).toContain('stays on the vDPA bus');
    expect(await guest.linux.run('ls /dev/vduse')).toMatch(/^control\s+packed\s*$/);
  });
});
