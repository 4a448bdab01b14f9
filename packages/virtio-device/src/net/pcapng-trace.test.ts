import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { DELIVERED, type Frame, frameBytes, PcapngWriter } from '@ringwire/net-backend';
import { describe, expect, test } from 'vitest';
import { type FrameTrace, NO_DROP } from './frame-trace.js';
import { dropName, NET_DROP, NET_LOSSES } from './net-drop.js';
import { PcapngTrace } from './pcapng-trace.js';
import { frameOf, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

/** Feature bits by hand, virtio 1.4 §5.1.3. */
const MRG_RXBUF = 15;
const CTRL_VQ = 17;
const CTRL_RX = 18;
const MQ = 22;

/** Keeps what it is told. */
class Recorder implements FrameTrace {
  readonly told: [direction: string, pair: number, bytes: number, drop: string][] = [];
  readonly frames: Uint8Array[] = [];

  transmitted(pair: number, frame: Frame, drop: number): void {
    this.keep('tx', pair, frame, drop);
  }

  received(pair: number, frame: Frame, drop: number): void {
    this.keep('rx', pair, frame, drop);
  }

  private keep(direction: string, pair: number, frame: Frame, drop: number): void {
    this.told.push([direction, pair, frame.length, drop === NO_DROP ? '' : dropName(drop)]);
    this.frames.push(frameBytes(frame));
  }
}

/** The same traffic for every test: frames of all fates. */
function run(layout: (typeof LAYOUTS)[number], trace: FrameTrace): NetBench {
  const bench = new NetBench(layout, [MRG_RXBUF, CTRL_VQ, CTRL_RX], { trace });
  const send = (frame: Uint8Array): number => bench.transmit([join(plainHeader(), frame)]);
  send(frameOf(60));
  send(frameOf(13));
  bench.transmit([plainHeader()]);
  send(frameOf(1515));
  send(frameOf(1514, 7));
  bench.step();
  bench.post([1536]);
  bench.backend.deliver(frameOf(100, 9));
  bench.backend.deliver(frameOf(64, 1, '525400999999'));
  bench.backend.deliver(frameOf(200));
  bench.step();
  return bench;
}

const TOLD = [
  ['tx', 0, 60, ''],
  ['tx', 0, 13, 'TX_SHORT_FRAME'],
  ['tx', 0, 0, 'TX_NO_FRAME'],
  ['tx', 0, 1515, 'TX_LONG_FRAME'],
  ['tx', 0, 1514, ''],
  ['rx', 0, 100, ''],
  ['rx', -1, 64, 'RX_MAC_FILTER'],
  ['rx', 0, 200, 'RX_NO_BUFFER'],
];

describe.each(LAYOUTS)('frames of a %s device', (layout) => {
  test('each is told once, with its bytes and its fate', () => {
    const recorder = new Recorder();
    const bench = run(layout, recorder);
    expect(recorder.told).toEqual(TOLD);
    expect(recorder.frames[0]).toEqual(frameOf(60));
    expect(recorder.frames[1]).toEqual(frameOf(13));
    expect(recorder.frames[5]).toEqual(frameOf(100, 9));
    expect(recorder.frames[7]).toEqual(frameOf(200));
    expect(bench.drops()).toEqual({
      ...{ TX_SHORT_FRAME: 1, TX_NO_FRAME: 1, TX_LONG_FRAME: 1 },
      ...{ RX_MAC_FILTER: 1, RX_NO_BUFFER: 1 },
    });
  });

  test('one that waits is told when it is through, and one that the backend refuses is a loss', () => {
    const recorder = new Recorder();
    const bench = new NetBench(layout, [MRG_RXBUF], { trace: recorder, holdWhenFull: true });
    bench.backend.answer = DELIVERED.FULL;
    bench.transmit([join(plainHeader(), frameOf(60))]);
    bench.backend.deliver(frameOf(90));
    bench.step();
    expect(recorder.told).toEqual([]);
    bench.backend.answer = DELIVERED.DROPPED;
    bench.post([1536]);
    bench.port.time = 1000;
    bench.step();
    expect(recorder.told).toEqual([
      ['rx', 0, 90, ''],
      ['tx', 0, 60, 'TX_REFUSED'],
    ]);
  });
});

test('a frame for a device that may touch no queue is told as lost', () => {
  const recorder = new Recorder();
  const bench = new NetBench('split', [MRG_RXBUF], { trace: recorder });
  bench.port.isClosed = true;
  expect(bench.backend.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
  expect(recorder.told).toEqual([['rx', -1, 60, 'RX_STOPPED']]);
});

test('every loss has a sentence', () => {
  expect(Object.keys(NET_LOSSES)).toEqual(Object.keys(NET_DROP));
});

describe('a capture, read by Wireshark', () => {
  const parts: number[] = [];
  let micros = 0;
  const clock = (): number => {
    micros += 10;
    return micros;
  };
  const writer = new PcapngWriter((bytes) => parts.push(...bytes), { clock, startSeconds: 1_800_000_000 });
  run('split', new PcapngTrace(writer, 'vf0'));
  run('packed', new PcapngTrace(writer, 'vf1'));
  const pairs = new NetBench('split', [CTRL_VQ, MQ], { pairs: 2, trace: new PcapngTrace(writer, 'vf2') });
  pairs.control([4, 0, 2, 0]);
  pairs.transmit([join(plainHeader(), frameOf(61))], 1);
  pairs.step();

  function askAbout(program: string, args: (path: string) => string[]): string | undefined {
    const directory = mkdtempSync(joinPath(tmpdir(), 'ringwire-'));
    try {
      const path = joinPath(directory, 'a.pcapng');
      writeFileSync(path, Uint8Array.from(parts));
      return execFileSync(program, args(path), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test('tshark finds each frame on its interface with its direction, and why it was dropped', ({ skip }) => {
    const fields = ['interface_name', 'packet_flags_direction', 'len', 'comment'];
    const columns = fields.flatMap((field) => ['-e', `frame.${field}`]);
    const text = askAbout('tshark', (path) => ['-r', path, '-T', 'fields', ...columns]);
    if (text === undefined) return skip('skipped, because tshark is not installed');
    const expected = (port: string): string[][] =>
      TOLD.map(([direction, pair, length, drop]) => {
        const queue = direction === 'tx' ? 'transmitq1' : pair === 0 ? 'receiveq1' : 'receive';
        const why = drop === '' ? '' : `dropped, ${drop}: ${NET_LOSSES[drop as keyof typeof NET_LOSSES].why}`;
        return [`${port} ${queue}`, direction === 'tx' ? '0x00000002' : '0x00000001', `${length}`, why];
      });
    const lines = text.split('\n').map((line) => line.split('\t'));
    expect(lines).toEqual([...expected('vf0'), ...expected('vf1'), ['vf2 transmitq2', '0x00000002', '61', ''], ['']]);
  });

  test('capinfos counts frames and interfaces', ({ skip }) => {
    const text = askAbout('capinfos', (path) => ['-M', path]);
    if (text === undefined) return skip('skipped, because capinfos is not installed');
    expect(text).toMatch(/Number of packets:\s+17\n/);
    expect(text).toMatch(/Number of interfaces in file:\s+7\n/);
    expect(text).toMatch(/Description = frames of the driver, virtqueue 3\n/);
  });
});
