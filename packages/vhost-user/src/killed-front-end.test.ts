import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { close, connectUnix, SystemError } from '@ringwire/linux';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Child } from './testing/child.js';
import { FrontEnd, SPLIT, turnUntil } from './testing/front-end.js';

const BACK_END = new URL('./testing/back-end-program.ts', import.meta.url);
const FRONT_END = new URL('./testing/front-end-program.ts', import.meta.url);
/** Messages from a connection's beginning to both rings running, as `FrontEnd.steps` has them. */
const STEPS = 16;
const CYCLES = 1000;

let directory: string;
let paths: string[];
let backEnd: Child;
/** Its frames go on whatever happens to the other front-end. */
let other: FrontEnd;
let base: ReturnType<Child['held']>;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-killed-'));
  paths = [join(directory, 'a'), join(directory, 'b')];
  backEnd = await Child.start(BACK_END, ['0', ...paths]);
  other = new FrontEnd(SPLIT);
  await other.run(paths[1]!);
  await turnUntil([other], () => other.used[1] > 100);
  base = backEnd.held();
});

afterAll(async () => {
  other.end();
  await backEnd.kill();
  rmSync(directory, { recursive: true });
});

/** The other front-end's frames flow, and nothing is left of the one that is gone. */
async function expectBaseLine(): Promise<void> {
  const before = other.used[1];
  await turnUntil([other], () => other.used[1] > before + 100);
  expect(backEnd.isAlive).toBe(true);
  expect(backEnd.held()).toEqual(base);
}

/** Start a front-end, let it go as far as it is to, and kill it. @returns why its connection ended */
async function killAt(layout: string, how: string): Promise<string | undefined> {
  const frontEnd = await Child.start(FRONT_END, [paths[0]!, layout, how]);
  expect(await frontEnd.line()).toBe('there');
  if (how === 'half a message') await sleep(20);
  const before = other.used[1];
  if (how === 'burst') await turnUntil([other], () => other.used[1] > before + 100);
  await frontEnd.kill();
  return backEnd.line();
}

describe('VU-27: a front-end that is killed', () => {
  test('at every message boundary', async () => {
    for (let step = 0; step <= STEPS; step++) {
      expect(await killAt('split', `${step}`)).toBe('0 the connection ended');
      await expectBaseLine();
    }
  });

  test('within a message', async () => {
    expect(await killAt('split', 'half a message')).toBe('0 the connection ended within a message');
    await expectBaseLine();
  });

  test.each(['split', 'packed'])(
    'in the middle of a burst, over %s rings, while the other one’s frames go to it',
    async (layout) => {
      for (let round = 0; round < 3; round++) {
        expect(await killAt(layout, 'burst')).toBe('0 the connection ended');
        await expectBaseLine();
      }
    },
  );
});

test('VU-26: a thousand connections while a front-end is served are turned away, and nothing is left of them', async () => {
  const first = new FrontEnd(SPLIT);
  await first.run(paths[0]!);
  let refused = 0;
  for (let n = 0; n < 1000; n++) {
    try {
      close(connectUnix(paths[0]!));
    } catch (error) {
      // More than the listener lines up: told at once.
      if (!(error instanceof SystemError)) throw error;
      refused++;
      await sleep(1);
    }
    if (n % 10 === 0) for (const frontEnd of [first, other]) frontEnd.turn();
  }
  expect(refused).toBeLessThan(1000);
  const before = first.used[1];
  await turnUntil([first, other], () => first.used[1] > before + 100);
  first.end();
  expect(await backEnd.line()).toBe('0 the connection ended');
  await expectBaseLine();
});

test('a thousand connections one after the other, each with rings that run: descriptors, mappings and memory do not grow', {
  timeout: 300_000,
}, async () => {
  const frontEnd = new FrontEnd(SPLIT);
  const cycles = async (count: number): Promise<number> => {
    for (let n = 0; n < count; n++) {
      await frontEnd.run(paths[0]!, true);
      frontEnd.turn();
      frontEnd.disconnect();
      expect(await backEnd.line()).toBe('0 the connection ended');
    }
    await expectBaseLine();
    return backEnd.residentKiB;
  };
  const warm = await cycles(CYCLES / 2);
  const after = await cycles(CYCLES / 2);
  // A page for each cycle would be 2000 KiB; what is collected now and then is less than 8 MiB.
  expect(after - warm).toBeLessThan(8192);
  frontEnd.end();
});
