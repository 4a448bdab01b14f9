import { expect, test } from 'vitest';
import { FramePieces } from '../frame-pieces.js';
import { SENT } from '../net-tx-queue.js';
import type { IxgbePf } from './pf-driver.js';
import { AT, pfStage, ScriptedPf } from './testing/scripted-pf.js';
import { ScriptedVf } from './testing/scripted-vf.js';
import { FRAME, hex, vfStage } from './testing/vf-stage.js';
import type { IxgbeVf } from './vf-driver.js';

/** Register accesses after the driver gave the function back. */
const accesses = (card: ScriptedVf | ScriptedPf): number => card.writes.length;

test('DR-16: a driver that is closed from within an event ends when the event is over, and gives all memory back', () => {
  const opened: { driver?: IxgbeVf } = {};
  const vf = new ScriptedVf();
  const told: string[] = [];
  const close = (what: string): void => {
    told.push(what);
    opened.driver?.close();
  };
  // The link goes down and up again, sending stalls, and the function is up again: each of them closes the driver.
  for (const what of ['link', 'broken', 'restarted', 'sent'] as const) {
    const events = { frame: () => {}, [what]: () => close(what) };
    delete opened.driver;
    const it = vfStage(vf, { events });
    opened.driver = it.driver;
    if (what === 'link') vf.registers.set(0x10, 0);
    // The frame counts as lost when sending stalls, and its cookie is told.
    const page = vf.pages.allocate(4096);
    if (what !== 'link') it.driver.send(new FramePieces().add(page, 60), undefined, 0, 7);
    it.time = 5001;
    it.driver.watch();
    it.time = 6000;
    it.driver.watch();
    expect([what, it.driver.state]).toEqual([what, 'closed']);
    vf.pages.free(page);
    expect(vf.pages.inUse).toBe(0);
    const before = accesses(vf);
    it.driver.watch();
    it.driver.interrupt(0);
    expect([it.driver.poll(), it.driver.sendBytes(FRAME)]).toEqual([0, SENT.DOWN]);
    expect(accesses(vf)).toBe(before);
    vf.registers.set(0x10, 0x7000_0080);
  }
  expect(told).toContain('sent');
});

test('DR-16: the physical function is closed and restarted from within events, and is set up from within them', () => {
  const opened: { driver?: IxgbePf } = {};
  const card = new ScriptedPf();
  const wants: { next: 'restart' | 'close' | 'set' } = { next: 'restart' };
  const act = (): void => {
    if (wants.next === 'restart') expect(opened.driver?.restart()).toBeUndefined();
    else if (wants.next === 'close') opened.driver?.close();
    else opened.driver?.setVf(0, { trust: true });
  };
  const it = pfStage({ events: { frame: () => {}, mailbox: act, link: act } }, card);
  opened.driver = it.driver;
  it.ask(0, 0x02, 0x5452, 0x0100);
  expect([it.driver.state, it.driver.vfInfo(0).isClearToSend]).toEqual(['running', false]);
  // A restart tells of the link, from where settings can be made.
  wants.next = 'set';
  expect(it.driver.restart()).toBeUndefined();
  expect(it.driver.vfInfo(0).trust).toBe(true);
  wants.next = 'close';
  card.set(AT.links, 0);
  it.driver.watch();
  expect([it.driver.state, card.pages.inUse]).toEqual(['closed', 0]);
  const before = accesses(card);
  it.driver.watch();
  it.driver.interrupt(1);
  expect(it.driver.poll()).toBe(0);
  expect(accesses(card)).toBe(before);
});

/** What a call threw, or undefined. */
function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (thrown) {
    return thrown;
  }
}

