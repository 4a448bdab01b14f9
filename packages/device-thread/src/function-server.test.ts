import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { LIFE } from './control-layout.js';
import { DeviceLink } from './device-link.js';
import { closeFunctions, newFunctionPlaces } from './function-server.js';

test('several functions of one thread answer their drivers, each its own, interrupt them, and end together', async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('testing/function-worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
  });
  const places = newFunctionPlaces(3, 2);
  const worker = new Worker(outputFiles[0]!.text, { eval: true, workerData: { places } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const links = places.map((place) => new DeviceLink(place));
  expect(links.map((link) => link.configRead(0x40, 4))).toEqual([0x40, 0x1040, 0x2040]);
  for (const [at, link] of links.entries()) link.barWrite(1, 8, 4, 100 + at);
  expect(links.map((link) => link.barRead(1, 8, 4))).toEqual([100, 101, 102]);
  // Writes are posted, and done in their order before the next read: more of them than there is room for, too.
  for (let value = 0; value < 1000; value++) links[0]!.barWrite(1, 4 * (value % 8), 4, value);
  expect(Array.from({ length: 8 }, (_, at) => links[0]!.barRead(1, 4 * at, 4))).toEqual([
    992, 993, 994, 995, 996, 997, 998, 999,
  ]);
  links[0]!.barWrite(1, 8, 4, 100);
  const heard: number[][] = links.map(() => []);
  for (const [at, link] of links.entries()) {
    link.interrupts = { message: (low, _high, data, vector) => heard[at]!.push(low, data, vector) };
    link.barWrite(0, 0, 4, 7 + at);
    expect(link.waitForInterrupt(5000)).toBe(1);
  }
  expect(heard).toEqual([0, 1, 2].map((at) => [0xfee0_0000, 7 + at, 1]));
  // Nothing was asked of it for a while: it sleeps, and wakes for the next access.
  while (!links[2]!.isDeviceAsleep) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(links[1]!.barRead(1, 8, 4)).toBe(101);
  closeFunctions(places);
  expect(await ended).toBe(0);
  expect(links.map(({ life }) => life)).toEqual([LIFE.CLOSED, LIFE.CLOSED, LIFE.CLOSED]);
  expect(links[0]!.configRead(0, 4)).toBe(0xffff_ffff);
});

test('a thread serves one function at least', () => {
  expect(() => newFunctionPlaces(0)).toThrow('count is 0, want an integer from 1 on');
});
