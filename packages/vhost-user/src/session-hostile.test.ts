import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { close, newEvent, newMemoryFile, send, signalEvent, takeEvent } from '@ringwire/linux';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { joined, longs, words } from './testing/raw-peer.js';
import { held, RAM, SessionStage, SPLIT } from './testing/session-stage.js';

let stage: SessionStage;
let before: ReturnType<typeof held>;

beforeEach(() => {
  before = held();
  stage = new SessionStage();
});

afterEach(() => {
  stage.end();
  expect(held()).toEqual({ fds: before.fds, maps: expect.any(Number) });
});

const NOTHING = new Uint8Array(0);

test('VU-03: one byte at a time works', () => {
  const message = joined(words(1, 1, 0));
  for (const byte of message) {
    expect(stage.peer.answer()).toBeUndefined();
    send(stage.peer.socket, Uint8Array.of(byte));
    stage.session.serve(64);
  }
  expect(stage.peer.answer()).toMatchObject({ id: 1 });
  expect(stage.session.waitingSince).toBe(Number.POSITIVE_INFINITY);
});

test('VU-02: half a message, then silence: it is known since when', () => {
  stage.time = 7;
  send(stage.peer.socket, words(2, 1, 8));
  stage.session.serve(64);
  stage.time = 9;
  stage.session.serve(64);
  expect(stage.session.waitingSince).toBe(7);
  send(stage.peer.socket, longs(SPLIT));
  stage.session.serve(64);
  expect(stage.session.waitingSince).toBe(Number.POSITIVE_INFINITY);
  expect(stage.session.problem).toBeUndefined();
});

describe('what can be no message ends the connection', () => {
  test.each([
    ['VU-01: a size beyond the largest message', words(2, 1, 269), 'size is 269, want at most 268'],
    ['VU-01: a negative size', words(2, 1, -1), 'size is 4294967295, want at most 268'],
    [
      'VU-01: a size that is not the request’s',
      joined(words(2, 1, 4), words(0)),
      'SET_FEATURES has 4 bytes, want 8 to 8',
    ],
    ['VU-04: version 0', words(1, 0, 0), 'version 0, want 1'],
    ['VU-04: version 2', words(1, 2, 0), 'version 2, want 1'],
    ['VU-04: the reply flag', words(1, 5, 0), 'a reply, to nothing that was asked'],
    ['VU-05: an unknown request, unless it asks for a reply', words(99, 1, 0), 'request 99 is unknown'],
  ])('%s', (_, bytes, problem) => {
    stage.say(16, longs(8));
    send(stage.peer.socket, bytes);
    stage.session.serve(64);
    expect(stage.session.problem).toBe(problem);
    stage.session.close();
    expect(stage.peer.isOpen).toBe(false);
  });

  test('VU-27: an end in the middle of a message, at any byte', () => {
    for (let cut = 0; cut < 20; cut++) {
      const other = new SessionStage();
      send(other.peer.socket, joined(words(5, 1, 8), longs(1)).subarray(0, cut), cut === 0 ? [] : [other.file]);
      close(other.peer.socket);
      other.session.serve(64);
      expect(other.session.problem).toBe(cut === 0 ? 'the connection ended' : 'the connection ended within a message');
      Object.assign(other.peer, { socket: -1 });
      other.end();
    }
  });
});

/** A request that is refused, what comes along, and why. */
type Refused = readonly [
  title: string,
  id: number,
  payload: () => Uint8Array,
  fds: () => number[],
  refusal: string | RegExp,
];

const none = (): number[] => [];
const file = (): number[] => [stage.file];
const event = (): number[] => [stage.kicks[0]!];
const region = (
  gpa: number | bigint,
  size: number | bigint,
  at: number | bigint,
  offset: number | bigint,
): Uint8Array => longs(gpa, size, at, offset);
const tableOf = (...regions: Uint8Array[]): Uint8Array => joined(words(regions.length, 0), ...regions);
const MAX = 2n ** 64n - 1n;

