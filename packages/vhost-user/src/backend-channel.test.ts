import { close, newEvent, send, takeEvent } from '@ringwire/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BackendChannel } from './backend-channel.js';
import { IotlbMisses } from './iotlb-misses.js';
import { joined, longs, RawPeer, words } from './testing/raw-peer.js';
import { connection, held, RAM, SessionStage, SPLIT } from './testing/session-stage.js';

const REPLY_ACK = 1n << 3n;
const BACKEND_REQ = 1n << 5n;
const CONFIG = 1n << 9n;
const IN_BAND = 1n << 14n;
/** VIRTIO_NET_F_STATUS. */
const STATUS = 1n << 16n;
const NOTHING = new Uint8Array(0);

let stage: SessionStage;
let front: RawPeer;
/** The front-end's ends of channels, to be closed. */
let ends: number[];
let before: ReturnType<typeof held>;

beforeEach(() => {
  before = held();
  ends = [];
  stage = new SessionStage({ features: [5, 16] });
});

afterEach(() => {
  for (const socket of ends) close(socket);
  stage.end();
  expect(held().fds).toBe(before.fds);
});

/** Everything running, with a channel. */
function start(protocol: bigint): void {
  stage.setUp(SPLIT | STATUS);
  stage.say(16, longs(protocol));
  giveChannel();
  stage.start();
  expect(stage.session.problem).toBeUndefined();
}

function giveChannel(): void {
  const [client, server] = connection();
  ends.push(client);
  front = new RawPeer(client);
  stage.say(21, NOTHING, [server]);
  close(server);
}

function giveChannelFirst(): void {
  stage.say(16, longs(BACKEND_REQ));
  giveChannel();
}

/** What the back-end asked, up to now. */
function asked(): { id: number; flags: number; payload: Uint8Array }[] {
  const all = [];
  for (let one = front.answer(); one !== undefined; one = front.answer()) all.push(one);
  return all;
}

/** Answer a request of the back-end's, with the reply flag. */
function answer(id: number, value = 0): void {
  front.send(id, longs(value), [], 5);
  stage.session.serveChannel();
}

describe('CONFIG_CHANGE_MSG', () => {
  const CHANGED = { id: 2, flags: 1, payload: NOTHING };

  test('a link that goes and comes is told', () => {
    start(BACKEND_REQ | CONFIG);
    expect(asked()).toEqual([]);
    stage.device.setLink(false);
    expect(asked()).toEqual([CHANGED]);
    stage.device.setLink(true);
    expect(asked()).toEqual([CHANGED]);
  });

  test('… and not where CONFIG was not negotiated, whose message it is', () => {
    start(BACKEND_REQ);
    stage.device.setLink(false);
    stage.turn();
    expect(asked()).toEqual([]);
  });

  test('VU-29: with acknowledgements one is under way, however often the configuration changes', () => {
    start(BACKEND_REQ | REPLY_ACK | CONFIG);
    for (let change = 0; change < 100_000; change++) stage.device.setLink(change % 2 === 1);
    expect(asked()).toEqual([{ ...CHANGED, flags: 9 }]);
    answer(2);
    expect(asked()).toEqual([{ ...CHANGED, flags: 9 }]);
    answer(2, 1);
    expect(asked()).toEqual([]);
    expect(stage.session.problem).toBeUndefined();
  });

  test('VU-29: without them the socket is the bound, nobody waits, and the last change is told when there is room', () => {
    start(BACKEND_REQ | CONFIG);
    for (let change = 0; change < 100_000; change++) stage.device.setLink(change % 2 === 1);
    const first = asked().length;
    expect(first).toBeLessThan(5000);
    stage.turn();
    expect(asked()).toEqual([CHANGED]);
    stage.turn();
    expect(asked()).toEqual([]);
  });
});