test("a virtual function's handlers that throw leave a driver that works, and what they threw comes out when its turn is over", () => {
  const vf = new ScriptedVf();
  const told: string[] = [];
  // Each handler throws what it was told, as an Error.
  const fail = (what: string): never => {
    told.push(what);
    throw new Error(what);
  };
  const page = vf.pages.allocate(4096);
  // Opening tells of the link: the driver is the caller's all the same.
  const it = vfStage(vf, {
    events: {
      frame: () => fail('frame'),
      sent: (cookie) => fail(`sent ${cookie}`),
      link: (isUp) => fail(isUp ? 'up' : 'down'),
      broken: () => fail('broken'),
      restarted: () => fail('restarted'),
    },
  });
  expect(it.driver.state).toBe('running');
  expect(thrownBy(() => it.driver.watch())).toEqual(new Error('up'));

  // Both of two frames are told, and their buffers posted again.
  for (const at of [0, 1]) vf.writeBack('rx', at, hex('00000000 00000000 63000000 3c000000'));
  it.driver.interrupt(0);
  expect(thrownBy(() => it.driver.poll())).toEqual(new Error('frame'));
  expect(told.splice(0)).toEqual(['up', 'frame', 'frame']);
  expect([it.driver.counters.rxFrames, vf.ring('rx').tail]).toEqual([2, 1]);
  expect(thrownBy(() => it.driver.poll())).toBeUndefined();

  // Whoever sends is told of room by its own frame, not of a handler's mistake.
  for (const cookie of [7, 8]) it.driver.send(new FramePieces().add(page, 60), undefined, 0, cookie);
  for (const at of [1, 2]) vf.writeBack('tx', at, hex('00000000 00000000 00000000 01000000'));
  expect(thrownBy(() => it.driver.watch())).toEqual(new Error('sent 7'));
  expect(told.splice(0)).toEqual(['sent 7', 'sent 8']);

  // Sending stalls; the function is brought up again.
  it.driver.send(new FramePieces().add(page, 60), undefined, 0, 9);
  it.time = 5001;
  expect(thrownBy(() => it.driver.watch())).toEqual(new Error('sent 9'));
  expect([it.driver.state, told.splice(0)]).toEqual(['recovering', ['sent 9', 'broken']]);
  it.time = 6000;
  expect(thrownBy(() => it.driver.watch())).toEqual(new Error('up'));
  expect([it.driver.state, told.splice(0)]).toEqual(['running', ['up', 'restarted']]);

  it.driver.send(new FramePieces().add(page, 60), undefined, 0, 10);
  expect(thrownBy(() => it.driver.close())).toEqual(new Error('sent 10'));
  vf.pages.free(page);
  expect([it.driver.state, vf.pages.inUse]).toEqual(['closed', 0]);
});

test("a physical function's handlers that throw leave a driver that works, and requests are answered all the same", () => {
  const card = new ScriptedPf();
  const mistake = new Error('a handler');
  const wants: { next: 'throw' | 'restart' | 'close' } = { next: 'throw' };
  const opened: { driver?: IxgbePf } = {};
  const act = (): void => {
    if (wants.next === 'restart') opened.driver?.restart();
    if (wants.next === 'close') opened.driver?.close();
    throw mistake;
  };
  const it = pfStage({ events: { frame: () => {}, mailbox: act, link: act } }, card);
  opened.driver = it.driver;
  // From opening.
  expect(thrownBy(() => it.driver.watch())).toBe(mistake);
  for (const vf of [0, 1]) card.say(vf, 0x01);
  it.driver.interrupt(1);
  expect(thrownBy(() => it.driver.poll())).toBe(mistake);
  expect([0, 1].map((vf) => it.driver.vfInfo(vf).isClearToSend)).toEqual([true, true]);
  expect(card.heard(0)?.[0]).toBe(0x4000_0001);
  expect(thrownBy(() => it.driver.watch())).toBeUndefined();

  // What the handler asked for besides is done.
  wants.next = 'restart';
  card.say(0, 0x01);
  it.driver.interrupt(1);
  expect(thrownBy(() => it.driver.poll())).toBe(mistake);
  expect([it.driver.state, it.driver.vfInfo(0).isClearToSend]).toEqual(['running', false]);
  wants.next = 'throw';
  expect(thrownBy(() => it.driver.restart())).toBe(mistake);
  expect(it.driver.state).toBe('running');
  wants.next = 'close';
  card.set(AT.links, 0);
  expect(thrownBy(() => it.driver.watch())).toBe(mistake);
  expect([it.driver.state, card.pages.inUse]).toEqual(['closed', 0]);
});

test('a pause that throws while the driver waits leaves a driver that works', () => {
  const mistake = new Error('a pause');
  const pause: { fails: boolean } = { fails: false };
  const vf = new ScriptedVf();
  const throwing = (): void => {
    if (pause.fails) throw mistake;
  };
  const it = vfStage(vf, { patience: { tries: 50, pause: throwing } });
  // The physical function was reset, and is not there yet: the end of this life waits for its queues.
  vf.isStuck = true;
  vf.resetPf(true);
  pause.fails = true;
  expect(thrownBy(() => it.driver.watch())).toBe(mistake);
  pause.fails = false;
  vf.isStuck = false;
  it.driver.close();
  expect(it.driver.state).toBe('closed');
});
