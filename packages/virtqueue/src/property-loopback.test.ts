import fc from 'fast-check';
import { expect, test } from 'vitest';
import { check, Loopback } from './testing/loopback.js';
import { deviceSleep, driverSleep, STEPS, type Step, takeUsed, WEIGHTS } from './testing/loopback-steps.js';
import { anyKind, type Kind } from './testing/random-queue.js';

const NUMBER = fc.integer({ min: 0, max: 0xffff });
const ACTS = Object.keys(STEPS) as Step['act'][];

const anyStep: fc.Arbitrary<Step> = fc.record({
  act: fc.oneof(...ACTS.map((act) => ({ arbitrary: fc.constant(act), weight: WEIGHTS[act] }))),
  a: NUMBER,
  b: NUMBER,
});

const PLAIN: Kind = {
  packed: false,
  size: 8,
  indirect: false,
  eventIdx: true,
  inOrder: false,
  entries: 1,
  highRings: false,
  capacity: 8,
};

/**
 * From here on each side works only while it is awake, and goes to sleep when it finds nothing to do. A side that
 * nobody wakes leaves work behind.
 */
function settle(loop: Loopback): void {
  loop.publish();
  const { inFlight, kind } = loop;
  for (let round = 0; !(loop.driverSleeps && loop.deviceSleeps && inFlight.length + loop.put.length === 0); round++) {
    check(round < 1000, 'no end');
    if (!loop.deviceSleeps) {
      loop.deviceTake(kind.capacity);
      if (inFlight.length === 0) deviceSleep(loop);
    }
    // Work that the device has in hand it finishes, asleep or not.
    while (inFlight.length > 0) loop.putAt(0, inFlight[0]!.buffer.answer.length);
    loop.publishUsed();
    if (!loop.driverSleeps && takeUsed(loop, kind.capacity) === 0) driverSleep(loop, round % 3);
    loop.checkState();
  }
  const left = [loop.added, loop.available, loop.inFlight, loop.put, loop.used].map(({ length }) => length);
  check(left.every((length) => length === 0) && loop.out.size === 0, 'both sides sleep over', left);
}

test('a chain of many segments leaves room for the single ones behind it in the same burst', () => {
  for (const packed of [false, true]) {
    const loop = new Loopback({ ...PLAIN, packed, capacity: 3 });
    // Five elements, then one buffer each of one: seven segments in a burst that was made for six.
    STEPS.add(loop, 3 | (2 << 2), 0);
    STEPS.addBurst(loop, 2 << 2, 0);
    loop.publish();
    loop.deviceTake(3);
    expect(loop.inFlight.map(({ buffer }) => buffer.answer.length > 0)).toEqual([true, true, true]);
    settle(loop);
    expect(loop.completed).toBe(3);
  }
});

test('driver and device agree about every buffer, once and in order, whatever both do and when', () => {
  let completed = 0;
  fc.assert(
    fc.property(anyKind, fc.array(anyStep, { minLength: 1, maxLength: 300, size: 'max' }), (kind, steps) => {
      const loop = new Loopback(kind);
      for (const { act, a, b } of steps) {
        STEPS[act](loop, a, b);
        loop.checkState();
      }
      settle(loop);
      loop.checkMemory();
      completed += loop.completed;
    }),
    { numRuns: 1200 },
  );
  expect(completed).toBeGreaterThan(5000);
});
