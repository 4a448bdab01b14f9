import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressTable } from './address-table.js';
import { LearnedTable } from './learned-table.js';

/** Addresses that share words and halves of words, as those of one vendor do, and some that do not. */
const address = fc.tuple(
  fc.oneof(fc.nat(7), fc.constantFrom(-1, 0x7fff_ffff, -0x8000_0000)),
  fc.oneof(fc.nat(7), fc.constantFrom(0xffff, 0x8000)),
);

test('a table finds each address at all of its ports, in the order that the last one was added first, and no other', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(address, fc.nat(5)), { maxLength: 200 }), (entries) => {
      const table = new AddressTable();
      const model = new Map<string, number[]>();
      // The second time over what the first one left.
      for (const round of [entries, entries.slice(entries.length >> 1)]) {
        model.clear();
        table.reset(round.length);
        for (const [[low, high], port] of round) {
          table.add(low, high, port);
          const ports = model.get(`${low}/${high}`) ?? [];
          if (!ports.includes(port)) model.set(`${low}/${high}`, [port, ...ports]);
        }
      }
      for (const [[low, high]] of entries) {
        const found: number[] = [];
        for (let link = table.find(low, high); link >= 0; link = table.after(link)) found.push(table.portOf(link));
        expect(found).toEqual(model.get(`${low}/${high}`) ?? []);
      }
    }),
  );
});

test('what is learnt is true, of no port more than its share, and for as long as it is used', () => {
  const MOST = 5;
  const LIFETIME = 100;
  const step = fc.record({ address, port: fc.nat(3), wait: fc.constantFrom(0, 1, 60, 101) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const table = new LearnedTable(64, 4, MOST, LIFETIME);
      const said = new Map<string, { port: number; at: number }>();
      let now = 0;
      for (const {
        address: [low, high],
        port,
        wait,
      } of steps) {
        now += wait;
        const before = table.find(low, high, now);
        table.learn(low, high, port, now);
        const found = table.find(low, high, now);
        // It is where it sent from, or, without a place for it there, where it was.
        expect([port, before]).toContain(found);
        if (found === port) said.set(`${low}/${high}`, { port, at: now });
        for (const [name, last] of said) {
          const [itsLow, itsHigh] = name.split('/').map(Number) as [number, number];
          const where = table.find(itsLow, itsHigh, now);
          expect([-1, last.port]).toContain(where);
          // Nobody's place is taken for another's.
          expect(where === last.port).toBe(now - last.at <= LIFETIME);
        }
        for (let one = 0; one < 4; one++) expect(table.countOf(one)).toBeLessThanOrEqual(MOST);
      }
    }),
  );
});

test('what is known of a port goes with it, and leaves its places', () => {
  const table = new LearnedTable(16, 2, 4, 100);
  for (let low = 0; low < 4; low++) table.learn(low, 0, low & 1, 0);
  table.forget(1);
  expect([0, 1, 2, 3].map((low) => table.find(low, 0, 0))).toEqual([0, -1, 0, -1]);
  expect([table.countOf(0), table.countOf(1)]).toEqual([2, 0]);
});
