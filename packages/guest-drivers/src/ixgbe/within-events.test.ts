import { expect, test } from 'vitest';
import { FramePieces } from '../frame-pieces.js';
import { SENT } from '../net-tx-queue.js';
import type { IxgbePf } from './pf-driver.js';
import { AT, pfStage, ScriptedPf } from './testing/scripted-pf.js';
import { ScriptedVf } from './testing/scripted-vf.js';
import { FRAME, vfStage } from './testing/vf-stage.js';
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
