import { closeSync, openSync, readSync } from 'node:fs';
import { close, newEvent, newMemoryFile, takeEvent } from '@ringwire/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { joined, longs, words } from './testing/raw-peer.js';
import { held, PACKED, RAM, SessionStage, SPLIT, usedOf } from './testing/session-stage.js';

const LOG_ALL = 1n << 26n;
/** RAM ends at 0x1_4010_0000: page 0x14_0100, which is bit 0 of byte 0x2_8020. */
const NEEDED = 0x2_8020;
const PAST = RAM.gpa + RAM.size;
const BUFFER = RAM.gpa + 0x9000;
/** Where the used ring of ring 0 lies, or its device event suppression. */
const DEVICE = RAM.gpa + 0x3000;

let stage: SessionStage;
let before: ReturnType<typeof held>;
let file: number;

beforeEach(() => {
  before = held();
  stage = new SessionStage();
  file = newMemoryFile('guest-log', 0x4_0000);
});

afterEach(() => {
  stage.end();
  close(file);
  expect(held().fds).toBe(before.fds);
});

/** Numbers of the pages whose bits are set in the file, from a byte of it on. */
function marked(offset = 0): number[] {
  const bytes = new Uint8Array(0x4_0000 - offset);
  readSync(file, bytes, 0, bytes.length, offset);
  return [...bytes].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0).map((bit) => at * 8 + bit),
  );
}

const page = (gpa: number): number => Math.floor(gpa / 4096);

function setUp(features: bigint): void {
  stage.setUp(features);
  stage.say(16, longs((1n << 1n) | (1n << 3n)));
}

/** A frame into the front-end's buffer: one more buffer used. */
function receive(rx: ReturnType<SessionStage['openDriver']>): void {
  rx.addWritable(BUFFER, 1526);
  rx.publish();
  stage.bring(new Uint8Array(60).fill(7));
  stage.turn();
  expect(usedOf(rx)).toHaveLength(1);
}

test('a log is answered, whether or not an acknowledgement was asked for, and its descriptor is not kept', () => {
  setUp(SPLIT);
  const open = held().fds;
  for (const flags of [1, 9]) {
    stage.say(6, longs(NEEDED, 0), [file], flags);
    expect(stage.peer.answer()).toMatchObject({ id: 6, flags: 5, payload: longs(0) });
  }
  expect(held().fds).toBe(open);
});

describe.each([
  ['split', SPLIT, []],
  ['packed', PACKED, [page(RAM.gpa + 0x1000)]],
] as const)('over a %s ring', (_, features, descPages) => {
  test('LOG_ALL marks the pages of a buffer, and those of the ring where its address says so', () => {
    setUp(features);
    const rx = stage.openDriver(0, features);
    stage.say(9, stage.ringAddress(0, 1, DEVICE));
    stage.say(6, longs(NEEDED, 0), [file]);
    stage.say(2, longs(features | LOG_ALL));
    stage.start();
    expect(stage.session.problem).toBeUndefined();
    receive(rx);
    expect(marked()).toEqual([...descPages, page(DEVICE), page(BUFFER)]);
  });

  test('a ring may be logged at another address than its own, or not at all', () => {
    setUp(features);
    const rx = stage.openDriver(0, features);
    stage.say(6, longs(NEEDED, 0x1000), [file]);
    stage.say(2, longs(features | LOG_ALL));
    stage.start();
    receive(rx);
    expect(marked(0x1000)).toEqual([page(BUFFER)]);
    stage.say(9, stage.ringAddress(0, 1, 0x7ff0));
    receive(rx);
    // 134 bytes of a used ring of 16 run into the next page; the 4 bytes of event suppression do not.
    expect(marked(0x1000)).toEqual([7, ...(features === SPLIT ? [8] : descPages), page(BUFFER)]);
    expect(marked().slice(0, 1)).toEqual([0x1000 * 8 + 7]);
  });

  test('LOG_ALL and the rings’ flag come and go while rings run, and no frame is lost', () => {
    setUp(features);
    const rx = stage.openDriver(0, features);
    stage.say(6, longs(NEEDED, 0), [file]);
    stage.start();
    receive(rx);
    expect(marked()).toEqual([]);
    stage.say(2, longs(features | LOG_ALL));
    receive(rx);
    expect(marked()).toEqual([page(BUFFER)]);
    stage.say(9, stage.ringAddress(0, 1, DEVICE));
    stage.say(9, stage.ringAddress(0, 1, DEVICE));
    receive(rx);
    const all = [...descPages, page(DEVICE), page(BUFFER)];
    expect(marked()).toEqual(all);
    stage.say(2, longs(features));
    stage.session.port.dirty.clear();
    receive(rx);
    expect(stage.session.problem).toBeUndefined();
    expect(marked()).toEqual(all);
  });

  test('what is written because a ring stops is marked before its position is told', () => {
    setUp(features);
    const rx = stage.openDriver(0, features);
    stage.say(6, longs(NEEDED, 0), [file]);
    stage.say(9, stage.ringAddress(0, 1, DEVICE));
    stage.say(2, longs(features | LOG_ALL));
    stage.start();
    rx.addWritable(BUFFER, 1526);
    rx.publish();
    stage.bring(new Uint8Array(60), false);
    stage.ask(11, words(0, 0));
    expect(marked()).toEqual([...descPages, page(DEVICE), page(BUFFER)]);
  });
});

test('LOG_ALL may come before its log, as from a front-end that starts a device in the middle of a migration', () => {
  setUp(SPLIT);
  const rx = stage.openDriver(0, SPLIT);
  stage.say(2, longs(SPLIT | LOG_ALL));
  stage.start();
  receive(rx);
  stage.say(6, longs(NEEDED, 0), [file]);
  receive(rx);
  expect(marked()).toEqual([page(BUFFER)]);
});

