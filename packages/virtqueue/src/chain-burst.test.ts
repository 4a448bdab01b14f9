import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';

/** Segments of a chain, of which the first ones are readable. */
interface Chain {
  readonly segments: number;
  readonly readable: number;
}

/** Append a chain as a queue does that walked it. */
function addWalked(burst: ChainBurst, { segments, readable }: Chain): void {
  const i = burst.count;
  const from = burst.segments.count;
  for (let s = 0; s < segments; s++) burst.segments.push(0, 1);
  burst.unsettle(i);
  burst.firstWritable[i] = from + readable;
  burst.first[i + 1] = from + segments;
  burst.count = i + 1;
}

test('plain and walked chains, in any order and over many turns, have their own segments', () => {
  const capacity = 12;
  const anyStep = fc.oneof(
    fc.record({ plain: fc.integer({ min: 0, max: 5 }), writable: fc.boolean() }),
    fc
      .integer({ min: 0, max: 3 })
      .chain((segments) => fc.record({ segments: fc.constant(segments), readable: fc.nat(segments) })),
    fc.constantFrom('clear', 'drop'),
  );
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 30 }), (steps) => {
      const burst = new ChainBurst(capacity);
      let chains: Chain[] = [];
      for (const step of steps) {
        if (step === 'clear') {
          burst.clear();
          chains = [];
        } else if (step === 'drop') {
          if (chains.pop() !== undefined) burst.dropLast();
        } else if ('plain' in step) {
          const count = Math.min(step.plain, capacity - chains.length);
          burst.segments.reserve(count);
          burst.closePlain(count, step.writable);
          for (let i = 0; i < count; i++) chains.push({ segments: 1, readable: step.writable ? 0 : 1 });
        } else if (chains.length < capacity) {
          addWalked(burst, step);
          chains.push(step);
        }
        expect(burst.count).toBe(chains.length);
        let from = 0;
        chains.forEach(({ segments, readable }, i) => {
          expect([burst.first[i], burst.firstWritable[i], burst.end(i)]).toEqual([
            from,
            from + readable,
            from + segments,
          ]);
          from += segments;
        });
        expect(burst.segments.count).toBe(from);
      }
    }),
    { numRuns: 2000 },
  );
});
