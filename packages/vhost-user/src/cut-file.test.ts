import { ftruncateSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Child } from './testing/child.js';
import { FrontEnd, PACKED, SPLIT, turnUntil } from './testing/front-end.js';

let directory: string;
let paths: string[];
let backEnd: Child;
let frontEnds: FrontEnd[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-cut-'));
  paths = [join(directory, 'a'), join(directory, 'b'), join(directory, 'c')];
  backEnd = await Child.start(new URL('./testing/back-end-program.ts', import.meta.url), paths);
  frontEnds = [];
});

afterEach(async () => {
  for (const frontEnd of frontEnds) frontEnd.end();
  await backEnd.kill();
  rmSync(directory, { recursive: true });
});

describe.runIf(process.arch === 'x64').each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)('%s', (_, features) => {
  test('VU-09: a front-end that cuts its file short is cut off; the process and the others’ traffic go on', async () => {
    frontEnds = [new FrontEnd(features), new FrontEnd(features), new FrontEnd(features)];
    const [first, second, third] = frontEnds as [FrontEnd, FrontEnd, FrontEnd];
    for (const [n, frontEnd] of frontEnds.entries()) await frontEnd.run(paths[n]!);
    await turnUntil(frontEnds, () => frontEnds.every(({ used }) => used[0] > 200 && used[1] > 200));
    // Frames go out of it and, flooded, into it: it is touched at once. Its own view would end this process too.
    ftruncateSync(first.file, 0);
    await turnUntil([second, third], () => !first.peer!.isOpen);
    expect(await backEnd.line()).toMatch(/^0 (a file was cut short while it was mapped|ring \d cannot be trusted)/);
    const before = [...second.used, ...third.used];
    await turnUntil([second, third], () =>
      [...second.used, ...third.used].every((count, n) => count > before[n]! + 200),
    );
    expect(backEnd.isAlive).toBe(true);
    // The one after it is served.
    const next = new FrontEnd(features);
    frontEnds.push(next);
    await next.run(paths[0]!);
    await turnUntil([second, third, next], () => next.used[0] > 200 && next.used[1] > 200);
  });
});
