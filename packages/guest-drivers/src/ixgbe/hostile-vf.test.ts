import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BREAK, isBreakdown } from '../breakdown.js';
import { SENT } from '../net-tx-queue.js';
import { goodAnswer, refusal, ScriptedVf } from './testing/scripted-vf.js';
import { FRAME, hex, MESSAGES, type VfStage, vfStage } from './testing/vf-stage.js';
import { openIxgbeVf } from './vf-driver.js';

function open(vf: ScriptedVf): { readonly code: number; readonly message: string } {
  const events = { frame: () => {} };
  const outcome = openIxgbeVf({
    access: vf,
    dma: vf.dma,
    messages: MESSAGES,
    now: () => 0,
    patience: { tries: 20 },
    events,
  });
  if (!isBreakdown(outcome)) throw new Error('the driver came up');
  return outcome;
}

/** A receive descriptor as it is written back. */
function written(status: number, length: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, status, true);
  view.setUint16(12, length, true);
  return bytes;
}

/** The stage goes on: a good frame in, a good frame out. @param index of the next receive descriptor */
function probe({ vf, driver, heard }: VfStage, index: number): void {
  const before = heard.length;
  vf.fillBuffer(index, FRAME);
  vf.writeBack('rx', index, written(3, 60));
  driver.interrupt(0);
  expect(driver.poll()).toBe(1);
  expect(heard.slice(before)).toEqual([FRAME]);
  expect(driver.sendBytes(FRAME)).toBe(SENT.OK);
  expect(driver.state).toBe('running');
}

test('DR-03: a length above the buffer is never handed up, and the queue goes on', () => {
  const it = vfStage();
  it.vf.writeBack('rx', 0, written(3, 2049));
  it.driver.interrupt(0);
  it.driver.poll();
  expect([it.heard.length, it.driver.counters.rxTooLong]).toEqual([0, 1]);
  probe(it, 1);
});

test('DR-04: a length of 0, or below an Ethernet header, is given up and counted', () => {
  const it = vfStage();
  it.vf.writeBack('rx', 0, written(3, 0));
  it.vf.writeBack('rx', 1, written(3, 13));
  it.driver.interrupt(0);
  it.driver.poll();
  expect([it.heard.length, it.driver.counters.rxShort]).toEqual([0, 2]);
  probe(it, 2);
});

test('DR-06: a ring that is written back whole, ahead of what was given, is taken once and no further', () => {
  const it = vfStage();
  for (let i = 0; i < 64; i++) it.vf.writeBack('rx', i, written(3, 60));
  it.driver.interrupt(0);
  // 63 descriptors were the card's; the one behind them, also "done", is not looked at.
  expect(it.driver.poll(1000)).toBe(63);
  expect(it.driver.poll(1000)).toBe(0);
  probe(it, 63);
});

test('DR-08: descriptors that the card rewrites are never followed: buffers are known by a table of the driver', () => {
  const it = vfStage();
  const [lo, hi] = it.vf.descriptor('rx', 0) as [number, number];
  it.vf.fillBuffer(0, FRAME);
  // Addresses that are nowhere, then "done".
  it.vf.writeBack('rx', 0, hex('ffffffff ffffff7f 03000000 3c000000'));
  it.driver.interrupt(0);
  expect(it.driver.poll()).toBe(1);
  expect(it.heard).toEqual([FRAME]);
  // The same buffer goes back into the ring, behind the others.
  expect(it.vf.descriptor('rx', 63).slice(0, 2)).toEqual([lo, hi]);
});

test('DR-11, DR-12: a frame that never ends fills so many buffers as the longest one, and no more; each is freed once', () => {
  const it = vfStage();
  for (let i = 0; i < 40; i++) it.vf.writeBack('rx', i, written(1, 2048));
  it.vf.writeBack('rx', 40, written(3, 60));
  it.driver.interrupt(0);
  expect(it.driver.poll()).toBe(1);
  expect([it.heard.length, it.driver.counters.rxMerge]).toEqual([0, 1]);
  // All 41 buffers are posted again: 63 of 64 descriptors are the card's.
  expect(it.vf.ring('rx').tail).toBe(40);
  probe(it, 41);
});

test('DR-13: damaged frames are given up; a checksum found wrong is said, and the frame handed up', () => {
  const it = vfStage();
  // RXE: an error of the MAC.
  it.vf.writeBack('rx', 0, hex('00000000 00000000 03000020 3c000000'));
  // L4CS with L4E.
  it.vf.fillBuffer(1, FRAME);
  it.vf.writeBack('rx', 1, hex('00000000 00000000 23000040 3c000000'));
  it.driver.interrupt(0);
  it.driver.poll();
  expect([it.driver.counters.rxErrors, it.driver.counters.rxBadChecksum]).toEqual([1, 1]);
  expect(it.heard).toEqual([FRAME]);
});

test('DR-16: messages before the driver runs, after it is closed, of unknown vectors, and with nothing to do, do nothing', () => {
  const it = vfStage();
  it.driver.poll();
  for (let i = 0; i < 1000; i++) it.driver.interrupt(i % 7);
  expect(it.driver.poll()).toBe(0);
  expect(it.driver.needsPoll).toBe(false);
  it.driver.close();
  it.driver.interrupt(0);
  expect([it.driver.poll(), it.driver.counters.strayInterrupts > 0]).toEqual([0, true]);
});

test('DR-17: a card that sends nothing is reset after a time; what was on its way is told, lost and counted', () => {
  const it = vfStage();
  for (let i = 0; i < 3; i++) it.driver.sendBytes(FRAME);
  it.time = 5001;
  it.driver.watch();
  expect(it.driver.state).toBe('recovering');
  expect(it.driver.counters.txLost).toBe(3);
  expect(it.driver.sendBytes(FRAME)).toBe(SENT.DOWN);
  it.time += 100;
  it.driver.watch();
  expect(it.told.at(-1)).toBe('restarted');
  it.driver.poll();
  probe(it, 0);
});