test('a frame that only leaves marks no buffer', () => {
  setUp(SPLIT);
  const tx = stage.openDriver(1, SPLIT);
  stage.say(6, longs(NEEDED, 0), [file]);
  stage.say(2, longs(SPLIT | LOG_ALL));
  stage.start();
  tx.addReadable(BUFFER, 72);
  tx.publish();
  stage.turn();
  expect(usedOf(tx)).toHaveLength(1);
  expect(marked()).toEqual([]);
});

test('pages are those of the memory table as it is now', () => {
  setUp(SPLIT);
  const rx = stage.openDriver(0, SPLIT);
  stage.say(6, longs(NEEDED, 0), [file]);
  stage.say(2, longs(SPLIT | LOG_ALL));
  stage.start();
  // The driver's addresses are guest-physical: with the table they move down by 16 pages, and the rings with them.
  const moved = RAM.gpa - 0x1_0000;
  stage.say(5, joined(words(1, 0), longs(moved, RAM.size, RAM.userspace, RAM.offset)), [stage.file]);
  expect(stage.session.problem).toBeUndefined();
  rx.addWritable(BUFFER, 1526);
  rx.publish();
  stage.bring(new Uint8Array(60));
  expect(marked()).toEqual([page(BUFFER)]);
  expect(stage.guest.read(BUFFER + 0x1_0000 + 12, 60)).toEqual(new Uint8Array(60));
});

test('SET_LOG_FD: the event is signalled in turns in which pages were marked', () => {
  setUp(SPLIT);
  const rx = stage.openDriver(0, SPLIT);
  const event = newEvent();
  for (const _ of [1, 2]) stage.say(7, new Uint8Array(0), [event]);
  stage.say(6, longs(NEEDED, 0), [file]);
  stage.say(2, longs(SPLIT | LOG_ALL));
  stage.start();
  takeEvent(event);
  stage.turn();
  expect(takeEvent(event)).toBe(false);
  receive(rx);
  expect(takeEvent(event)).toBe(true);
  close(event);
});

describe('VU-19', () => {
  const MAX = 2n ** 64n - 1n;
  const refused = (payload: Uint8Array, fds: number[]): string | undefined => {
    stage.say(6, payload, fds, 9);
    expect(stage.peer.answer()?.payload).toEqual(longs(1));
    return stage.session.refusal;
  };

  test('a log that cannot be is refused, and the one before goes on', () => {
    setUp(SPLIT);
    const rx = stage.openDriver(0, SPLIT);
    stage.say(6, longs(NEEDED, 0), [file]);
    stage.peer.answer();
    stage.say(2, longs(SPLIT | LOG_ALL));
    stage.start();
    const { inUse } = stage.memory;
    expect(refused(longs(MAX, 1), [file])).toMatch(/^a log of 18446744073709551615 bytes/);
    expect(refused(longs(NEEDED, MAX - 3n), [file])).toMatch(/^a log of 163872 bytes from 18446744073709551612 on/);
    expect(refused(longs(NEEDED, 2), [file])).toBe('a log from 2 on, want a multiple of 4');
    expect(refused(longs(NEEDED - 1, 0), [file])).toBe('a log of 163871 bytes, want 163872 for all memory');
    expect(refused(longs(0, 0), [file])).toBe('a log of 0 bytes, want 163872 for all memory');
    expect(refused(longs(NEEDED, 0x2_0000), [file])).toMatch(/are more than the file's 262144/);
    expect(refused(longs(2n ** 40n, 0), [file])).toMatch(/are more than the file's 262144/);
    expect(refused(longs(NEEDED, 0), [])).toBe('a log without a descriptor');
    expect(refused(longs(NEEDED, 0), [stage.kicks[0]!])).toBe('the descriptor is no file');
    const readOnly = openSync(`/proc/self/fd/${file}`, 'r');
    expect(refused(longs(NEEDED, 0), [readOnly])).toBe('mmap: EACCES');
    closeSync(readOnly);
    expect(stage.memory.inUse).toBe(inUse);
    receive(rx);
    expect(marked()).toEqual([page(BUFFER)]);
  });

  test('a log without the protocol feature is refused, and so is one told by a flag that there is not', () => {
    stage.setUp(SPLIT);
    expect(refused(longs(NEEDED, 0), [file])).toBe('SET_LOG_BASE was not negotiated');
    stage.say(9, stage.ringAddress(0, 3), [], 9);
    expect(stage.session.refusal).toBe('ring flags are 3, want 0 or 1');
    stage.say(7, new Uint8Array(0), [], 9);
    expect(stage.session.refusal).toBe('SET_LOG_FD was not negotiated');
  });

  test.each([
    [
      'memory',
      PAST,
      () => stage.say(5, joined(words(1, 0), longs(PAST, RAM.size, RAM.userspace, RAM.offset)), [stage.file]),
    ],
    ['a ring', RAM.gpa, () => stage.say(9, stage.ringAddress(0, 1, PAST))],
  ])('%s that grows past the log: nothing is marked outside, and the connection ends', (_, gpa, grow) => {
    setUp(SPLIT);
    const rx = stage.openDriver(0, SPLIT);
    stage.say(6, longs(NEEDED, 0), [file]);
    stage.say(2, longs(SPLIT | LOG_ALL));
    stage.start();
    grow();
    rx.addWritable(gpa + 0x9000, 1526);
    rx.publish();
    stage.bring(new Uint8Array(60));
    stage.turn();
    expect(usedOf(rx)).toHaveLength(1);
    expect(stage.session.port.broken).toBe('a page was written that is past the end of the log');
    // The file goes on where the log ends.
    expect(marked(NEEDED)).toEqual([]);
  });
});
