import { newEvent, send } from '@ringwire/linux';
import { featuresFromBigInt } from '@ringwire/virtio-spec';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RingRequests } from './ring-requests.js';
import { joined, words } from './testing/raw-peer.js';
import { held, PACKED, QUEUE_SIZE, SessionStage, SPLIT } from './testing/session-stage.js';

/** Each takes seconds; another program may have the machine meanwhile. */
const TIMEOUT_MS = 300_000;
const VIEW = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);

let stage: SessionStage;

beforeEach(() => {
  stage = new SessionStage();
});

afterEach(() => stage.end());

test(
  'VU-06: 100 000 messages with descriptors that they do not carry, too many or none leave none behind',
  () => {
    stage.say(16, joined(words(8, 0)));
    const open = held().fds;
    const event = stage.kicks[0]!;
    const messages: readonly [bytes: Uint8Array, fds: number[]][] = [
      // SET_OWNER has none; SET_VRING_CALL has one, not two and not none; SET_VRING_NUM with eight.
      [words(3, 9, 0), [event]],
      [words(13, 9, 8, 0, 0), [event, event]],
      [words(13, 9, 8, 0, 0), []],
      [words(8, 9, 8, 0, 16), Array(8).fill(event)],
    ];
    let refused = 0;
    for (let round = 0; round < 25_000; round++) {
      for (const [bytes, fds] of messages) send(stage.peer.socket, bytes, fds);
      stage.session.serve(64);
      for (let answer = stage.peer.answer(); answer !== undefined; answer = stage.peer.answer())
        refused += answer.payload[0]!;
    }
    expect(refused).toBe(100_000);
    expect(stage.session.problem).toBeUndefined();
    expect(held().fds).toBe(open);
  },
  TIMEOUT_MS,
);

test(
  'VU-18: kick and call set 100 000 times leave no descriptor behind',
  () => {
    stage.setUp(SPLIT);
    const rings = new RingRequests(stage.session.port);
    const open = held().fds;
    let kept = 0;
    for (let round = 0; round < 50_000; round++)
      for (const which of ['kick', 'call'] as const) {
        const fds = [newEvent()];
        if (rings.setEvent(which, VIEW(words(round & 1, 0)), fds) === undefined && fds.length === 0) kept++;
      }
    expect(kept).toBe(100_000);
    // Two calls were there, two kicks are new.
    expect(held().fds).toBe(open + 2);
  },
  TIMEOUT_MS,
);

describe.each([
  ['split', SPLIT, 0],
  ['packed', PACKED, 0x8000],
] as const)('%s rings', (_, features, base) => {
  test(
    'VU-25: half a million random steps of two rings never leave the table of their states',
    () => {
      const { port } = stage.session;
      stage.setUp(features);
      const rings = new RingRequests(port);
      rings.hasProtocol = true;
      const state = [0, 1].map(() => ({ isSet: true, started: false, enabled: false }));
      let seed = 1;
      const random = (below: number): number => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        return (seed >>> 16) % below;
      };
      /** What a ring that is to run does; one without a place is refused, and stopped again. */
      const run = (ring: (typeof state)[number]): boolean => {
        const isRefused = ring.started && ring.enabled && !ring.isSet;
        if (isRefused) ring.started = false;
        return isRefused;
      };
      for (let step = 0; step < 500_000; step++) {
        const index = random(2);
        const ring = state[index]!;
        let outcome: unknown;
        let isRefused = false;
        switch (random(8)) {
          case 0:
          case 1:
            outcome = rings.setEvent('kick', VIEW(words(0x100 | index, 0)), []);
            ring.started = true;
            isRefused = run(ring);
            break;
          case 2:
          case 3: {
            const enabled = random(2);
            outcome = rings.setEnabled(VIEW(words(index, enabled)));
            ring.enabled = enabled === 1;
            isRefused = run(ring);
            break;
          }
          case 4: {
            const answer = rings.getBase(VIEW(words(index, 0)));
            expect(answer).toBeInstanceOf(Uint8Array);
            ring.started = false;
            break;
          }
          case 5:
            outcome = rings.setSize(VIEW(words(index, QUEUE_SIZE)));
            isRefused = ring.started;
            break;
          case 6: {
            outcome = rings.setAddresses(VIEW(stage.ringAddress(index)));
            // Set anew while the ring runs they are to be the same.
            isRefused = ring.started && !ring.isSet;
            if (ring.started) break;
            rings.setSize(VIEW(words(index, QUEUE_SIZE)));
            rings.setBase(VIEW(words(index, base)));
            ring.isSet = true;
            break;
          }
          default:
            if (random(50) > 0) break;
            port.reset();
            port.features = featuresFromBigInt(features & ~(1n << 30n));
            for (const one of state) Object.assign(one, { isSet: false, started: false, enabled: false });
        }
        const runs = port.vrings.map(({ queue }) => queue !== undefined);
        if (
          (outcome !== undefined) !== isRefused ||
          state.some(({ isSet, started, enabled }, at) => runs[at] !== (isSet && started && enabled)) ||
          state.some(
            ({ started, enabled }, at) => port.vrings[at]!.started !== started || port.vrings[at]!.enabled !== enabled,
          )
        )
          expect.fail(`step ${step}: ${outcome}, ${JSON.stringify({ state, runs, isRefused })}`);
        if (step % 16 === 0) stage.turn();
      }
      expect(port.broken).toBeUndefined();
    },
    TIMEOUT_MS,
  );
});
