import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Pin, PinAccount, PinMap } from './pin-map.js';

const PAGE = 4096;
const rows = (pins: PinMap): string[] =>
  [...pins.list()].map(
    (run) => `${run.physical / PAGE}+${run.bytes / PAGE} ${run.pins.map((pin) => `${pin.label}@${pin.since}`).join()}`,
  );

test('F21: which pages are pinned, by whom, since when; where two pins overlap, by both', () => {
  const pins = new PinMap();
  const account = new PinAccount('guest 1', Number.POSITIVE_INFINITY);
  const ram = pins.pin(account, 0, 8 * PAGE, 'ram')!;
  pins.pin(account, 6 * PAGE, 4 * PAGE, 'nic');
  expect(rows(pins)).toEqual(['0+6 ram@1', '6+2 ram@1,nic@2', '8+2 nic@2']);
  expect([pins.pinnedBytes, account.pinnedBytes]).toEqual([10 * PAGE, 12 * PAGE]);
  pins.unpin(ram);
  expect(rows(pins)).toEqual(['6+4 nic@2']);
  expect([pins.pinnedBytes, account.pinnedBytes]).toEqual([4 * PAGE, 4 * PAGE]);
  expect(pins.isPinned(5 * PAGE, PAGE)).toBe(false);
  expect(pins.isPinned(5 * PAGE, PAGE + 1)).toBe(true);
  expect(pins.pinsOf(0, 7 * PAGE).map((pin) => pin.label)).toEqual(['nic']);
});

test('F21: a pin past the account’s limit is refused whole, and counted', () => {
  const pins = new PinMap();
  const account = new PinAccount('guest 1', 3 * PAGE);
  const held = pins.pin(account, 0, 2 * PAGE, 'a')!;
  expect(pins.pin(account, 8 * PAGE, 2 * PAGE, 'b')).toBeUndefined();
  expect(rows(pins)).toEqual(['0+2 a@1']);
  expect(account.refused).toBe(1);
  // Another account has room of its own, over the same pages.
  expect(pins.pin(new PinAccount('guest 2', 2 * PAGE), 0, 2 * PAGE, 'c')).toBeDefined();
  pins.unpin(held);
  expect(pins.pin(account, 8 * PAGE, 3 * PAGE, 'b')).toBeDefined();
});

test('letting go twice, and what is no page, are the caller’s mistakes', () => {
  const pins = new PinMap();
  const account = new PinAccount('a', PAGE);
  const pin = pins.pin(account, 0, PAGE, 'ring')!;
  pins.unpin(pin);
  expect(() => pins.unpin(pin)).toThrow('pin is ring, want one that is still held');
  expect(() => pins.pin(account, 1, PAGE, 'x')).toThrow('physical is 1');
  expect(() => pins.pin(account, 0, 100, 'x')).toThrow('bytes is 100');
  expect(() => new PinAccount('a', Number.NaN)).toThrow('limit is NaN');
});

test('F21: over random pins of several accounts, the map says of every page what a plain list says', () => {
  const step = fc.record({
    start: fc.nat(30),
    pages: fc.integer({ min: 1, max: 12 }),
    who: fc.nat(2),
    drop: fc.nat(40),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pins = new PinMap();
      const accounts = [0, 1, 2].map((n) => new PinAccount(`guest ${n}`, 40 * PAGE));
      const held: Pin[] = [];
      for (const { start, pages, who, drop } of steps) {
        if (drop < held.length) pins.unpin(held.splice(drop, 1)[0]!);
        else {
          const account = accounts[who]!;
          const fits = account.pinnedBytes + pages * PAGE <= account.limit;
          const pin = pins.pin(account, start * PAGE, pages * PAGE, `${who}`);
          expect(pin !== undefined).toBe(fits);
          if (pin !== undefined) held.push(pin);
        }
        const byPage = Array.from({ length: 50 }, (_, page) =>
          held.filter((pin) => pin.physical <= page * PAGE && pin.physical + pin.bytes > page * PAGE),
        );
        byPage.forEach((expected, page) => {
          expect(pins.pinsOf(page * PAGE, PAGE)).toEqual([...expected].sort((a, b) => a.since - b.since));
          expect(pins.isPinned(page * PAGE, PAGE)).toBe(expected.length > 0);
        });
        expect(pins.pinnedBytes).toBe(byPage.filter((expected) => expected.length > 0).length * PAGE);
        for (const account of accounts)
          expect(account.pinnedBytes).toBe(
            held.filter((pin) => pin.account === account).reduce((sum, pin) => sum + pin.bytes, 0),
          );
        const listed = [...pins.list()];
        listed.slice(1).forEach((run, i) => {
          const before = listed[i]!;
          const touches = before.physical + before.bytes === run.physical;
          expect(
            !touches ||
              before.pins.join() !== run.pins.join() ||
              before.pins.length !== run.pins.length ||
              before.pins.some((pin, k) => pin !== run.pins[k]),
          ).toBe(true);
        });
      }
      for (const pin of held) pins.unpin(pin);
      expect([...pins.list()]).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
