import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { joined, long, longs, words } from './testing/raw-peer.js';
import { PACKED, QUEUE_SIZE, RAM, SessionStage, SPLIT, usedOf } from './testing/session-stage.js';

const PAIRS = 3;
/** VIRTIO_NET_F_MQ. */
const MQ = 1n << 22n;
const FRAME_AT = RAM.gpa + 0x4_0000;
const NO_HEADER = new Uint8Array(12);

let stage: SessionStage;

beforeEach(() => {
  stage = new SessionStage({ pairs: PAIRS, externalControl: true, features: [5, 15, 21, 22] });
});

afterEach(() => stage.end());

/** A UDP frame from 10.0.0.n to 10.0.1.1, or the other way round. */
function udp(n: number, back = false): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17]);
  const ends = [
    [10, 0, 0, n],
    [10, 0, 1, 1],
  ];
  frame.set((back ? ends.reverse() : ends).flat(), 26);
  frame.set([0, 7, 0, 7, 0, 26, 0, 0], 34);
  return frame;
}

test('GET_QUEUE_NUM counts pairs, as does the configuration, and features that others’ commands serve are offered', () => {
  expect(long(stage.ask(17)!)).toBe(BigInt(PAIRS));
  const features = long(stage.ask(1)!);
  // CTRL_VQ 17 is the front-end's; GUEST_ANNOUNCE 21 and MQ 22 are offered for it.
  expect([17n, 21n, 22n].map((bit) => (features >> bit) & 1n)).toEqual([0n, 1n, 1n]);
  stage.say(16, longs(1n << 9n));
  // max_virtqueue_pairs is at 8.
  expect(stage.ask(24, joined(words(8, 2, 0), new Uint8Array(2)))).toEqual(
    joined(words(8, 2, 0), Uint8Array.of(PAIRS, 0)),
  );
});

describe.each([
  ['split', SPLIT | MQ],
  ['packed', PACKED | MQ],
] as const)('%s rings of several pairs', (_, features) => {
  /** Everything set up and started, with these pairs enabled. */
  function start(pairs: readonly number[]): void {
    stage.setUp(features);
    for (const ring of stage.rings) stage.say(12, longs(ring), [stage.kicks[ring]!]);
    for (const ring of stage.rings) stage.say(18, words(ring, pairs.includes(ring >> 1) ? 1 : 0));
    expect(stage.session.problem).toBeUndefined();
  }

  test('every enabled pair transmits; a disabled one keeps what it has until it is enabled', () => {
    start([0, 1]);
    for (let pair = 0; pair < PAIRS; pair++) {
      const tx = stage.openDriver(2 * pair + 1, features);
      stage.guest.write(FRAME_AT + 0x1000 * pair, joined(NO_HEADER, udp(pair)));
      tx.addReadable(FRAME_AT + 0x1000 * pair, 72);
      tx.publish();
    }
    stage.turn();
    expect(stage.backend.bytes).toEqual([udp(0), udp(1)]);
    for (const ring of [4, 5]) stage.say(18, words(ring, 1));
    stage.turn();
    expect(stage.backend.bytes).toEqual([udp(0), udp(1), udp(2)]);
  });

  test('received frames are spread over the enabled pairs, and follow where their flow left', () => {
    start([0, 1, 2]);
    const rx = [0, 2, 4].map((ring) => stage.openDriver(ring, features));
    for (const [pair, queue] of rx.entries()) {
      for (let n = 0; n < QUEUE_SIZE; n++) queue.addWritable(FRAME_AT + 0x8000 * pair + 0x800 * n, 1526);
      queue.publish();
    }
    const used = (): number[] => rx.map((queue) => usedOf(queue).length);
    for (let n = 0; n < 12; n++) stage.bring(udp(n));
    const spread = used();
    expect(spread.reduce((sum, count) => sum + count)).toBe(12);
    expect(Math.min(...spread)).toBeGreaterThan(0);
    // Flow 30 leaves on transmit queue 2, and comes back on receive queue 2.
    const tx = stage.openDriver(5, features);
    stage.guest.write(FRAME_AT + 0x2_0000, joined(NO_HEADER, udp(30, true)));
    tx.addReadable(FRAME_AT + 0x2_0000, 72);
    tx.publish();
    stage.turn();
    stage.bring(udp(30));
    expect(used()).toEqual([0, 0, 1]);
    // A pair that is disabled gets nothing more.
    for (const ring of [2, 3, 4, 5]) stage.say(18, words(ring, 0));
    for (const n of [1, 2, 3, 30]) stage.bring(udp(n));
    expect(used()).toEqual([4, 0, 0]);
  });

  test('without MQ there is one pair, whatever is enabled', () => {
    stage.setUp(features & ~MQ);
    stage.start();
    const tx = stage.openDriver(3, features);
    stage.guest.write(FRAME_AT, joined(NO_HEADER, udp(1)));
    tx.addReadable(FRAME_AT, 72);
    tx.publish();
    stage.turn();
    expect(stage.backend.bytes).toEqual([]);
    expect(stage.session.problem).toBeUndefined();
  });
});
