import { fstatSync, readSync, writeSync } from 'node:fs';
import { close, newMemoryFile } from '@ringwire/linux';
import { DELIVERED } from '@ringwire/net-backend';
import { featuresFromBigInt } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue } from '@ringwire/virtqueue';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { joined, long, longs, RawPeer, words } from './testing/raw-peer.js';
import { connection, held, PACKED, QUEUE_SIZE, RAM, SessionStage, SPLIT, usedOf } from './testing/session-stage.js';

const REPLY_ACK = 1n << 3n;
const BACKEND_REQ = 1n << 5n;
const ACCESS_PLATFORM = 1n << 33n;
const LOG_SHMFD = 1n << 1n;
const LOG_ALL = 1n << 26n;
const PAGE = 0x1000;
const PAGES = RAM.size / PAGE;
/** Where translated addresses begin. */
const IOVA = 0x7_0000_0000;
/** A ring's parts, from {@link IOVA} on, a page each. */
const RING = { desc: 0, driver: PAGE, device: 2 * PAGE, NEXT: 4 * PAGE } as const;
const FRAMES = 32 * PAGE;
const [READ, WRITE, BOTH] = [1, 2, 3];

let stage: SessionStage;
let front: RawPeer;
let before: ReturnType<typeof held>;
/** Pages that the front-end was asked for, each with its access. */
let asked: [page: number, access: number][];
/** Pages that the front-end keeps silent about. */
let silent: Set<number>;

beforeEach(() => {
  before = held();
  stage = new SessionStage({ pairs: 2, externalControl: true, features: [5, 15, 22] });
  asked = [];
  silent = new Set();
});

afterEach(() => {
  close(front.socket);
  stage.end();
  expect(held().fds).toBe(before.fds);
});

/** The front-end's translation: pages in reverse order, so that no address is right by chance. */
const offsetOf = (at: number): number => RAM.size - PAGE - (at - (at % PAGE)) + (at % PAGE);
const gpaOf = (at: number): number => RAM.gpa + offsetOf(at);

/** iova, size, userspace, permissions, type, padding to 32 bytes. */
function iotlb(
  iova: number | bigint,
  size: number | bigint,
  user: number | bigint,
  access: number,
  type = 2,
): Uint8Array {
  return joined(longs(iova, size, user), Uint8Array.of(access, type, 0, 0, 0, 0, 0, 0));
}

/** Send IOTLB_MSG. @returns the answer, which there is with and without acknowledgements */
function tell(payload: Uint8Array): bigint {
  return long(stage.ask(22, payload)!);
}

const translate = (at: number, access: number): bigint =>
  tell(iotlb(IOVA + at, PAGE, RAM.userspace + offsetOf(at), access));

/** Answer what is asked until nothing is. @returns kinds other than misses, with their pages */
function serveMisses(access = BOTH): [kind: number, page: number][] {
  const others: [number, number][] = [];
  stage.turn();
  for (let one = front.answer(); one !== undefined; one = front.answer()) {
    const view = new DataView(one.payload.buffer);
    const page = Number(view.getBigUint64(0, true)) - IOVA;
    expect([one.id, one.payload.length, page % PAGE]).toEqual([1, 32, 0]);
    if (view.getUint8(25) !== 1) others.push([view.getUint8(25), page]);
    else {
      asked.push([page, view.getUint8(24)]);
      if (!silent.has(page)) expect(translate(page, access)).toBe(0n);
    }
    if (one.flags === 9) answer(0);
    stage.turn();
  }
  return others;
}

function answer(value: number): void {
  front.send(1, longs(value), [], 5);
  stage.session.serveChannel();
}

