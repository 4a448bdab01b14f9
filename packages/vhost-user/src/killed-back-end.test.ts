import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Child } from './testing/child.js';
import { FrontEnd, PACKED, SPLIT, turnUntil } from './testing/front-end.js';

const KILLS = 4;
const PROGRAM = new URL('./testing/back-end-program.ts', import.meta.url);

let directory: string;
let paths: string[];
let backEnd: Child;
let frontEnds: FrontEnd[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-killed-'));
  paths = [join(directory, 'a'), join(directory, 'b')];
  frontEnds = [];
  backEnd = await Child.start(PROGRAM, paths);
});

afterEach(async () => {
  for (const frontEnd of frontEnds) frontEnd.end();
  await backEnd.kill();
  rmSync(directory, { recursive: true });
});

test.each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)(
  'VU-27: %s: back-ends are killed within bursts, and with the in-flight area of the one before the next uses each buffer once',
  async (_, features) => {
    frontEnds = [new FrontEnd(features), new FrontEnd(features)];
    for (let kill = 0; kill < KILLS; kill++) {
      for (const [n, frontEnd] of frontEnds.entries()) await frontEnd.run(paths[n]!, true);
      const before = frontEnds.map(({ used }) => used[1]);
      await turnUntil(frontEnds, () => frontEnds.every(({ used }, n) => used[1] > before[n]! + 300));
      // Both rings are full when it goes, at whatever instruction it is.
      for (const frontEnd of frontEnds) frontEnd.turn();
      const killed = backEnd.kill();
      for (const frontEnd of frontEnds) frontEnd.turn();
      await killed;
      for (const frontEnd of frontEnds) {
        frontEnd.collect(0);
        frontEnd.collect(1);
        frontEnd.disconnect();
      }
      backEnd = await Child.start(PROGRAM, paths);
    }
    for (const [n, frontEnd] of frontEnds.entries()) await frontEnd.run(paths[n]!, true);
    // Nothing that was ever offered stays out. A buffer that came back a second time would have thrown.
    const isEmpty = (): boolean => {
      for (const frontEnd of frontEnds) frontEnd.collect(1);
      return frontEnds.every(({ out }) => out[1].size === 0);
    };
    while (!isEmpty()) await sleep(1);
    const [first, second] = frontEnds as [FrontEnd, FrontEnd];
    const received = [first.used[0], second.used[0]];
    await turnUntil(frontEnds, () => first.used[0] > received[0]! + 64 && second.used[0] > received[1]! + 64);
    expect(first.used[1]).toBeGreaterThan(KILLS * 300);
  },
);