test('DR-18: a physical function that does not answer is waited for a bounded time', () => {
  const vf = new ScriptedVf();
  vf.answer = () => undefined;
  expect(open(vf)).toMatchObject({ code: BREAK.MAILBOX_UNANSWERED });
  // An answer to something else, again and again, is none.
  vf.answer = () => [0xa000_0077];
  expect(open(vf)).toMatchObject({ code: BREAK.MAILBOX_UNANSWERED });
});

test('DR-18: a command that is not answered fails, and the driver begins anew', () => {
  const it = vfStage();
  it.vf.answer = () => undefined;
  expect(it.driver.commands.addVlan(5)).toBe(false);
  it.driver.watch();
  expect([it.driver.state, it.driver.counters.mailboxUnanswered]).toEqual(['recovering', 1]);
  it.vf.answer = goodAnswer;
  it.time = 100;
  it.driver.watch();
  expect(it.driver.state).toBe('running');
});

test('DR-19: an answer that is neither yes nor no is none; a refusal is a refusal', () => {
  const it = vfStage();
  it.vf.answer = refusal;
  expect(it.driver.commands.addVlan(5)).toBe(false);
  expect(it.driver.commands.setMode('promiscuous')).toBeUndefined();
  expect(it.driver.commands.hashKey()).toBeUndefined();
  expect(it.driver.counters.mailboxRefused).toBe(3);
  it.vf.answer = (words) => [words[0]!];
  expect(it.driver.commands.addVlan(6)).toBe(false);
});

test('DR-20: a reset that never ends, and a queue that never reads enabled, are waited for a bounded time', () => {
  const never = new ScriptedVf();
  never.isReady = false;
  expect(open(never)).toMatchObject({ code: BREAK.RESET_TIMEOUT });
  const stuck = new ScriptedVf();
  stuck.isStuck = true;
  expect(open(stuck)).toMatchObject({ code: BREAK.QUEUE_TIMEOUT });
});

test('DR-20: memory of queues that do not stop is not used again', () => {
  const it = vfStage();
  const before = it.vf.pages.inUse;
  it.vf.isStuck = true;
  it.driver.close();
  expect(it.vf.pages.inUse).toBe(before);
  expect(before).toBeGreaterThan(64 * 2048);
  const good = vfStage();
  good.driver.close();
  expect(good.vf.pages.inUse).toBe(0);
});

test('DR-24: numbers of queues that cannot be are brought into range', () => {
  for (const count of [0, 3, 0xffff, 0xffff_ffff]) {
    const vf = new ScriptedVf();
    vf.answer = (words) => (words[0] === 9 ? [0xa000_0009, count, count, 0, 0] : goodAnswer(words));
    const { driver } = vfStage(vf, { pairs: 8 });
    expect(driver.activePairs).toBe(count === 0 ? 1 : count === 3 ? 2 : 8);
  }
});

test('DR-25: an address that is none for a station is replaced by a random local one, and counted', () => {
  for (const [low, high] of [
    [0, 0],
    [0x0000_5453, 0x0100],
  ] as const) {
    const vf = new ScriptedVf();
    vf.answer = (words) => (words[0] === 1 ? [0x8000_0001, low, high, 0] : goodAnswer(words));
    const { driver } = vfStage(vf);
    expect(driver.mac[0]! & 3).toBe(2);
    expect(driver.counters.macReplaced).toBe(1);
  }
});

test('DR-26: a function without registers, or without a table of messages, is given up', () => {
  expect(open(new ScriptedVf({ barBytes: 0x1000 }))).toMatchObject({ code: BREAK.NOT_USABLE });
  expect(open(new ScriptedVf({ hasMsix: false }))).toMatchObject({ code: BREAK.NOT_USABLE });
});

test('DR-29: a physical function that resets at once after every reset is tried a limited number of times, with growing pauses', () => {
  const it = vfStage();
  const pauses: number[] = [];
  for (let tries = 0; it.driver.state !== 'broken' && tries < 20; tries++) {
    it.vf.say(0x4000_0100);
    it.driver.watch();
    const since = it.time;
    while (it.driver.state === 'recovering') {
      it.time += 50;
      it.driver.watch();
    }
    pauses.push(it.time - since);
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 0]);
  expect(it.told.at(-1)).toContain('5 tries to recover were in vain');
});

test('DR-31, DR-32: whatever is written into rings and mailbox, no exception leaves the driver and no buffer is lost', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(63), words: fc.uint8Array({ minLength: 16, maxLength: 16 }) }), {
        maxLength: 60,
      }),
      fc.array(fc.nat(0xffff_ffff), { maxLength: 16 }),
      (backs, mail) => {
        const it = vfStage();
        for (const { at, words } of backs) {
          it.vf.writeBack('rx', at, words);
          it.driver.sendBytes(FRAME);
          it.vf.writeBack('tx', at, words);
          it.driver.interrupt(0);
          it.driver.poll();
        }
        it.vf.say(...mail);
        it.vf.answer = () => mail;
        it.driver.commands.setMulticast([]);
        it.driver.watch();
        it.driver.close();
        expect(it.vf.pages.inUse).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('a function that is not there any more is given up for good', () => {
  const it = vfStage();
  it.vf.isGone = true;
  it.driver.watch();
  expect([it.driver.state, it.driver.counters.breaks[BREAK.REMOVED]]).toEqual(['broken', 1]);
});
