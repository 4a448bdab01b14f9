import { DELIVERED } from '@ringwire/net-backend';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ethernet, station, vf } from './testing/card-stage.js';
import { jain, Senders, type Sent } from './testing/senders.js';
import { FarEnd, OUTSIDE, padded, WireStage } from './testing/wire-stage.js';
import { TransmitArbiter } from './transmit-arbiter.js';
import { VirtualClock } from './virtual-clock.js';

const MS = 1000;
const LINE_RATE = 10_000;
/** Bytes on the wire that go in so many µs at so many Mbit/s. */
const bytesOf = (rate: number, microseconds: number): number => (rate * microseconds) / 8;

interface Plan {
  /** Bytes of its frames, without FCS. */
  readonly bytes: number;
  readonly weight: number;
  /** Mbit/s; 0: no limit. */
  readonly maxRate: number;
}

const anyPlan = fc.record({
  bytes: fc.constantFrom(60, 124, 508, 1024, 1514),
  weight: fc.integer({ min: 1, max: 8 }),
  maxRate: fc.oneof(fc.constant(0), fc.integer({ min: 50, max: 8000 })),
});
const anyPlans = fc.array(anyPlan, { minLength: 1, maxLength: 8 });

/**
 * What a fluid would do: all fill by their weights until one is at its limit, then the others go on.
 * @returns Mbit/s of each
 */
function fluidRates(plans: readonly Plan[], line: number): number[] {
  const rates = plans.map(() => 0);
  const open = new Set(plans.keys());
  let left = line;
  while (open.size > 0 && left > 1e-9) {
    const weights = [...open].reduce((sum, at) => sum + plans[at]!.weight, 0);
    // The level at which the first one is full.
    let level = left / weights;
    for (const at of open) {
      const { maxRate, weight } = plans[at]!;
      if (maxRate > 0) level = Math.min(level, (maxRate - rates[at]!) / weight);
    }
    for (const at of [...open]) {
      const { maxRate, weight } = plans[at]!;
      rates[at]! += level * weight;
      left -= level * weight;
      if (maxRate > 0 && rates[at]! >= maxRate - 1e-9) open.delete(at);
    }
  }
  return rates;
}

function staged(plans: readonly Plan[]) {
  const clock = new VirtualClock();
  const arbiter = new TransmitArbiter({ now: clock.now, lineRate: LINE_RATE });
  for (const [port, { maxRate, weight }] of plans.entries()) arbiter.setPort(port, { maxRate, weight });
  return new Senders(
    arbiter,
    clock,
    plans.map(({ bytes }, port) => ({ port, bytes })),
  );
}

test('whatever the weights, limits and frames: each gets what a fluid would, and the wire is as busy as it can be', () => {
  fc.assert(
    fc.property(anyPlans, (plans) => {
      const senders = staged(plans);
      senders.run(4 * MS);
      senders.take();
      const span = 20 * MS;
      senders.run(4 * MS + span);
      const got = senders.take();
      const fluid = fluidRates(plans, LINE_RATE).map((rate) => bytesOf(rate, span));
      // Work conserving: but for what was in the wire's buffer before and behind.
      const all = got.reduce((sum, bytes) => sum + bytes, 0);
      const most = fluid.reduce((sum, bytes) => sum + bytes, 0);
      expect(all).toBeGreaterThan(most * 0.985 - 20_000);
      // A round of the one with the largest weight, and the buffer that all share.
      for (const [port, bytes] of got.entries())
        expect(Math.abs(bytes - fluid[port]!)).toBeLessThan(fluid[port]! * 0.04 + 40_000);
    }),
    { numRuns: 40 },
  );
});

test('in no window at all does a port send more than its rate, and one burst', () => {
  fc.assert(
    fc.property(anyPlans, (plans) => {
      const senders = staged(plans);
      senders.run(5 * MS);
      for (const [port, { maxRate, bytes }] of plans.entries()) {
        if (maxRate === 0) continue;
        const burst = Math.max(1542, bytesOf(maxRate, 50));
        const sent = senders.sent.filter((one) => one.port === port);
        expect(largestExcess(sent, maxRate)).toBeLessThanOrEqual(burst + bytes + 24);
      }
    }),
    { numRuns: 40 },
  );
});

