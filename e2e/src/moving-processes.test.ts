import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sourceAliases } from '../../tools/source-aliases.mjs';
import { claimedBy, fileClaim } from './file-claim.js';

/** Moves with a program that is killed: few by default, more with RINGWIRE_KILLS. */
const { RINGWIRE_KILLS = '12' } = process.env;
const KILLS = Number(RINGWIRE_KILLS);
const PATIENCE_MS = 10 * 60_000;

let directory: string;
let program: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-processes-'));
  program = join(directory, 'moving-program.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./moving-program.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'es2023',
    alias: sourceAliases(),
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A process with one side of a move, and what it said. */
class Side {
  readonly frames: number[] = [];
  end: string | undefined;
  /** Why the guest stayed, or does not come. */
  problem: string | undefined;
  readonly process: ChildProcess;
  private rest = '';
  private lines = 0;

  constructor(...args: readonly string[]) {
    this.process = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.process.stdout!.setEncoding('utf8');
    this.process.stdout!.on('data', (text: string) => this.take(text));
  }

  get isThere(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** It said so many lines, or is gone. */
  async said(lines: number): Promise<void> {
    while (this.lines < lines && this.isThere) await sleep(1);
  }

  async gone(): Promise<void> {
    if (this.isThere) await once(this.process, 'close');
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) {
      this.lines++;
      const [word, value, ...problem] = line.split(' ');
      if (word === 'frame') this.frames.push(Number(value));
      else if (word === 'end') [this.end, this.problem] = [value, problem.join(' ')];
    }
  }
}

/** What became of one move. */
interface Moved {
  readonly source: Side;
  readonly target: Side;
  readonly claim: 'source' | 'target' | undefined;
}

/** A move between two vendors' cards, each in a process of its own; one of the two is killed after so many frames of both. */
async function move(name: string, victim?: 'source' | 'target', after = 0): Promise<Moved> {
  const [path, claimed] = [join(directory, `${name}.sock`), join(directory, `${name}.claim`)];
  const target = new Side('target', 'vendor-b', path, claimed);
  await target.said(1);
  const source = new Side('source', '82599', path, claimed);
  await source.said(1);
  if (victim !== undefined) {
    const dying = victim === 'source' ? source : target;
    while (source.frames.length + target.frames.length < after && dying.isThere) await sleep(1);
    dying.process.kill('SIGKILL');
  }
  await Promise.all([source.gone(), target.gone()]);
  return { source, target, claim: claimedBy(claimed) };
}

/** No frame is missing, none came twice, and all came in their order. */
function expectWhole({ source, target }: Moved): void {
  const all = [...source.frames, ...target.frames];
  expect(all).toEqual(all.map((_, at) => at));
}

test('a guest goes to another process and another vendor’s card, over a socket, with every frame', {
  timeout: PATIENCE_MS,
}, async () => {
  const moved = await move('whole');
  expectWhole(moved);
  const { source, target, claim } = moved;
  expect([source.end, source.problem, target.end, claim]).toEqual(['moved', '', 'runs', 'target']);
  expect(target.frames.length).toBeGreaterThan(100);
});

test('MG-21: what one side claimed the other one does not get, until it is ceded', () => {
  const path = join(directory, 'claim');
  const claim = fileClaim(path);
  expect(claimedBy(path)).toBeUndefined();
  expect([claim.take('target'), claim.take('source'), claim.take('target')]).toEqual([true, false, true]);
  claim.cede('source');
  expect(claimedBy(path)).toBe('target');
  claim.cede('target');
  expect([claim.take('target'), claim.take('source')]).toEqual([false, true]);
});

/** A number below `end`, that jumps about with `seed`. */
const random = (seed: number, end: number): number => (Math.imul(seed + 1, 0x9e37_79b1) >>> 8) % end;

test(`MG-21 MG-22: ${KILLS} moves between processes, one of which is killed at any moment: exactly one side has the guest, and no frame comes twice`, {
  timeout: PATIENCE_MS,
}, async () => {
  const { source, target } = await move('measured');
  // From before the first record until after the last one.
  const frames = source.frames.length + target.frames.length;
  let cut = 0;
  for (let round = 0; round < KILLS; round++) {
    const [victim, other] = round % 2 === 0 ? (['source', 'target'] as const) : (['target', 'source'] as const);
    const moved = await move(`kill-${round}`, victim, random(round, frames));
    expectWhole(moved);
    const { claim, [victim]: dead, [other]: survivor } = moved;
    const context = { round, victim, claim, end: survivor.end, problem: survivor.problem };
    // Some are over before they are killed.
    if (dead.process.signalCode === null) {
      expect(context).toMatchObject({ claim: 'target' });
      continue;
    }
    cut++;
    // The guest is with the survivor if that has the claim; else it died with the other program, and nobody has it twice.
    const ends = other === 'source' ? { here: 'stayed', gone: 'moved' } : { here: 'runs', gone: 'ended' };
    expect(context).toMatchObject({ end: claim === other ? ends.here : ends.gone });
    // A target that is killed without it leaves the guest where it is.
    if (victim === 'target') expect(['source', 'target']).toContain(claim);
  }
  expect(cut).toBeGreaterThan(0);
});
