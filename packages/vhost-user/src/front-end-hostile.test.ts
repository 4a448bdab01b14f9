import type { NetDriver } from '@ringwire/guest-drivers';
import { receive } from '@ringwire/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { VhostUserTransport } from './front-end-transport.js';
import { FrontScript, REPLY_MS, stateOf } from './testing/front-script.js';
import { joined, longs, words } from './testing/raw-peer.js';
import { FAULTS, type Fault, type ScriptedBackEnd } from './testing/scripted-back-end.js';
import { held } from './testing/session-stage.js';

let before: ReturnType<typeof held>;
let script: FrontScript;
let backEnd: ScriptedBackEnd;

beforeEach(() => {
  before = held();
  script = new FrontScript();
  ({ backEnd } = script);
});

afterEach(() => {
  script.end();
  expect(held()).toEqual(before);
});

/** The whole life of a device. @returns how far it went */
function live(): string {
  const transport = script.reach();
  if (typeof transport === 'string') return 'no device';
  const driver = script.drive(transport);
  let end = 'not taken into use';
  if (driver !== undefined) {
    script.attend(transport, driver);
    backEnd.request(2, 9);
    script.attend(transport, driver);
    end = stateOf(driver) === 'running, up' ? 'given back' : stateOf(driver);
    driver.close();
  }
  transport.close();
  expect(script.pages.inUse).toBe(0);
  return end;
}

/** By request: how far a device gets whose back-end fails there. */
const ENDS: Record<number, readonly [name: string, end: string]> = {
  1: ['GET_FEATURES', 'no device'],
  15: ['GET_PROTOCOL_FEATURES', 'no device'],
  17: ['GET_QUEUE_NUM', 'no device'],
  36: ['GET_MAX_MEM_SLOTS', 'no device'],
  3: ['SET_OWNER', 'no device'],
  21: ['SET_BACKEND_REQ_FD', 'no device'],
  24: ['GET_CONFIG', 'no device'],
  2: ['SET_FEATURES', 'not taken into use'],
  37: ['ADD_MEM_REG', 'not taken into use'],
  20: ['NET_SET_MTU', 'not taken into use'],
  8: ['SET_VRING_NUM', 'not taken into use'],
  9: ['SET_VRING_ADDR', 'not taken into use'],
  10: ['SET_VRING_BASE', 'not taken into use'],
  13: ['SET_VRING_CALL', 'not taken into use'],
  14: ['SET_VRING_ERR', 'not taken into use'],
  40: ['GET_STATUS', 'not taken into use'],
  31: ['GET_INFLIGHT_FD', 'broken, down'],
  32: ['SET_INFLIGHT_FD', 'broken, down'],
  12: ['SET_VRING_KICK', 'broken, down'],
  18: ['SET_VRING_ENABLE', 'broken, down'],
  11: ['GET_VRING_BASE', 'given back'],
  39: ['SET_STATUS', 'not taken into use'],
};

describe.each(Object.entries(ENDS))('request %s, %s', (id, [, end]) => {
  test.each(FAULTS)('VU-28: a back-end that %s is given up in time, and the driver is told', (kind: Fault) => {
    backEnd.fault = { id: Number(id), kind };
    const result = live();
    expect(result).toBe(end);
    expect(script.time).toBeLessThan(4 * REPLY_MS);
  });
});

test.each([
  [2, 'not taken into use'],
  [37, 'not taken into use'],
  [20, 'not taken into use'],
  [8, 'not taken into use'],
  [13, 'not taken into use'],
  [3, 'no device'],
  [21, 'no device'],
  [32, 'broken, down'],
  [12, 'broken, down'],
  [18, 'broken, down'],
])('VU-28: a back-end that refuses request %i is done without', (id, end) => {
  backEnd.fault = { id, kind: 'refuses' };
  expect(live()).toBe(end);
});

test.each([1, 15, 17, 36, 3, 21, 24])('VU-28: a back-end that hangs up at request %i is none', (id) => {
  backEnd.fault = { id, kind: 'hangs up' };
  expect(live()).toBe('no device');
});