test('equal backlogged functions share equally, whatever frames they have', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 60, max: 1514 }), { minLength: 2, maxLength: 32 }), (lengths) => {
      const senders = staged(lengths.map((bytes) => ({ bytes, weight: 1, maxRate: 0 })));
      senders.run(MS);
      senders.take();
      senders.run(11 * MS);
      expect(jain(senders.take())).toBeGreaterThan(0.99);
    }),
    { numRuns: 30 },
  );
});

test('those with a higher priority go first; the rest share what is left by the same rules', () => {
  const clock = new VirtualClock();
  const arbiter = new TransmitArbiter({ now: clock.now, lineRate: LINE_RATE });
  const senders = new Senders(
    arbiter,
    clock,
    [1514, 60, 1514, 508].map((bytes, port) => ({ port, bytes })),
  );
  arbiter.setPort(0, { priority: 7, maxRate: 4000 });
  arbiter.setPort(1, { priority: 3, maxRate: 2000 });
  senders.run(4 * MS);
  senders.take();
  senders.run(24 * MS);
  const rates = senders.take().map((bytes) => (bytes * 8) / (20 * MS));
  for (const [port, rate] of [4000, 2000, 2000, 2000].entries())
    expect(Math.abs(rates[port]! / rate - 1)).toBeLessThan(0.03);
  // Without a limit it has all, and gives it back when it stops.
  arbiter.setPort(0, { maxRate: 0 });
  senders.run(25 * MS);
  senders.take();
  senders.run(26 * MS);
  expect(senders.take().map((bytes) => bytes > 0)).toEqual([true, false, false, false]);
  senders.senders[0]!.isStepped = false;
  senders.run(27 * MS);
  expect(senders.take().filter((bytes) => bytes > 0)).toHaveLength(3);
  expect(() => arbiter.setPort(0, { priority: -1 })).toThrow('priority is -1');
  expect(arbiter.nodeOf(1)).toMatchObject({ settings: { priority: 3, maxRate: 2000 }, parent: undefined });
});

test('frames of one function leave in the order in which it sent them, whatever the others do', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 60, max: 1514 }), { minLength: 3, maxLength: 40 }),
      fc.integer(),
      (lengths, seed) => {
        const stage = new WireStage({ speed: 1000 }, undefined, {}, 3);
        const far = new FarEnd(stage.clock.now);
        stage.wire.plug(far);
        const next = [0, 0, 0];
        for (let index = 0; index < 3; index++)
          stage.senders.push(() => {
            const length = lengths[(next[index]! * 7 + index + Math.abs(seed)) % lengths.length]!;
            const bytes = padded(
              ethernet(OUTSIDE, station(vf(index)), [], [0x88, 0xb5, next[index]! >>> 8, next[index]! & 0xff]),
              length,
            );
            if (next[index]! >= 100 || stage.sendBytes(vf(index), bytes) !== DELIVERED.ACCEPTED) return 0;
            next[index]!++;
            return 1;
          });
        stage.run(20_000);
        for (let index = 0; index < 3; index++) {
          const order = far.got
            .filter(({ bytes }) => bytes[11] === vf(index))
            .map(({ bytes }) => (bytes[14]! << 8) | bytes[15]!);
          expect(order).toEqual(Array.from({ length: 100 }, (_, at) => at));
        }
      },
    ),
    { numRuns: 8 },
  );
});

/** Of all windows: bytes that were sent in it beyond what the rate lets through. */
function largestExcess(sent: readonly Sent[], rate: number): number {
  let level = 0;
  let most = 0;
  let before = 0;
  for (const { at, wireBytes } of sent) {
    level = Math.max(0, level - bytesOf(rate, at - before)) + wireBytes;
    before = at;
    most = Math.max(most, level);
  }
  return most;
}