const REFUSED: readonly Refused[] = [
  ['VU-05: an unknown request', 99, () => NOTHING, none, 'request 99 is unknown'],
  ['VU-05: a request of a feature that is not offered', 28, () => NOTHING, none, 'request 28 is unknown'],
  ['VU-05: a request that was not negotiated', 40, () => NOTHING, none, 'GET_STATUS was not negotiated'],
  [
    'VU-06: a descriptor where there is to be none',
    3,
    () => NOTHING,
    event,
    'SET_OWNER has 1 descriptors, want at most 0',
  ],
  ['VU-06: two kicks', 12, () => longs(0), () => [stage.kicks[0]!, stage.kicks[1]!], /has 2 descriptors/],
  ['VU-06: no descriptor for a kick', 12, () => longs(0), none, 'no descriptor'],
  ['VU-06: a descriptor beside NOFD', 12, () => longs(0x100), event, 'a descriptor where there is to be none'],
  ['VU-06: no descriptor for a region', 5, () => stage.memTable(), none, '0 descriptors for 1 regions'],
  ['VU-07: no region', 5, () => words(0, 0), none, '0 regions, want 1 to 8'],
  ['VU-07: nine regions', 5, () => words(9, 0), none, '9 regions, want 1 to 8'],
  ['VU-07: a region that is not there', 5, () => words(1, 0), file, '1 regions are not all there'],
  ['VU-07: an empty region', 5, () => tableOf(region(0, 0, 0, 0)), file, 'a region of no bytes'],
  ['VU-07: addresses that wrap', 5, () => tableOf(region(MAX - 0xfffn, 0x2000, 0, 0)), file, /^a region of 8192 bytes/],
  [
    'VU-07: front-end addresses that wrap',
    5,
    () => tableOf(region(0, 0x2000, MAX, 0)),
    file,
    /^a region of 8192 bytes/,
  ],
  [
    'VU-07: regions that overlap',
    5,
    () => tableOf(region(0x2000, 0x1000, 0x1_0000, 0), region(0x1000, 0x1001, 0x2_0000, 0)),
    () => [stage.file, stage.file],
    'two regions have gpa 0x2000',
  ],
  [
    'VU-07: regions that overlap for the front-end',
    5,
    () => tableOf(region(0x2000, 0x1000, 0x1_0000, 0), region(0x1000, 0x1000, 0x1_0fff, 0)),
    () => [stage.file, stage.file],
    'two regions have userspace 0x10fff',
  ],
  ['VU-08: a region beyond the file', 5, () => tableOf(region(0, 0x10_1001, 0, 0)), file, /more than the file's/],
  ['VU-08: an offset beyond the file', 5, () => tableOf(region(0, 0x1000, 0, 0x10_1000)), file, /more than the file's/],
  ['VU-08: an offset that wraps', 5, () => tableOf(region(0, 0x1000, 0, MAX)), file, /^a region of 4096 bytes/],
  ['VU-10: an event for a region', 5, () => stage.memTable(), event, 'the descriptor is no file'],
  ['VU-12: a ring that there is not', 8, () => words(2, 16), none, 'there is no ring 2'],
  ['VU-12: a ring good in its low bits', 8, () => words(0x1_0000, 16), none, 'there is no ring 65536'],
  [
    'VU-12: a kick for a ring good in its low bits',
    12,
    () => longs(0x1_0000_0000),
    event,
    'there is no ring 4294967296',
  ],
  ['VU-12: a base of a ring that there is not', 11, () => words(7, 0), none, 'there is no ring 7'],
  ['VU-13: a size of 0', 8, () => words(0, 0), none, 'size is 0, want 1 to 16'],
  ['VU-13: a size of 65535', 8, () => words(0, 65535), none, 'size is 65535, want 1 to 16'],
  ['VU-16: a kick that is a file', 12, () => longs(0), file, 'kick is no event descriptor'],
  ['VU-17: a call that is a file', 13, () => longs(0), file, 'call is no event descriptor'],
  [
    'a ring flag that there is not',
    9,
    () => joined(words(0, 2), longs(0, 0, 0, 0)),
    none,
    'ring flags are 2, want 0 or 1',
  ],
  ['a ring address beyond 2^53', 9, () => joined(words(0, 0), longs(MAX, 0, 0, 0)), none, 'a ring address beyond 2^53'],
  ['features that were not offered', 2, () => longs(1n << 63n), none, /were not offered/],
  ['enabling by 2', 18, () => words(0, 2), none, 'enable is 2, want 0 or 1'],
];

describe.each([
  ['is answered with an error', 9],
  ['ends the connection', 1],
] as const)('a request that cannot be %s', (_, flags) => {
  test.each(REFUSED)('%s', (_title, id, payload, fds, refusal) => {
    stage.say(16, longs(8));
    stage.say(id, payload(), fds(), flags);
    if (flags === 9) {
      expect(stage.peer.answer()).toMatchObject({ id, flags: 5, payload: longs(1) });
      expect(stage.session.refusal).toMatch(refusal);
      expect(stage.session.problem).toBeUndefined();
    } else expect(stage.session.problem).toMatch(refusal);
    expect(stage.memory.inUse).toBe(0);
  });
});

describe('once it is set up', () => {
  const refused = (id: number, payload: Uint8Array, fds: number[] = []): string | undefined => {
    stage.say(id, payload, fds, 9);
    expect(stage.peer.answer()?.payload).toEqual(longs(1));
    return stage.session.refusal;
  };

  test('VU-07: a table that is refused leaves the one before', () => {
    stage.setUp(SPLIT);
    expect(refused(5, tableOf(region(0, 0, 0, 0)), [stage.file])).toBe('a region of no bytes');
    stage.start();
    expect(stage.port.queue(1)?.size).toBe(16);
  });

  test('VU-10: a read-only file is refused, and then there is no memory', () => {
    stage.setUp(SPLIT);
    const fd = openSync(`/proc/self/fd/${stage.file}`, 'r');
    expect(refused(5, stage.memTable(), [fd])).toBe('mmap: EACCES');
    closeSync(fd);
    expect(stage.memory.inUse).toBe(0);
  });

  test('VU-13: a size that changes while the ring runs', () => {
    stage.setUp(SPLIT);
    stage.start();
    expect(refused(8, words(0, 8))).toBe('the size of ring 0 changed while it runs');
    expect(refused(10, words(0, 8))).toBe('the base of ring 0 changed while it runs');
    expect(refused(2, longs(SPLIT | 32n))).toBe('features changed while a ring runs');
  });

  test('VU-13: a size that a split ring cannot have', () => {
    stage.setUp(SPLIT);
    stage.say(8, words(0, 12));
    stage.say(12, longs(0), [stage.kicks[0]!]);
    expect(refused(18, words(0, 1))).toMatch(/size is 12, want a power of two/);
    expect(stage.port.queue(0)).toBeUndefined();
  });

  test.each([
    ['in no region', 0x7000_0000_0000, /part that is in no region/],
    ['across the end of a region', RAM.userspace + RAM.size - 16, /want 256 bytes of contiguous memory/],
    ['not aligned', RAM.userspace + 0x1008, /want a multiple of 16/],
  ])('VU-14: ring addresses %s: the queue is not started', (_, desc, refusal) => {
    stage.setUp(SPLIT);
    const at = RAM.userspace;
    stage.say(9, joined(words(0, 0), longs(desc, at + 0x3000, at + 0x2000, 0)));
    stage.say(12, longs(0), [stage.kicks[0]!]);
    expect(refused(18, words(0, 1))).toMatch(refusal);
    expect(stage.port.queue(0)).toBeUndefined();
  });

  test('VU-15: a base past the end of a packed ring is refused, any is taken modulo 2^16 for a split one', () => {
    stage.setUp(SPLIT | (1n << 34n), [16, 0x8000]);
    stage.say(12, longs(0), [stage.kicks[0]!]);
    expect(refused(18, words(0, 1))).toMatch(/lastAvailIdx is 16, want below 16/);
    stage.say(2, longs(SPLIT));
    stage.say(10, words(0, 0x1_0005));
    stage.say(12, longs(0), [stage.kicks[0]!]);
    stage.say(18, words(0, 1));
    expect(stage.session.problem).toBeUndefined();
    expect(stage.port.queue(0)?.save()).toMatchObject({ lastAvailIdx: 5 });
  });

  test('VU-18: kick and call set many times leave no descriptor behind', () => {
    stage.setUp(SPLIT);
    const open = held().fds;
    for (let round = 0; round < 3000; round++) {
      stage.say(12, longs(round & 1), [stage.kicks[0]!]);
      stage.say(13, longs(round & 1), [stage.calls[0]!]);
      stage.say(14, longs(round & 1), [stage.calls[0]!]);
    }
    expect(stage.session.problem).toBeUndefined();
    // Both calls were there; kicks and errors are new.
    expect(held().fds).toBe(open + 4);
  });

  test('VU-17: a call whose counter is full does not block', () => {
    stage.setUp(SPLIT);
    const call = newEvent();
    for (let add = 0; add < 3; add++) signalEvent(call);
    stage.say(13, longs(1), [call]);
    stage.start();
    for (let round = 0; round < 3; round++) {
      stage.session.port.notifyUsed(1);
      stage.session.port.finishTurn();
    }
    close(call);
    expect(stage.session.problem).toBeUndefined();
  });

  test('VU-16: a kick that is always there is given up, with its connection', () => {
    stage.setUp(SPLIT);
    stage.start();
    const [kick, usual] = [newEvent(true), stage.session.port.vrings[0]!];
    writeSync(kick, new Uint8Array(new BigUint64Array([1n << 40n]).buffer));
    stage.say(12, longs(1), [kick]);
    for (let look = 0; look < 400; look++) {
      signalEvent(stage.kicks[0]!);
      stage.session.port.kicked(usual);
      stage.session.port.kicked(stage.session.port.vrings[1]!);
    }
    expect(stage.session.port.broken).toBeUndefined();
    for (let look = 0; look < 1000; look++) stage.session.port.kicked(stage.session.port.vrings[1]!);
    expect(stage.session.port.broken).toBe('the kick of ring 1 has no end');
    close(kick);
  });

  test('VU-24: configuration past its end: an answer without bytes, and an error for a write', () => {
    stage.say(16, longs(8 | (1 << 9)));
    for (const [offset, size, bytes] of [
      [0, 256, 256],
      [0xffff_ffff, 2, 2],
      [0, 4, 8],
    ] as const) {
      const payload = joined(words(offset, size, 0), new Uint8Array(bytes));
      expect(stage.ask(24, payload)).toEqual(NOTHING);
      expect(refused(25, payload)).toBe('the configuration is shorter');
    }
  });

  test('a ring that cannot be trusted ends the connection, and the front-end is told by its error event', () => {
    stage.setUp(SPLIT);
    const error = newEvent();
    stage.say(14, longs(1), [error]);
    stage.start();
    // avail.idx runs 100 ahead in a ring of 16.
    stage.guest.write(RAM.gpa + 0x6002, Uint8Array.of(100, 0));
    stage.turn();
    expect(stage.session.port.broken).toMatch(/^ring 1 cannot be trusted/);
    expect(takeEvent(error)).toBe(true);
    close(error);
  });
});

test('VU-10: a file that was cut before it is mapped is measured first', () => {
  const small = newMemoryFile('cut', 0x1000);
  ftruncateSync(small, 0x800);
  stage.say(5, tableOf(region(0, 0x1000, 0, 0)), [small]);
  expect(stage.session.problem).toBe("4096 bytes from 0 on are more than the file's 2048");
  close(small);
});

/** A log for all of RAM, in whole pages. */
const LOG_BYTES = 0x2_9000;
const AREA_BYTES = 0x1000;

test('VU-25: in whatever order requests come, nothing throws and nothing is left behind', () => {
  const request = fc.record({
    id: fc.constantFrom(
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      9,
      10,
      11,
      12,
      13,
      14,
      15,
      16,
      17,
      18,
      24,
      25,
      34,
      36,
      37,
      38,
      39,
      40,
      77,
    ),
    flags: fc.constantFrom(1, 9),
    ring: fc.constantFrom(0, 1, 2),
    value: fc.constantFrom(0, 1, 8, 16, 0x8000),
    good: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
      const open = held();
      const other = new SessionStage();
      other.setUp(SPLIT);
      other.say(16, longs(0x1_b20an));
      const region64 = joined(longs(0), longs(RAM.gpa, RAM.size, RAM.userspace, RAM.offset));
      for (const { id, flags, ring, value, good } of requests) {
        const sizes: Record<number, () => Uint8Array> = {
          2: () => longs(good ? SPLIT | (BigInt(value & 1) << 26n) : BigInt(value)),
          5: () => other.memTable(),
          6: () => longs(LOG_BYTES, 0),
          9: () => other.ringAddress(ring, value & 1),
          12: () => longs(ring),
          13: () => longs(ring),
          14: () => longs(ring),
          16: () => longs(0x1_b20an),
          24: () => joined(words(0, 6, 0), new Uint8Array(6)),
          25: () => joined(words(0, 6, 0), new Uint8Array(6)),
          31: () => joined(longs(0x1000, 0), words(2 | (16 << 16))),
          32: () => joined(longs(0x1000, 0), words(2 | (16 << 16))),
          37: () => region64,
          38: () => region64,
          39: () => longs(value),
        };
        const payload = sizes[id]?.() ?? ([8, 10, 11, 18].includes(id) ? words(ring, value) : NOTHING);
        const wanted = [5, 6, 32, 37].includes(id)
          ? [other.file]
          : [7, 12, 13, 14].includes(id)
            ? [other.kicks[0]!]
            : [];
        other.say(id, payload, good ? wanted : [], flags);
        const received: number[] = [];
        other.peer.answer(received);
        for (const fd of received) close(fd);
        other.turn();
        if (other.session.problem !== undefined || other.session.port.broken !== undefined) break;
      }
      const { inUse } = other.memory;
      const sums = [0, LOG_BYTES, AREA_BYTES, LOG_BYTES + AREA_BYTES].flatMap((bytes) => [bytes, RAM.size + bytes]);
      expect(sums).toContain(inUse);
      other.end();
      expect(held().fds).toBe(open.fds);
      expect(other.memory.inUse).toBe(0);
    }),
    { numRuns: 60 },
  );
});