describe('while a device runs', () => {
  let transport: VhostUserTransport;
  let driver: NetDriver;

  beforeEach(() => {
    transport = script.reach() as VhostUserTransport;
    driver = script.drive(transport)!;
    script.attend(transport, driver);
    expect(stateOf(driver)).toBe('running, up');
  });

  afterEach(() => {
    driver.close();
    transport.close();
    expect(script.pages.inUse).toBe(0);
  });

  function givenUp(why: string): void {
    script.attend(transport, driver);
    expect([stateOf(driver), transport.isConnected, transport.problem]).toEqual(['broken, down', false, why]);
  }

  test.each(FAULTS)('VU-28: a back-end that %s at a look for its status is given up', (kind) => {
    backEnd.fault = { id: 40, kind };
    script.attend(transport, driver);
    expect([stateOf(driver), transport.isConnected]).toEqual(['broken, down', false]);
  });

  test('VU-28: so is one that says a status of more than a byte', () => {
    backEnd.status = 0x10fn;
    givenUp('the status is 271, want a byte');
  });

  test('VU-28: an answer that nobody asked for', () => {
    backEnd.say(joined(words(40, 5, 8), longs(15)));
    givenUp('a reply, to nothing that was asked');
  });

  test('VU-28: the position of another ring', () => {
    backEnd.ring = 1;
    driver.close();
    expect(transport.problem).toBe('GET_VRING_BASE of ring 0 was answered for ring 1');
  });

  test('VU-28: configuration of another place', () => {
    backEnd.configAt = 4;
    backEnd.request(2);
    givenUp('GET_CONFIG was answered for other bytes');
  });

  test('an error event ends the device', () => {
    backEnd.signal(backEnd.errs.get(3));
    givenUp('the back-end says that ring 3 is in error');
  });

  test.each([
    ['the wrong version', 2, 0, "a request of the back-end's has flags 0x2"],
    ['a mark of an answer', 5, 0, "a request of the back-end's has flags 0x5"],
    ['too many bytes', 1, 65, "a request of the back-end's has 65 bytes"],
  ])('VU-28: a request of its own with %s', (_, flags, bytes, why) => {
    backEnd.request(2, flags, new Uint8Array(bytes));
    givenUp(why);
  });

  test('VU-29: a flood of changes is answered one by one, asked about once, and told once', () => {
    const asked = backEnd.asked.filter((id) => id === 24).length;
    for (let n = 0; n < 30; n++) backEnd.request(2, 9);
    backEnd.linkStatus = 0;
    script.attend(transport, driver);
    expect(backEnd.asked.filter((id) => id === 24).length - asked).toBe(1);
    expect(script.links).toEqual([false]);
    const answers = new Uint8Array(30 * 20 + 1);
    expect(receive(backEnd.channel, answers, [])).toBe(30 * 20);
    expect(answers.subarray(0, 20)).toEqual(joined(words(2, 5, 8), longs(0)));
    expect(stateOf(driver)).toBe('running, down');
  });

  test.each([
    ['a translation that misses', 1, 32],
    ['a place for notifications', 3, 24],
    ['something unknown', 99, 0],
  ])('%s is refused, and changes nothing', (_, id, bytes) => {
    backEnd.request(id, 9, new Uint8Array(bytes));
    script.attend(transport, driver);
    const answer = new Uint8Array(20);
    expect(receive(backEnd.channel, answer, [])).toBe(20);
    expect(answer).toEqual(joined(words(id, 5, 8), longs(1)));
    expect(stateOf(driver)).toBe('running, up');
  });

  test('a back-end that lets go of its channel goes on without', () => {
    backEnd.closeChannel();
    script.attend(transport, driver);
    script.attend(transport, driver);
    expect(stateOf(driver)).toBe('running, up');
  });

  test('call events of a ring are interrupts, and those of others too', () => {
    const interrupts = driver.counters.interrupts;
    backEnd.signal(backEnd.calls.get(2));
    script.attend(transport, driver);
    script.attend(transport, driver);
    expect(driver.counters.interrupts - interrupts).toBe(1);
    expect(stateOf(driver)).toBe('running, up');
  });
});

test('VU-28: a back-end that takes too few regions, or has no queues, is none', () => {
  backEnd.slots = 0n;
  expect(script.reach()).toBe('the back-end takes 0 memory regions, want 1');
  backEnd.hangUp();
  backEnd.slots = 32n;
  backEnd.pairs = 0n;
  expect(script.reach()).toBe('the back-end has no queues');
});

test('VU-28: a back-end without VERSION_1 is no device for a modern driver', () => {
  backEnd.features &= ~(1n << 32n);
  expect(live()).toBe('not taken into use');
});

test('where nobody listens there is no device, after the time given', () => {
  expect(script.reach({ path: `${script.path}.none` })).toBe(`no back-end at ${script.path}.none`);
  expect(script.time).toBe(REPLY_MS);
});

test('the whole life of a device comes to a good end, and has every request in it', () => {
  expect(live()).toBe('given back');
  expect(new Set(backEnd.asked)).toEqual(new Set([...Object.keys(ENDS).map(Number), 16]));
});
