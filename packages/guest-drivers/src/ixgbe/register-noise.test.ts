import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBreakdown } from '../breakdown.js';
import { FrameBurst, FramePool } from '../frame-pool.js';
import { openIxgbePf } from './pf-driver.js';
import { ScriptedPf } from './testing/scripted-pf.js';
import { ScriptedVf } from './testing/scripted-vf.js';
import { FRAME, MESSAGES } from './testing/vf-stage.js';
import { openIxgbeVf } from './vf-driver.js';
import { openIxgbeVfPoll } from './vf-poll-driver.js';

/** Which reads answer with something else than the card would, and what. */
const noise = fc.array(
  fc.tuple(fc.nat(7), fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 0xffff_ffff, 0x0200_0000))),
  {
    minLength: 1,
    maxLength: 24,
  },
);

/** Reads of registers are bent by a list, over and over. */
function bend(card: ScriptedVf | ScriptedPf, list: readonly (readonly [number, number])[]): void {
  const read = card.barRead.bind(card);
  let turn = 0;
  card.barRead = (bar, offset, size) => {
    const [pace, value] = list[turn++ % list.length]!;
    return pace === 0 ? value : read(bar, offset, size);
  };
}

test('DR-20, DR-32: whatever registers read, the drivers of a virtual function neither throw nor hang', () => {
  fc.assert(
    fc.property(noise, fc.boolean(), (list, fromStart) => {
      const vf = new ScriptedVf();
      if (fromStart) bend(vf, list);
      const clock = { time: 0 };
      const driver = openIxgbeVf({
        access: vf,
        dma: vf.dma,
        messages: MESSAGES,
        now: () => clock.time,
        queueSize: 64,
        patience: { tries: 8 },
        events: { frame: () => {} },
      });
      if (isBreakdown(driver)) return;
      bend(vf, list);
      for (let i = 0; i < 10; i++) {
        driver.interrupt(i % 3);
        driver.poll();
        driver.sendBytes(FRAME);
        driver.commands.addVlan(i);
        clock.time += 1000;
        driver.watch();
      }
      driver.close();
      expect(driver.state).toBe('closed');
    }),
    { numRuns: 100 },
  );
});

test('DR-20, DR-32: nor does the poll-mode driver, and frames go back into the pool when queues stop', () => {
  fc.assert(
    fc.property(noise, (list) => {
      const vf = new ScriptedVf();
      const pool = new FramePool(vf.dma, { buffers: 100 });
      const driver = openIxgbeVfPoll({ access: vf, dma: vf.dma, pool, queueSize: 64, patience: { tries: 8 } });
      if (isBreakdown(driver)) throw new Error(driver.message);
      bend(vf, list);
      const burst = new FrameBurst(32);
      for (let i = 0; i < 10; i++) {
        burst.clear();
        const frame = pool.fill(FRAME);
        if (frame < 0) break;
        burst.push(frame, 60);
        if (driver.txBurst(0, burst) === 0) pool.put(frame);
        burst.clear();
        driver.rxBurst(0, burst);
        driver.check();
      }
      if (driver.close() === undefined) expect(pool.free).toBe(100);
    }),
    { numRuns: 60 },
  );
});

test('DR-20, DR-32: nor does the driver of the physical function', () => {
  fc.assert(
    fc.property(noise, fc.boolean(), (list, fromStart) => {
      const card = new ScriptedPf();
      if (fromStart) bend(card, list);
      const clock = { time: 0 };
      const driver = openIxgbePf({
        access: card,
        dma: card.dma,
        messages: MESSAGES,
        now: () => clock.time,
        queueSize: 64,
        vfs: 3,
        mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
        patience: { tries: 8 },
        events: { frame: () => {} },
      });
      if (isBreakdown(driver)) return;
      card.say(0, 0x01);
      bend(card, list);
      for (let i = 0; i < 10 && driver.state === 'running'; i++) {
        driver.interrupt(1);
        driver.poll();
        driver.sendBytes(FRAME);
        clock.time += 1000;
        driver.watch();
      }
      driver.close();
      expect(driver.state).toBe('closed');
    }),
    { numRuns: 60 },
  );
});