describe('in-band notifications', () => {
  const protocol = BACKEND_REQ | REPLY_ACK | IN_BAND;
  const call = (ring: number) => ({ id: 4, flags: 9, payload: words(ring, 0) });

  /** Rings without events. */
  function startInBand(): void {
    stage.say(16, longs(protocol));
    giveChannel();
    stage.setUp(SPLIT | STATUS);
    stage.say(16, longs(protocol));
    for (const ring of [0, 1]) {
      stage.session.port.vrings[ring]!.setEvent('call', undefined);
      stage.say(18, words(ring, 1));
    }
  }

  /** A frame on ring 1, and its used buffer. */
  function transmit(): void {
    const tx = stage.openDriver(1, SPLIT);
    stage.guest.write(RAM.gpa + 0x9000, joined(new Uint8Array(12), new Uint8Array(60).fill(2)));
    tx.addReadable(RAM.gpa + 0x9000, 72);
    tx.publish();
  }

  test('VRING_KICK starts a ring and says that there are buffers; VRING_CALL says that they were used', () => {
    startInBand();
    transmit();
    stage.turn();
    expect(stage.backend.bytes).toHaveLength(0);
    stage.say(35, words(1, 0), [], 9);
    expect(stage.peer.answer()).toMatchObject({ id: 35, payload: longs(0) });
    stage.turn();
    expect(stage.backend.bytes).toHaveLength(1);
    expect(asked()).toEqual([call(1)]);
  });

  test('VU-29: calls that come faster than they are taken are one, and every ring gets its turn', () => {
    startInBand();
    for (const ring of [0, 1]) stage.say(35, words(ring, 0));
    for (let turn = 0; turn < 1000; turn++) {
      stage.session.port.notifyUsed(0);
      stage.session.port.notifyUsed(1);
      stage.turn();
    }
    const told: unknown[] = asked();
    for (let round = 0; round < 3; round++) {
      stage.session.port.notifyUsed(0);
      stage.session.port.notifyUsed(1);
      stage.turn();
      answer(4);
      told.push(...asked());
    }
    expect(told).toEqual([call(0), call(1), call(0), call(1), call(0)]);
  });

  test('events are preferred, and a ring that is polled is not called', () => {
    startInBand();
    const event = newEvent();
    stage.say(13, longs(0), [event]);
    stage.say(13, longs(0x101));
    for (const ring of [0, 1]) stage.session.port.notifyUsed(ring);
    stage.turn();
    expect(takeEvent(event)).toBe(true);
    expect(asked()).toEqual([]);
    close(event);
  });

  test('a ring that cannot be trusted is told by VRING_ERR', () => {
    startInBand();
    stage.say(35, words(1, 0));
    // avail.idx runs 100 ahead in a ring of 16.
    stage.guest.write(RAM.gpa + 0x6002, Uint8Array.of(100, 0));
    stage.turn();
    expect(asked()).toEqual([{ id: 5, flags: 9, payload: words(1, 0) }]);
  });

  test.each([
    ['the channel', REPLY_ACK | IN_BAND],
    ['acknowledgements', BACKEND_REQ | IN_BAND],
  ])('without %s they end the connection, even where an error could be answered', (_, bits) => {
    giveChannelFirst();
    stage.say(16, longs(REPLY_ACK));
    stage.say(16, longs(bits), [], 9);
    expect(stage.session.problem).toBe('INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK');
  });

  test('the reserved number of VRING_KICK is zero', () => {
    startInBand();
    stage.say(35, words(1, 1), [], 9);
    expect(stage.peer.answer()).toMatchObject({ id: 35, payload: longs(1) });
    expect(stage.session.refusal).toBe('num is 1, want 0');
  });
});

describe('what the channel can be', () => {
  test('VU-06: a descriptor that is no socket, or none, is refused and closed', () => {
    giveChannelFirst();
    stage.say(16, longs(BACKEND_REQ | REPLY_ACK));
    const open = held().fds;
    stage.say(21, NOTHING, [stage.kicks[0]!], 9);
    expect(stage.peer.answer()).toMatchObject({ id: 21, payload: longs(1) });
    expect(stage.session.refusal).toBe('the channel is no socket');
    stage.say(21, NOTHING, [], 9);
    expect(stage.peer.answer()).toMatchObject({ id: 21, payload: longs(1) });
    expect(held().fds).toBe(open);
  });

  test('another one takes its place', () => {
    giveChannelFirst();
    const open = held().fds;
    for (let round = 0; round < 100; round++) giveChannel();
    // The front-end's ends are the test's.
    expect(held().fds).toBe(open + 100);
  });

  test('an end that is closed ends the channel, not the connection', () => {
    start(BACKEND_REQ | REPLY_ACK);
    close(ends.pop()!);
    stage.session.serveChannel();
    expect(stage.session.port.channel).toBeUndefined();
    stage.device.setLink(false);
    stage.turn();
    expect(stage.session.problem).toBeUndefined();
  });

  test.each([
    ['an answer to nothing', 4, 5, longs(0)],
    ['a request', 2, 1, longs(0)],
    ['version 2', 2, 6, longs(0)],
    ['an answer of another size', 2, 5, joined(longs(0), longs(0))],
  ])('VU-29: %s ends the connection', (_, id, flags, payload) => {
    start(BACKEND_REQ | REPLY_ACK);
    stage.device.setLink(false);
    front.send(id, payload, [], flags);
    stage.session.serveChannel();
    expect(stage.session.problem).toBe('what came over the back-end’s channel answers nothing');
  });

  test('VU-06: descriptors that come over it are closed, and half an answer is waited for', () => {
    start(BACKEND_REQ | REPLY_ACK | CONFIG);
    const open = held().fds;
    stage.device.setLink(false);
    send(front.socket, words(2, 5), [stage.kicks[0]!]);
    stage.session.serveChannel();
    expect(held().fds).toBe(open);
    send(front.socket, joined(words(8), longs(0)), [stage.kicks[0]!]);
    stage.session.serveChannel();
    expect(held().fds).toBe(open);
    expect(stage.session.problem).toBeUndefined();
  });
});

test('VU-29: misses that are told and never answered are bounded in number, whatever else comes of them', () => {
  const misses = new IotlbMisses();
  const [client, socket] = connection();
  const other = new BackendChannel(socket, 2, misses);
  other.acknowledges = true;
  const peer = new RawPeer(client);
  let told = 0;
  for (let round = 0; round < 3000; round++) {
    misses.note(round * 4096, 1);
    other.flush();
    if (peer.answer() !== undefined) told++;
    misses.settle(0, 2 ** 53);
  }
  expect(told).toBe(1024);
  peer.send(1, longs(0), [], 5);
  other.receive();
  misses.note(0, 1);
  other.flush();
  expect(peer.answer()).toMatchObject({ id: 1, flags: 9 });
  other.close();
  close(client);
});
