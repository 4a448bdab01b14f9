import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type RingKind, RingWorld, type Step } from './testing/ring-world.js';

const NUMBER = fc.nat(0xffff);
const weighted = (act: Step['act'], weight: number) => ({ arbitrary: fc.constant(act), weight });

const honest = fc.oneof(
  weighted('add', 6),
  weighted('chain', 1),
  weighted('publish', 5),
  weighted('take', 6),
  weighted('put', 6),
  weighted('publish-used', 5),
  weighted('reclaim', 6),
  weighted('untake', 1),
);
const hostile = fc.oneof({ arbitrary: honest, weight: 40 }, weighted('flip', 4), weighted('reset', 1));
const kinds = fc.record({
  packed: fc.boolean(),
  inOrder: fc.boolean(),
  size: fc.constantFrom(1, 2, 4, 8, 16, 32),
});

/** The same steps with loops in JavaScript and in WebAssembly: nobody can tell the difference, byte for byte. */
function compare(kind: RingKind, steps: readonly Step[], happened = new Map<Step['act'], number>()): void {
  const [plain, looped] = [new RingWorld(kind, false), new RingWorld(kind, true)];
  expect([plain.isLooped, looped.isLooped]).toEqual([false, true]);
  for (const step of steps) {
    const said = plain.step(step);
    expect(looped.step(step)).toEqual(said);
    expect(looped.state()).toEqual(plain.state());
    if (typeof said === 'number') happened.set(step.act, (happened.get(step.act) ?? 0) + said);
  }
}

const stepsOf = (acts: fc.Arbitrary<Step['act']>): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ act: acts, a: NUMBER, b: NUMBER }), { minLength: 1, maxLength: 120, size: 'max' });

test('loops in WebAssembly do to rings what those in JavaScript do, whatever driver and device do', () => {
  const happened = new Map<Step['act'], number>();
  fc.assert(
    fc.property(kinds, stepsOf(honest), (kind, steps) => compare(kind, steps, happened)),
    { numRuns: 120 },
  );
  for (const act of ['add', 'take', 'put', 'reclaim'] as const) expect(happened.get(act)).toBeGreaterThan(100);
});

test('… and whatever a third party does to the rings', () => {
  fc.assert(
    fc.property(kinds, stepsOf(hostile), (kind, steps) => compare(kind, steps)),
    { numRuns: 200 },
  );
});

test.each([
  { packed: false, inOrder: false },
  { packed: false, inOrder: true },
  { packed: true, inOrder: false },
  { packed: true, inOrder: true },
])('full bursts go round and round, past every wrap: %o', (layout) => {
  const kind = { ...layout, size: 8 };
  const lap: Step['act'][] = ['add', 'publish', 'take', 'put', 'publish-used', 'reclaim'];
  const steps = Array.from({ length: 240 }, (_, n) => ({ act: lap[n % lap.length]!, a: (n % 11) + 3, b: 3 * n + 3 }));
  const happened = new Map<Step['act'], number>();
  compare(kind, steps, happened);
  expect(happened.get('reclaim')).toBeGreaterThan(100);
});
