import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { ringwire } from './testing/command.js';

const PROGRAM = 'tshark';
const root = mkdtempSync(join(tmpdir(), 'ringwire-record-'));
afterAll(() => rmSync(root, { recursive: true }));

/** The events of Chrome's trace event format that a trace of ours may have: durations, instants and names. */
const Track = { pid: z.number().int().min(1), tid: z.number().int().min(0), name: z.string().min(1) };
const Micros = z.number().min(0);
const Args = z
  .object({ name: z.string().optional(), used: z.number().optional() })
  .catchall(z.union([z.string(), z.number(), z.boolean()]));
const TraceEvent = z.discriminatedUnion('ph', [
  z.strictObject({ ...Track, ph: z.literal('X'), ts: Micros, dur: Micros, args: Args }),
  z.strictObject({ ...Track, ph: z.literal('i'), s: z.enum(['t', 'p', 'g']), ts: Micros, args: Args }),
  z.strictObject({ ...Track, ph: z.literal('M'), args: Args }),
]);
const TraceFile = z.strictObject({
  displayTimeUnit: z.enum(['ms', 'ns']),
  traceEvents: z.array(TraceEvent),
});

const traceOf = (folder: string) => TraceFile.parse(JSON.parse(readFileSync(join(folder, 'trace.json'), 'utf8')));

test.each([['split', []] as const, ['packed', ['--packed']] as const])(
  'with %s rings: every frame comes back, and the trace has each of them in a burst of its queue',
  async (rings, packed) => {
    const folder = join(root, rings);
    const { code, out, err } = await ringwire('record', folder, '--frames', '70', ...packed);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^70 frames sent, 70 came back; /);
    const { traceEvents } = traceOf(folder);
    const tracks = new Map<number, string>();
    for (const { ph, name, tid, args } of traceEvents)
      if (ph === 'M' && name === 'thread_name') tracks.set(tid, `${args.name}`);
    expect([...tracks.values()]).toEqual(
      expect.arrayContaining(['control plane', 'interrupts', 'queue 0 receiveq1', 'queue 1 transmitq1']),
    );
    const usedOn = (name: string): number => {
      const bursts = traceEvents.filter(({ ph, tid }) => ph === 'X' && tracks.get(tid) === name);
      return bursts.reduce((sum, { args }) => sum + Number(args.used), 0);
    };
    expect(usedOn('queue 1 transmitq1')).toBe(70);
    expect(usedOn('queue 0 receiveq1')).toBe(70);
    const control = traceEvents.filter(({ tid, ph }) => tid === 0 && ph === 'i').map(({ name }) => name);
    expect(control.indexOf('FEATURES_OK set')).toBeLessThan(control.indexOf('queue 0 enabled'));
    expect(control.indexOf('queue 0 enabled')).toBeLessThan(control.indexOf('DRIVER_OK set'));
    // Every event is on a track with a name.
    expect(traceEvents.filter(({ tid }) => !tracks.has(tid)).map(({ name }) => name)).toEqual([]);
  },
);

test('tshark reads all frames, those that came to nothing with the reason', async ({ skip }) => {
  const folder = join(root, 'link');
  await ringwire('record', folder, '--frames', '5', '--mistake', 'link');
  const columns = ['interface_name', 'len', 'comment'].flatMap((field) => ['-e', `frame.${field}`]);
  let text: string;
  try {
    const args = ['-r', join(folder, 'frames.pcapng'), '-T', 'fields', ...columns];
    text = execFileSync(PROGRAM, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return skip('skipped, because tshark is not installed');
    throw error;
  }
  const lengths = [60, 157, 254, 351, 448];
  const lines = text.split('\n').map((line) => line.split('\t'));
  expect(lines.filter(([name]) => name === 'net0 receiveq1').map(([, length]) => Number(length))).toEqual(lengths);
  expect(lines.filter(([name]) => name === 'net0 transmitq1')).toEqual([
    ...lengths.map((length) => ['net0 transmitq1', `${length}`, '']),
    ['net0 transmitq1', '60', 'dropped, TX_LINK_DOWN: the link was down'],
  ]);
});

test('nothing to send is a device at rest', async () => {
  const folder = join(root, 'deep', 'er');
  expect((await ringwire('record', folder, '--frames', '0')).out).toMatch(/^0 frames sent, 0 came back; /);
  for (const name of ['device.json', 'pages.json', 'pages.bin', 'frames.pcapng', 'trace.json'])
    expect(existsSync(join(folder, name))).toBe(true);
});

test.each([
  [['--frames', '100001'], 'Want 0 to 100000.'],
  [['--mistake', 'typo'], 'Want one of bus-master, function-mask, link, ring, no-notification.'],
])('exit code 2: %j', async (options, message) => {
  const { code, err } = await ringwire('record', join(root, 'never'), ...options);
  expect(code).toBe(2);
  expect(err).toContain(message);
  expect(existsSync(join(root, 'never'))).toBe(false);
});

test('exit code 2: a folder that cannot be made', async () => {
  const { code, err } = await ringwire('record', join(root, 'split', 'trace.json', 'x'));
  expect([code, err]).toEqual([2, expect.stringContaining('cannot be written: ENOTDIR')]);
});
