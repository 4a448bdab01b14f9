import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { LIFE } from './control-layout.js';
import { DeviceLink } from './device-link.js';
import { closePlace, newLinkPlace } from './serve-device.js';
import { BUFFER, EntropySide } from './testing/entropy-side.js';
import { TRANSPORTS } from './testing/net-thread.js';

test.each(TRANSPORTS)(
  'a device is served in a worker of the caller’s own until its place is closed: %s',
  async (transport) => {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL('testing/own-worker.ts', import.meta.url))],
      bundle: true,
      write: false,
      platform: 'node',
      format: 'cjs',
    });
    const memory = HostMemory.create(0x10_0000);
    const place = newLinkPlace({ transport, doorbells: 4, vectors: 4 });
    const worker = new Worker(outputFiles[0]!.text, { eval: true, workerData: { place, memory: memory.wasm } });
    const said: unknown[] = [];
    worker.on('message', (message) => said.push(message));
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const link = new DeviceLink(place);
    const side = new EntropySide(link, memory);
    side.start();
    side.offer();
    expect(side.waitForUsed()).toBe(1);
    expect([...memory.u8.subarray(BUFFER, BUFFER + 16)]).toEqual(Array(16).fill(0x5a));
    expect(link.life).toBe(LIFE.RUNNING);
    closePlace(place);
    expect(await ended).toBe(0);
    expect(said).toEqual(['running', 'closed']);
  },
);

test('a place that is too small for what it says is refused by name', () => {
  const place = newLinkPlace({ transport: 'pci' });
  expect(() => new DeviceLink({ ...place, words: place.words.subarray(1) })).toThrow(
    /^words is \d+, want \d+ of a Shared/,
  );
});
