import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { handlerCode } from './bus-handler.js';

const here = fileURLToPath(new URL('./', import.meta.url));

/** What every program begins with: two files of four pages, 1 and 2 in each of their bytes, mapped and watched. */
const BEGINNING = `
  const { BusGuard, addressOf, mapFileAt, newMemoryFile } = one;
  const { ftruncateSync } = require('node:fs');
  const u8 = new Uint8Array(new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }).buffer);
  const guard = BusGuard.get();
  const [first, second] = [1, 2].map((n) => {
    const file = newMemoryFile('cut', 0x4000);
    const at = 0x10000 * n;
    mapFileAt(addressOf(u8) + at, 0x4000, file, 0);
    u8.fill(n, at, at + 0x4000);
    return { file, at, watch: guard.watch(addressOf(u8) + at, 0x4000) };
  });
  const report = [];`;

/**
 * Run a program in a process of its own. It has the package twice, as two threads have it.
 * @returns what it left in \`report\`, if it came to its end
 */
async function run(program: string): Promise<{ signal: string | null; report: unknown[] | undefined }> {
  const load = async (globalName: string): Promise<string> => {
    const { outputFiles } = await build({
      entryPoints: [`${here}index.ts`],
      bundle: true,
      write: false,
      platform: 'node',
      format: 'iife',
      globalName,
      external: ['koffi'],
    });
    return outputFiles[0]!.text;
  };
  const ending = 'process.stdout.write(JSON.stringify(report));';
  const input = [await load('one'), await load('two'), BEGINNING, program, ending].join('\n');
  const { signal, stdout } = spawnSync(process.execPath, ['-'], { cwd: here, input, encoding: 'utf8' });
  return { signal, report: stdout === '' ? undefined : JSON.parse(stdout) };
}

describe.runIf(process.arch === 'x64')('on x86-64', () => {
  test('VU-09: a part whose file was cut is zeros as soon as it is touched, and the part beside it is as it was', async () => {
    const { report } = await run(`
      ftruncateSync(first.file, 0x1000);
      report.push(u8[first.at], guard.cuts, guard.wasCut(first.watch));
      report.push(u8[first.at + 0x3fff], guard.cuts, guard.wasCut(first.watch), guard.wasCut(second.watch));
      u8[first.at + 0x1000] = 7;
      report.push(u8[first.at], u8[first.at + 0x1000], guard.cuts, u8[second.at]);`);
    expect(report).toEqual([1, 0, false, 0, 1, true, false, 0, 7, 1, 2]);
  });

  test('a watch is as a new one when it is used again', async () => {
    const { report } = await run(`
      ftruncateSync(first.file, 0);
      report.push(u8[first.at], guard.wasCut(first.watch));
      guard.unwatch(first.watch);
      const again = guard.watch(addressOf(u8) + second.at, 0x4000);
      report.push(again === first.watch, guard.wasCut(again));
      for (let n = 2; n < 2048; n++) guard.watch(0, 1);
      report.push(guard.watch(0, 1) === undefined);`);
    expect(report).toEqual([0, true, true, false, true]);
  });

  test('where nothing is watched a file that was cut ends the process, as without a guard', async () => {
    const cut = 'ftruncateSync(second.file, 0); guard.unwatch(second.watch); report.push(u8[second.at]);';
    expect(await run(cut)).toEqual({ signal: 'SIGBUS', report: undefined });
    expect(await run(`two.BusGuard.get(); ${cut}`)).toEqual({ signal: 'SIGBUS', report: undefined });
  });

  test('a second guard leaves what it does not watch to the first', async () => {
    const { report } = await run(`
      const other = two.BusGuard.get();
      guard.unwatch(second.watch);
      const watch = other.watch(addressOf(u8) + second.at, 0x4000);
      for (const { file, at } of [first, second]) {
        ftruncateSync(file, 0);
        report.push(u8[at], guard.cuts, other.cuts);
      }
      report.push(guard.wasCut(first.watch), other.wasCut(watch));`);
    expect(report).toEqual([0, 1, 0, 0, 1, 1, true, true]);
  });
});

test('the handler is, byte for byte, what GNU as makes of the instructions in its comments', () => {
  const previous = 0x7f11_2233_4455;
  const [hits, noAction, watches] = [0x7f22_0000_0008, 0x7f33_0000_0010, 0x7f44_0000_0040];
  const code = Buffer.from(handlerCode({ previous, hits, noAction, watches, count: 2048 }));
  expect(code.toString('hex')).toBe(
    [
      'f30f1efa837e08027526488b461049b840000000447f0000b90008000049',
      '3b007206493b4008723d4983c020ffc975ed49ba55443322117f00004d8b',
      '124983fa01760341ffe2bf0700000048be10000000337f000031d241ba08',
      '000000b80d0000000f05c3498b38498b70084829fe4150ba0300000041ba',
      '3240000049c7c0ffffffff4531c9b8090000000f054158483d00f0ffff77',
      'aff049ff401048b808000000227f0000f048ff00c3',
    ].join(''),
  );
});
