import { fstatSync, readSync, writeSync } from 'node:fs';
import { close, newMemoryFile } from '@ringwire/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { joined, longs, words } from './testing/raw-peer.js';
import { held, PACKED, QUEUE_SIZE, RAM, SessionStage, SPLIT, usedOf } from './testing/session-stage.js';

/** INFLIGHT_SHMFD 12, REPLY_ACK 3. */
const PROTOCOL = (1n << 12n) | (1n << 3n);
const FRAME_AT = RAM.gpa + 0x9000;

let stage: SessionStage;
let before: ReturnType<typeof held>;

beforeEach(() => {
  before = held();
  stage = new SessionStage();
});

afterEach(() => {
  stage.end();
  expect(held().fds).toBe(before.fds);
});

/** mmap size, mmap offset; num queues, queue size, padding. */
function inflight(size: number | bigint, offset: number | bigint, queues: number, queueSize: number): Uint8Array {
  return joined(longs(size, offset), words(queues | (queueSize << 16), 0));
}

function setUp(features: bigint): void {
  stage.setUp(features);
  stage.say(16, longs(PROTOCOL));
}

function newArea(queues = 2, size = QUEUE_SIZE): { payload: Uint8Array; file: number } {
  stage.say(31, inflight(0, 0, queues, size));
  const fds: number[] = [];
  const { payload } = stage.peer.answer(fds)!;
  expect(fds).toHaveLength(1);
  return { payload, file: fds[0]! };
}

describe.each([
  // Split: 16 bytes and 16 for each of 16 descriptors, packed: 32 and 32; in multiples of 64.
  ['split', SPLIT, 320],
  ['packed', PACKED, 576],
] as const)('over a %s ring', (_, features, each) => {
  test('an area is made for as many rings as are asked for, zeroed, and goes on with the next connection', () => {
    setUp(features);
    const { payload, file } = newArea();
    expect(payload).toEqual(inflight(2 * each, 0, 2, QUEUE_SIZE));
    expect(fstatSync(file).size).toBe(2 * each);
    stage.say(32, payload, [file], 9);
    expect(stage.peer.answer()?.payload).toEqual(longs(0));
    const tx = stage.openDriver(1, features);
    stage.start();
    stage.guest.write(FRAME_AT, new Uint8Array(72));
    const send = (): void => {
      for (let n = 0; n < 3; n++) tx.addReadable(FRAME_AT, 72);
      tx.publish();
      stage.turn();
      expect(usedOf(tx)).toHaveLength(3);
    };
    send();
    stage.session.close();
    stage.reconnect();
    // A front-end whose back-end went away does not know where a ring was: the area does.
    stage.setUp(features);
    stage.say(16, longs(PROTOCOL));
    stage.say(32, payload, [file]);
    stage.start();
    expect(stage.session.problem).toBeUndefined();
    send();
    expect(stage.backend.bytes).toHaveLength(6);
    close(file);
  });

  test('a ring whose position was told goes on where the front-end says', () => {
    setUp(features);
    const { payload, file } = newArea();
    stage.say(32, payload, [file]);
    stage.start();
    const tx = stage.openDriver(1, features);
    tx.addReadable(FRAME_AT, 72);
    tx.publish();
    stage.turn();
    const base = new Uint32Array(stage.ask(11, words(1, 0))!.buffer)[1]!;
    expect(base & 0x7fff).toBe(1);
    // The driver begins anew, and so does the ring.
    const again = stage.openDriver(1, features);
    stage.say(10, words(1, features === PACKED ? 0x8000 : 0));
    stage.say(12, longs(1), [stage.kicks[1]!]);
    again.addReadable(FRAME_AT, 72);
    again.publish();
    stage.turn();
    expect(usedOf(again)).toHaveLength(1);
    close(file);
  });

  test('after a reset of the device nothing that was in flight is, and the area is as a new one', () => {
    setUp(features);
    stage.say(16, longs(PROTOCOL | (1n << 13n)));
    const { payload, file } = newArea();
    stage.say(32, payload, [file]);
    stage.start();
    stage.say(34, new Uint8Array(0));
    for (const ring of [0, 1]) {
      const version = new Uint8Array(1);
      readSync(file, version, 0, 1, ring * each + 8);
      expect(version).toEqual(Uint8Array.of(0));
    }
    close(file);
  });
});