describe.each([
  ['split', SPLIT | ACCESS_PLATFORM | (1n << 22n)],
  ['packed', PACKED | ACCESS_PLATFORM | (1n << 22n)],
] as const)('%s rings by translated addresses', (layout, features) => {
  /** Everything running, its rings unknown so far. */
  function start(protocol = BACKEND_REQ): void {
    setUp(protocol);
    stage.start();
    expect(stage.session.problem).toBeUndefined();
  }

  function setUp(protocol: bigint): void {
    stage.setUp(features);
    stage.say(16, longs(protocol));
    const [client, server] = connection();
    front = new RawPeer(client);
    stage.say(21, new Uint8Array(0), [server]);
    close(server);
    for (const ring of stage.rings) {
      const at = IOVA + ring * RING.NEXT;
      stage.say(9, joined(words(ring, 0), longs(at + RING.desc, at + RING.device, at + RING.driver, 0)));
    }
  }

  function driver(ring: number): DriverQueue {
    const at = ring * RING.NEXT;
    return openDriverQueue({
      space: stage.guest,
      size: QUEUE_SIZE,
      desc: gpaOf(at + RING.desc),
      driver: gpaOf(at + RING.driver),
      device: gpaOf(at + RING.device),
      features: featuresFromBigInt(features & ~(1n << 30n)),
    });
  }

  const frame = (value: number): Uint8Array => new Uint8Array(60).fill(value);
  /** Make a frame with header available, in a page of its own. */
  function send(tx: DriverQueue, at: number, value: number): void {
    stage.guest.write(gpaOf(at), joined(new Uint8Array(12), frame(value)));
    tx.addReadable(IOVA + at, 72);
    tx.publish();
  }
  const sent = (): number[] => stage.backend.bytes.map((bytes) => bytes[20]!);

  test('rings and frames are found by asking, each page once, and with the access that is needed', () => {
    start();
    const [rx, tx] = [driver(0), driver(1)];
    expect(stage.port.queue(1)).toBeUndefined();
    serveMisses();
    expect(stage.rings.map((ring) => stage.port.queue(ring)?.size)).toEqual(Array(4).fill(QUEUE_SIZE));
    const parts = layout === 'packed' ? [BOTH, READ, BOTH] : [READ, READ, BOTH];
    const ring = (at: number): [number, number][] => parts.map((access, part) => [at + part * PAGE, access]);
    const byPage = [...asked].sort(([a], [b]) => a - b);
    expect(byPage).toEqual(stage.rings.flatMap((index) => ring(index * RING.NEXT)));
    asked = [];
    for (const value of [1, 2, 3]) send(tx, FRAMES + 100 * value, value);
    rx.addWritable(IOVA + FRAMES + PAGE, 1526);
    rx.publish();
    serveMisses();
    expect(sent()).toEqual([1, 2, 3]);
    expect(usedOf(tx)).toHaveLength(3);
    // Its buffer was asked for before there was a frame.
    stage.bring(frame(9));
    expect(usedOf(rx).map(({ written }) => written)).toEqual([72]);
    expect(stage.guest.read(gpaOf(FRAMES + PAGE) + 12, 60)).toEqual(frame(9));
    expect(asked).toEqual([
      [FRAMES, READ],
      [FRAMES + PAGE, WRITE],
    ]);
  });

  test('LOG_ALL: what is written is marked by guest-physical addresses, the ring where it lies', () => {
    start(BACKEND_REQ | LOG_SHMFD);
    const log = newMemoryFile('guest-log', 0x4_0000);
    stage.say(6, longs(0x4_0000, 0), [log]);
    stage.peer.answer();
    stage.say(2, longs(features | LOG_ALL));
    // Its log address is one that would have to be translated.
    const at = IOVA + RING.device;
    stage.say(9, joined(words(0, 1), longs(IOVA + RING.desc, at, IOVA + RING.driver, at)));
    const rx = driver(0);
    serveMisses();
    rx.addWritable(IOVA + FRAMES, 1526);
    rx.publish();
    for (const value of [8, 9]) {
      stage.bring(frame(value));
      serveMisses();
    }
    expect(usedOf(rx)).toHaveLength(1);
    const bytes = new Uint8Array(0x4_0000);
    readSync(log, bytes, 0, bytes.length, 0);
    close(log);
    const written = [FRAMES, RING.device, ...(layout === 'packed' ? [RING.desc] : [])].map((at) => gpaOf(at) / PAGE);
    const marked = [...bytes].flatMap((byte, n) =>
      [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (1 << bit)).map((bit) => 8 * n + bit),
    );
    expect(marked).toEqual(written.sort((a, b) => a - b));
  });

  describe('INFLIGHT_SHMFD', () => {
    /** An area for all rings, and rings that begin with it. @returns what the next back-end is to be given */
    function startWithArea(): { readonly payload: Uint8Array; readonly fds: number[] } {
      start(BACKEND_REQ | (1n << 12n));
      for (const ring of stage.rings) stage.say(11, words(ring, 0));
      while (stage.peer.answer() !== undefined);
      stage.say(31, joined(longs(0, 0), words(4 | (QUEUE_SIZE << 16), 0)));
      const fds: number[] = [];
      const { payload } = stage.peer.answer(fds)!;
      stage.say(32, payload, fds);
      stage.start();
      return { payload, fds };
    }

    test('chains that wait for translations and go back are not in flight, and are used once', () => {
      const { fds } = startWithArea();
      const tx = driver(1);
      serveMisses();
      for (const value of [1, 2, 3]) send(tx, FRAMES + value * PAGE, value);
      serveMisses();
      expect(sent()).toEqual([1, 2, 3]);
      expect(usedOf(tx)).toHaveLength(3);
      // inflight of each: 320 or 576 bytes are ring 0's.
      const bytes = new Uint8Array(layout === 'packed' ? 576 : 320);
      readSync(fds[0]!, bytes, 0, bytes.length, bytes.length);
      close(fds[0]!);
      const [first, each] = layout === 'packed' ? [32, 32] : [16, 16];
      expect(bytes[8]).toBe(1);
      expect(Array.from({ length: QUEUE_SIZE }, (_, n) => bytes[first + n * each])).toEqual(Array(QUEUE_SIZE).fill(0));
    });

    test('VU-27: chains that a killed back-end had in hand wait for their translations in the next one, and are used once', () => {
      const { payload, fds } = startWithArea();
      const tx = driver(1);
      serveMisses();
      send(tx, FRAMES, 1);
      serveMisses();
      expect(usedOf(tx)).toHaveLength(1);
      for (const value of [2, 3, 4]) send(tx, FRAMES + value * PAGE, value);
      const { size } = fstatSync(fds[0]!);
      // All that is left of a back-end that is killed with the second frame of three in hand.
      let left: { ram: Uint8Array; area: Uint8Array } | undefined;
      vi.spyOn(stage.backend, 'receive').mockImplementation((_frame) => {
        if (left !== undefined) return DELIVERED.ACCEPTED;
        const area = new Uint8Array(size);
        readSync(fds[0]!, area, 0, size, 0);
        left = { ram: stage.guest.read(RAM.gpa, RAM.size), area };
        return DELIVERED.ACCEPTED;
      });
      for (const value of [2, 3, 4]) expect(translate(FRAMES + value * PAGE, BOTH)).toBe(0n);
      stage.turn();
      vi.restoreAllMocks();
      stage.session.close();
      close(front.socket);
      stage.guest.write(RAM.gpa, left!.ram);
      writeSync(fds[0]!, left!.area, 0, size, 0);
      stage.backend.frames.length = 0;
      asked = [];
      stage.reconnect();
      setUp(BACKEND_REQ | (1n << 12n));
      stage.say(32, payload, fds);
      stage.start();
      serveMisses();
      send(tx, FRAMES, 5);
      serveMisses();
      expect(stage.session.problem).toBeUndefined();
      expect(sent()).toEqual([2, 3, 4, 5]);
      expect(usedOf(tx)).toHaveLength(4);
      expect(asked.filter(([page]) => page >= FRAMES)).toEqual(
        [2, 3, 4, 0].map((page) => [FRAMES + page * PAGE, READ]),
      );
      close(fds[0]!);
    });
  });

  test('VU-23: a transfer that is never answered waits with those behind it, once asked for; other rings go on', () => {
    start();
    const [tx, other] = [driver(1), driver(3)];
    serveMisses();
    asked = [];
    silent.add(FRAMES + PAGE);
    send(tx, FRAMES, 1);
    // Needs more than 53 bits: it will never be right, and does not wait.
    tx.addReadable(2 ** 53 - 8, 72);
    send(tx, FRAMES + PAGE, 2);
    send(tx, FRAMES + 100, 3);
    for (let turn = 0; turn < 100; turn++) {
      send(other, FRAMES + 2 * PAGE, 50 + turn);
      serveMisses();
      expect(usedOf(other)).toHaveLength(1);
    }
    expect(sent()).toEqual([1, ...Array.from({ length: 100 }, (_, turn) => 50 + turn)]);
    expect(usedOf(tx)).toHaveLength(2);
    // Not even a turn is spent on looking for it.
    expect(stage.session.port.step(64)).toBe(0);
    expect(asked).toEqual([
      [FRAMES, READ],
      [FRAMES + PAGE, READ],
      [FRAMES + 2 * PAGE, READ],
    ]);
    expect(translate(FRAMES + PAGE, BOTH)).toBe(0n);
    stage.turn();
    expect(sent().slice(-2)).toEqual([2, 3]);
    expect(stage.session.problem).toBeUndefined();
  });

  test('a miss that is answered by an error gives the transfer up, and the next one asks again', () => {
    start(BACKEND_REQ | REPLY_ACK);
    const tx = driver(1);
    serveMisses();
    for (const round of [1, 2]) {
      send(tx, FRAMES, 1);
      send(tx, 2 * FRAMES, 10 + round);
      stage.turn();
      const view = new DataView(front.answer()!.payload.buffer);
      expect(Number(view.getBigUint64(0, true))).toBe(IOVA + FRAMES);
      answer(1);
      serveMisses();
      expect(usedOf(tx)).toHaveLength(2);
    }
    expect(sent()).toEqual([11, 12]);
  });

  test('an access that the translation does not allow is given up, and told', () => {
    start();
    const rx = driver(0);
    serveMisses();
    rx.addWritable(IOVA + FRAMES, 1526);
    rx.publish();
    serveMisses(READ);
    stage.bring(frame(2));
    expect(serveMisses()).toEqual([[4, FRAMES]]);
    expect(usedOf(rx).map(({ written }) => written)).toEqual([0]);
    expect(stage.guest.read(gpaOf(FRAMES), 72)).toEqual(new Uint8Array(72));
  });

  test('after a page was invalidated nothing goes there: frames and rings are asked for anew, and go on', () => {
    start();
    const tx = driver(1);
    serveMisses();
    send(tx, FRAMES, 1);
    serveMisses();
    // The frame's page comes to lie where page 200 was.
    const elsewhere = RAM.gpa + offsetOf(200 * PAGE);
    expect(tell(iotlb(IOVA + FRAMES, PAGE, 0, 0, 3))).toBe(0n);
    send(tx, FRAMES, 2);
    stage.guest.write(elsewhere, joined(new Uint8Array(12), frame(3)));
    stage.turn();
    expect(sent()).toEqual([1]);
    expect(tell(iotlb(IOVA + FRAMES, PAGE, RAM.userspace + offsetOf(200 * PAGE), READ))).toBe(0n);
    stage.turn();
    expect(sent()).toEqual([1, 3]);
    expect(usedOf(tx)).toHaveLength(2);
    // All of the address space: rings too.
    expect(tell(iotlb(0, 2n ** 64n - 1n, 0, 0, 3))).toBe(0n);
    expect(stage.rings.map((ring) => stage.port.queue(ring))).toEqual(Array(4).fill(undefined));
    asked = [];
    send(tx, FRAMES, 4);
    serveMisses();
    expect(sent()).toEqual([1, 3, 4]);
    expect(usedOf(tx)).toHaveLength(1);
    expect(asked).toHaveLength(13);
  });

  test.each([
    ['is held where the device holds frames', true, DELIVERED.FULL],
    ['is lost where it does not', false, DELIVERED.DROPPED],
  ])('a frame that comes while its ring waits for translations %s', (_, holdWhenFull, meanwhile) => {
    stage.end();
    stage = new SessionStage({ pairs: 2, externalControl: true, features: [5, 15, 22], holdWhenFull });
    start();
    const rx = driver(0);
    serveMisses();
    rx.addWritable(IOVA + FRAMES, 1526);
    rx.addWritable(IOVA + FRAMES + PAGE, 1526);
    rx.publish();
    serveMisses();
    stage.bring(frame(1));
    // All of the address space: no ring is within reach.
    expect(tell(iotlb(0, 2n ** 64n - 1n, 0, 0, 3))).toBe(0n);
    stage.turn();
    expect(stage.bring(frame(2))).toBe(meanwhile);
    serveMisses();
    expect(stage.bring(frame(2))).toBe(DELIVERED.ACCEPTED);
    expect(usedOf(rx).map(({ written }) => written)).toEqual([72, 72]);
    // A ring that is stopped while it waits is off.
    expect(tell(iotlb(0, 2n ** 64n - 1n, 0, 0, 3))).toBe(0n);
    stage.say(18, words(0, 0));
    expect(stage.port.isWaiting(0)).toBe(false);
    expect(stage.bring(frame(3))).toBe(DELIVERED.DROPPED);
  });

  test('other memory forgets all translations, and a stopped ring leaves its position', () => {
    start();
    const tx = driver(1);
    serveMisses();
    send(tx, FRAMES, 1);
    serveMisses();
    stage.say(5, stage.memTable(), [stage.file]);
    asked = [];
    send(tx, FRAMES, 2);
    serveMisses();
    expect([asked.length, sent()]).toEqual([13, [1, 2]]);
    const base = new Uint32Array(stage.ask(11, words(1, 0))!.buffer)[1]!;
    expect(base).toBe(layout === 'packed' ? 0x8002_8002 : 2);
  });

  test('a ring that cannot be translated ends the connection', () => {
    start(BACKEND_REQ | REPLY_ACK);
    stage.turn();
    expect(front.answer()?.id).toBe(1);
    answer(1);
    expect(stage.session.port.broken).toMatch(/^ring 0: desc is .*, want .* within reach/);
  });
});

