import { sentence } from '@ringwire/virtio-device';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { factsOf } from './device-facts.js';
import { explainPort, snapshotPort } from './inspect-port.js';
import { longs, words } from './testing/raw-peer.js';
import { PACKED, RAM, SessionStage, SPLIT } from './testing/session-stage.js';

let stage: SessionStage;

beforeEach(() => {
  stage = new SessionStage();
});

afterEach(() => stage.end());

/** Problems, as sentences. */
function problems(session = true): string[] {
  const reasons = explainPort(
    factsOf({ model: stage.device }),
    session ? stage.session : undefined,
    stage.memory.memory,
  );
  return reasons.filter(({ level }) => level === 'problem').map(sentence);
}

test('a device that nobody is connected to says so, and nothing else', () => {
  expect(problems(false)).toEqual(['No front-end is connected to the socket.']);
  expect(snapshotPort(factsOf({ model: stage.device }), undefined)).toMatchObject({
    live: false,
    queues: [],
    accepted: { bits: '0x0' },
    transport: { kind: 'vhost-user', connected: false },
  });
});

test('before a driver is there, what is missing is its memory; a refusal is told', () => {
  expect(problems()).toEqual(['The front-end has shared no memory: its driver does not run yet.']);
  stage.say(16, longs(8));
  stage.say(8, words(0, 300), [], 9);
  expect(problems()[0]).toBe('A request of the front-end was refused: size is 300, want 1 to 16.');
});

describe.each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)('%s rings', (layout, features) => {
  test('that were not started, or not enabled, or both are told apart; then there is no problem', () => {
    stage.setUp(features);
    expect(problems()).toEqual([
      'Queue 0: the front-end has not started it: no kick was set.',
      'Queue 1: the front-end has not started it: no kick was set.',
    ]);
    stage.say(12, longs(1), [stage.kicks[1]!]);
    expect(problems()[1]).toBe('Queue 1: the front-end has started it, and not enabled it.');
    stage.start();
    expect(problems()).toEqual([]);
    const { transport, queues, live } = snapshotPort(factsOf({ model: stage.device }), stage.session);
    expect(live).toBe(true);
    expect(queues[1]).toMatchObject({ layout, enabled: true, size: 16, desc: `0x${(RAM.gpa + 0x5000).toString(16)}` });
    expect(transport).toMatchObject({
      regions: 1,
      refusal: null,
      vrings: [{ started: true, enabled: true, kick: true, call: true }, {}],
    });
  });

  test('that break a clause are told with it', () => {
    stage.setUp(features);
    stage.start();
    // Split: an available index that is beyond the ring. Packed: a descriptor that is available, of no buffer id.
    const { u16, u32 } = stage.guest.memory;
    const at = RAM.offset + 0x4000;
    if (layout === 'split') u16[(at + 0x2002) >>> 1] = 100;
    else {
      u32[(at + 0x1008) >>> 2] = 64;
      u16[(at + 0x100c) >>> 1] = 16;
      u16[(at + 0x100e) >>> 1] = 0x80;
    }
    expect(problems().join('\n')).toMatch(/^Queue 1: .* \(virtio 1\.4 §2\.[78]/m);
  });
});

test.each([SPLIT, PACKED])('whatever stands in the rings, there are sentences and no exception', (features) => {
  stage.setUp(features);
  stage.start();
  const { u8 } = stage.guest.memory;
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.integer({ min: 0, max: 0x7fff }), (bytes, at) => {
      u8.set(bytes, RAM.offset + at);
      expect(problems().every((text) => text.length > 0)).toBe(true);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('what was notified in both directions is counted', () => {
  stage.setUp(SPLIT);
  stage.start();
  stage.session.port.kicked(stage.session.port.vrings[1]!);
  stage.session.port.notifyUsed(0);
  stage.session.port.finishTurn();
  expect(snapshotPort(factsOf({ model: stage.device }), stage.session).counters).toMatchObject({
    kicks: 1,
    usedNotifications: 1,
  });
});