describe('VU-20', () => {
  const refused = (id: number, payload: Uint8Array, fds: number[] = []): string | undefined => {
    stage.say(id, payload, fds, 9);
    expect(stage.peer.answer()?.payload).toEqual(longs(1));
    return stage.session.refusal;
  };

  test('an area of more rings or descriptors than there are is refused, and so is one that is too small', () => {
    setUp(SPLIT);
    const file = newMemoryFile('area', 0x1000);
    const { inUse } = stage.memory;
    for (const id of [31, 32]) {
      expect(refused(id, inflight(0x1000, 0, 3, 16))).toBe('3 in-flight regions, want 1 to 2');
      expect(refused(id, inflight(0x1000, 0, 0, 16))).toBe('0 in-flight regions, want 1 to 2');
      expect(refused(id, inflight(0x1000, 0, 0xffff, 16))).toBe('65535 in-flight regions, want 1 to 2');
      expect(refused(id, inflight(0x1000, 0, 2, 17))).toBe('in-flight regions for 17 descriptors, want 1 to 16');
      expect(refused(id, inflight(0x1000, 0, 2, 0))).toBe('in-flight regions for 0 descriptors, want 1 to 16');
    }
    expect(refused(32, inflight(0x1000, 0, 2, 16))).toBe('an in-flight area without a descriptor');
    expect(refused(32, inflight(639, 0, 2, 16), [file])).toBe('an in-flight area of 639 bytes, want 640');
    expect(refused(32, inflight(640, 4, 2, 16), [file])).toMatch(/from 4 on, want a multiple of 8/);
    expect(refused(32, inflight(2n ** 64n - 8n, 8, 2, 16), [file])).toMatch(
      /^an in-flight area of 18446744073709551608/,
    );
    expect(refused(32, inflight(640, 0x1000, 2, 16), [file])).toMatch(/more than the file's 4096/);
    expect(refused(32, inflight(640, 0, 2, 16), [stage.kicks[0]!])).toBe('the descriptor is no file');
    expect(stage.memory.inUse).toBe(inUse);
    close(file);
  });

  test('an area is refused while a ring runs, and a ring that it is too small for is not started', () => {
    setUp(SPLIT);
    const { payload, file } = newArea(2, 8);
    stage.say(32, payload, [file]);
    stage.say(12, longs(0), [stage.kicks[0]!]);
    expect(refused(18, words(0, 1))).toBe('ring 0 has 16 descriptors, its in-flight region 8');
    stage.say(12, longs(1), [stage.kicks[1]!]);
    expect(refused(32, payload, [file])).toBe('the in-flight area changed while a ring runs');
    close(file);
  });

  test('an area of the other layout is refused when its ring starts, and nonsense in it too', () => {
    setUp(SPLIT);
    const { payload, file } = newArea();
    stage.say(32, payload, [file]);
    stage.say(2, longs(PACKED));
    stage.say(12, longs(1), [stage.kicks[1]!]);
    expect(refused(18, words(1, 1))).toBe('the in-flight region of ring 1 is past the end of the area');
    stage.say(2, longs(SPLIT));
    writeSync(file, Uint8Array.of(7), 0, 1, 320 + 8);
    expect(refused(12, longs(1), [stage.kicks[1]!])).toBe("ring 1: the in-flight region's version is 7, want 1");
    expect(stage.port.queue(1)).toBeUndefined();
    close(file);
  });
});

test('a ring beyond those that the area is for is not on record', () => {
  setUp(SPLIT);
  const { payload, file } = newArea(1);
  stage.say(32, payload, [file]);
  stage.start();
  expect(stage.session.problem).toBeUndefined();
  expect(stage.session.port.vrings.map(({ queue }) => queue?.constructor.name)).toEqual([
    'InflightQueue',
    'LoopedDeviceSplitQueue',
  ]);
  close(file);
});
