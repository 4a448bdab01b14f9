import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { arpFrame, echoFrame, readFrame, type StationAddress, tcpFrame } from './packets.js';
import { plotSvg } from './plot.js';
import { problemsOf, resultText } from './report.js';
import { type MigrateResult, payloadOf, runMigrate } from './run-migrate.js';
import { type OutgoingSegment, TcpStream } from './tcp-stream.js';

const BYTES = 4 * 2 ** 20;
/** A clock that goes on by 10 µs whenever it is asked: runs are alike. */
const ticking = (): (() => number) => {
  let at = 0;
  return () => {
    at += 10;
    return at;
  };
};

let result: MigrateResult;
const whole = (): MigrateResult => {
  result ??= runMigrate(BYTES, ticking());
  return result;
};

test('F68: a guest goes from the 82599 to vendor B and back under ping and TCP, and every byte arrives', () => {
  const { moves, streams, pings } = whole();
  expect(problemsOf(whole())).toEqual([]);
  expect(moves.map(({ from, to }) => [from, to])).toEqual([
    ['82599', 'vendor B'],
    ['vendor B', '82599'],
  ]);
  const digest = (seed: number): string => createHash('sha256').update(payloadOf(BYTES, seed)).digest('hex');
  expect(streams.map(({ bytes, received }) => [bytes, received])).toEqual([
    [BYTES, digest(1)],
    [BYTES, digest(2)],
  ]);
  expect(pings.length).toBeGreaterThan(10);
  for (const { report, pausedAt, resumedAt } of moves) {
    expect(report.rounds.length).toBeGreaterThan(1);
    // Frames went on while memory was copied.
    expect(report.rounds[0]!.written).toBeGreaterThan(0);
    expect(resumedAt).toBeGreaterThan(pausedAt);
  }
});

test('the timeline has every step of a move, in its order', () => {
  const text = resultText(whole());
  const steps = [
    'asks vendor B',
    'pre-copy 1: ',
    'pre-copy 2: ',
    'suspend: ',
    'state: ',
    'restore: ',
    'resume: ',
    're-kick: ',
  ];
  const [first] = text.split('\n\n');
  expect(first!.split('\n')[0]).toBe('82599 → vendor B, packed rings');
  expect(steps.map((step) => first!.indexOf(step))).toEqual(
    steps.map((step) => first!.indexOf(step)).toSorted((a, b) => a - b),
  );
  expect(steps.filter((step) => !first!.includes(step))).toEqual([]);
  expect(first).toMatch(/downtime \d+\.\d\d ms, \d+ KiB sent$/);
  expect(text).toMatch(/^pings: \d+ sent, \d+ lost, the slowest \d+\.\d\d ms$/m);
  expect(text).toMatch(/^TCP guest → neighbour: 4194304 bytes, \d+ segments sent again, SHA-256 [0-9a-f]{16}… equal$/m);
  expect(text).toMatch(/^TCP neighbour → guest: 4194304 bytes, \d+ segments sent again, SHA-256 [0-9a-f]{16}… equal$/m);
});

test('what does not hold is a sentence', () => {
  const { streams, pings } = whole();
  const changed = streams.map((stream) => ({ ...stream, received: '00' }));
  const lost = [...pings, { sentAt: whole().endedAt, answeredAt: undefined }];
  expect(problemsOf({ ...whole(), moves: [], streams: changed, pings: lost }).slice(0, 3)).toEqual([
    'the guest moved 0 times, want 2',
    'guest → neighbour: other bytes came than were sent',
    'neighbour → guest: other bytes came than were sent',
  ]);
  expect(problemsOf({ ...whole(), pings: lost })).toEqual(['1 pings were lost while nothing moved']);
});

test('the plot has both moves, TCP and pings', () => {
  const svg = plotSvg(whole());
  for (const name of ['82599 → vendor B', 'vendor B → 82599', 'TCP', 'ping']) expect(svg).toContain(name);
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
});

const A: StationAddress = { mac: Uint8Array.of(2, 0, 0, 0, 0, 1), ip: Uint8Array.of(10, 0, 0, 1) };
const B: StationAddress = { mac: Uint8Array.of(2, 0, 0, 0, 0, 2), ip: Uint8Array.of(10, 0, 0, 2) };
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('RFC 826, 791, 792: frames are as wanted, byte for byte', () => {
  expect(hexOf(arpFrame(1, A, { mac: new Uint8Array(6), ip: B.ip }).subarray(0, 42))).toBe(
    'ffffffffffff0200000000010806' + '0001080006040001' + '0200000000010a000001' + '0000000000000a000002',
  );
  // IP: 4500 001e 0000 4000 4001 sum 0a000001 0a000002; the sums were made by hand.
  const echo = echoFrame(A, B, { isReply: false, id: 0x1234, sequence: 1, data: Uint8Array.of(0xab, 0xcd) });
  expect(hexOf(echo.subarray(0, 44))).toBe(
    '0200000000020200000000010800' + '4500001e00004000400126dd' + '0a0000010a000002' + '080039fd12340001' + 'abcd',
  );
});

test('a frame whose checksum is wrong says nothing', () => {
  const segment = {
    fromPort: 1,
    toPort: 2,
    sequence: 0xffff_ffff,
    ack: 7,
    flags: 16,
    window: 9,
    data: Uint8Array.of(1, 2, 3),
  };
  const frame = tcpFrame(A, B, segment);
  expect(readFrame(frame)).toEqual({ kind: 'tcp', from: A.ip, to: B.ip, ...segment });
  for (let at = 14; at < 57; at++) {
    const changed = frame.slice();
    changed[at]! ^= 1;
    expect([at, readFrame(changed)]).toEqual([at, undefined]);
  }
});

test('RFC 9293 §3.8: a stream over a wire that loses one segment in eight arrives whole, in both directions', () => {
  const now = ticking();
  const payloads = [payloadOf(120_000, 3), payloadOf(80_000, 4)];
  const got = [createHash('sha256'), createHash('sha256')];
  const dice = payloadOf(0x1_0000, 5);
  let count = 0;
  const ways: OutgoingSegment[][] = [[], []];
  const ends = [0, 1].map(
    (at) =>
      new TcpStream({
        isClient: at === 0,
        payload: payloads[at]!,
        received: (bytes) => got[at]!.update(bytes),
        send: (segment) => {
          if (dice[count++ % dice.length]! >= 32) ways[1 - at]!.push({ ...segment, data: segment.data.slice() });
          return true;
        },
        now,
      }),
  );
  const addressed = { kind: 'tcp', from: A.ip, to: B.ip, fromPort: 1, toPort: 1 } as const;
  for (let turn = 0; !ends.every(({ isDone }) => isDone); turn++) {
    if (turn > 1_000_000) throw new Error('the stream comes to no end');
    for (const [at, end] of ends.entries()) {
      end.turn();
      for (const segment of ways[at]!.splice(0)) end.receive({ ...addressed, ...segment });
    }
  }
  const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  expect(got.map((hash) => hash.digest('hex'))).toEqual([digest(payloads[1]!), digest(payloads[0]!)]);
  expect(ends.every(({ resent }) => resent > 0)).toBe(true);
});
