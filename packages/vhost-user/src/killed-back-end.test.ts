import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Child } from './testing/child.js';
import { FrontEnd, PACKED, SPLIT, turnUntil } from './testing/front-end.js';

const PROGRAM = new URL('./testing/back-end-program.ts', import.meta.url);
/** Steps of its in-flight records that each back-end lives for. */
const LIVES = [2000, 3001, 4002, 5013, 6124, 7235, 8346, 9457] as const;

let directory: string;
let paths: string[];
let backEnd: Child | undefined;
let frontEnds: FrontEnd[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-killed-'));
  paths = [join(directory, 'a'), join(directory, 'b')];
});

afterEach(async () => {
  for (const frontEnd of frontEnds) frontEnd.end();
  await backEnd?.kill();
  rmSync(directory, { recursive: true });
});

async function connectAll(killAt: number): Promise<Child> {
  backEnd = await Child.start(PROGRAM, [`${killAt}`, ...paths]);
  for (const [n, frontEnd] of frontEnds.entries()) await frontEnd.run(paths[n]!, true);
  return backEnd;
}

test.each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)(
  'VU-27: %s: back-ends are killed within bursts, and with the in-flight area of the one before the next uses each buffer once',
  async (_, features) => {
    frontEnds = [new FrontEnd(features), new FrontEnd(features)];
    let inFlight = 0;
    for (const steps of LIVES) {
      const killed = await connectAll(steps);
      await turnUntil(frontEnds, () => !killed.isAlive);
      for (const frontEnd of frontEnds) {
        frontEnd.collect(0);
        frontEnd.collect(1);
        inFlight += frontEnd.inFlight;
        frontEnd.disconnect();
      }
    }
    // It was in the middle of something.
    expect(inFlight).toBeGreaterThan(LIVES.length);
    await connectAll(0);
    // Nothing that was ever offered stays out. A buffer that came back a second time would have thrown.
    const isEmpty = (): boolean => {
      for (const frontEnd of frontEnds) frontEnd.collect(1);
      return frontEnds.every(({ out }) => out[1].size === 0);
    };
    while (!isEmpty()) await sleep(1);
    const received = frontEnds.map(({ used }) => used[0]);
    await turnUntil(frontEnds, () => frontEnds.every(({ used }, n) => used[0] > received[n]! + 128));
    expect(backEnd!.isAlive).toBe(true);
  },
);