describe('what a translation can be', () => {
  const END = RAM.userspace + RAM.size;

  beforeEach(() => {
    front = new RawPeer(connectionEnd());
    stage.setUp(SPLIT | ACCESS_PLATFORM);
    expect(translate(0, BOTH)).toBe(0n);
  });

  /** A test without a channel has one to close all the same. */
  function connectionEnd(): number {
    const [client, server] = connection();
    close(server);
    return client;
  }

  test.each([
    ['wraps', iotlb(2n ** 64n - 4096n, 8192, RAM.userspace, 3), /wrap$/],
    ['ends beyond 2^53', iotlb(2 ** 53 - 4096, 8192, RAM.userspace, 3), 'a translated address beyond 2^53'],
    ['has no bytes', iotlb(IOVA, 0, RAM.userspace, 3), 'a translation of no bytes'],
    ['lies in no region', iotlb(IOVA, 4096, 0x1000, 3), /not 4096 bytes in one region$/],
    ['begins before the region', iotlb(IOVA, 4096, RAM.userspace - 1, 3), /not 4096 bytes in one region$/],
    ['ends behind the region', iotlb(IOVA, 4096, END - 4095, 3), /not 4096 bytes in one region$/],
    ['is longer than all memory', iotlb(0, 2n ** 52n, RAM.userspace, 3), /not 4503599627370496 bytes in one region$/],
    ['lies beyond 2^53', iotlb(IOVA, 4096, 2n ** 63n, 3), /not 4096 bytes in one region$/],
    [
      'contradicts another one',
      iotlb(IOVA - 4096, 8192, RAM.userspace, 3),
      'a translation that contradicts another one',
    ],
    ['allows what there is not', iotlb(IOVA, 4096, RAM.userspace, 4), 'permissions are 4, want 0 to 3'],
    ['is none', iotlb(IOVA, 4096, RAM.userspace, 3, 1), 'a translation message of type 1'],
    ['invalidates what wraps', iotlb(4096, 2n ** 64n - 1n, 0, 0, 3), /wrap$/],
  ])('VU-22: one that %s is refused, and the connection goes on', (_, payload, refusal) => {
    expect(tell(payload)).toBe(1n);
    expect(stage.session.refusal).toMatch(refusal);
    expect(stage.session.problem).toBeUndefined();
    expect(stage.session.port.broken).toBeUndefined();
  });

  test('one that says the same again, or more, is taken; an unpadded message too', () => {
    expect(translate(0, READ)).toBe(0n);
    const wide = iotlb(IOVA - PAGE, 2 * PAGE, RAM.userspace + offsetOf(0) - PAGE, BOTH);
    expect(tell(wide)).toBe(0n);
    expect(tell(wide.subarray(0, 26))).toBe(0n);
  });

  test('VU-22: without ACCESS_PLATFORM none is taken', () => {
    stage.say(2, longs(SPLIT));
    expect(tell(iotlb(IOVA, PAGE, RAM.userspace, BOTH))).toBe(1n);
    expect(stage.session.refusal).toBe('ACCESS_PLATFORM was not negotiated');
  });

  test('nothing is asked of a front-end without a channel: its translations are waited for', () => {
    expect(PAGES).toBe(256);
    stage.start();
    stage.turn();
    expect(stage.session.problem).toBeUndefined();
    expect(stage.port.queue(0)).toBeUndefined();
  });
});
