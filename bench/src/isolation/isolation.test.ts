import { describe, expect, test } from 'vitest';
import type { FunctionKind } from '../claims/function-kind.js';
import { SILENT_DEEDS } from './deeds.js';
import { MOST_NANOSECONDS, NEIGHBOURS, observe } from './observe.js';
import { quantile } from './probes.js';

const MICROSECONDS = 400;
/** A frame of an ordinary MTU on the wire, in ns. */
const SLACK = 1231;
const HOSTILE = NEIGHBOURS.length;

const CASES: readonly (readonly [name: string, kind: FunctionKind, rings: 'split' | 'packed'])[] = [
  ['virtio split', 'virtio', 'split'],
  ['virtio packed', 'virtio', 'packed'],
  ['82599', '82599', 'split'],
  ['vendor B', 'vendor-b', 'split'],
];

describe.each(CASES)('a hostile %s function', (_, kind, rings) => {
  const plan = { kind, rings, microseconds: MICROSECONDS };
  const alone = observe(plan);

  test('neighbours are measured at all: every frame arrives, in turn and whole, and what crosses no wire takes no time', () => {
    for (const { sent, refused, wrong, nanoseconds, name } of alone.flows) {
      expect([refused, wrong, nanoseconds.length], name).toEqual([0, 0, sent]);
      expect(sent, name).toBeGreaterThan(10);
      const isOnWire = name.includes('wire');
      expect(quantile(nanoseconds, 1) > 0, name).toBe(isOnWire);
    }
  });

  test.each(SILENT_DEEDS)(
    'SR-07 SR-09 SR-22 SR-23, $name: no byte, no register, no counter and no latency of a neighbour is another',
    (deed) => {
      const beside = observe({ ...plan, deed });
      for (const [at, flow] of beside.flows.entries()) {
        // Turns are the whole card's: a neighbour's frames may not take more of them.
        const { rounds, ...same } = alone.flows[at]!;
        expect(flow).toMatchObject(same);
        expect(quantile(flow.rounds, 1)).toBeLessThanOrEqual(quantile(rounds, 1));
      }
      expect(beside.toHostile).toEqual(alone.toHostile);
      expect(beside.neighbours).toEqual(alone.neighbours);
      for (const vf of beside.blamed) expect(vf).toBe(HOSTILE);
      // It did happen.
      if (deed.name === 'IOMMU faults') expect(beside.blamed).toEqual([HOSTILE]);
      if (deed.name === 'broken descriptors') expect(beside.noticed + beside.blamed.length).toBeGreaterThan(0);
    },
  );

  test.each([
    ['tiny frames to the wire', { bytes: 60, to: 'wire' }],
    ['long frames to the wire', { bytes: 1514, to: 'wire' }],
    ['broadcasts, which are limited', { bytes: 60, to: 'everybody' }],
  ] as const)(
    'SR-21, %s: nothing is lost, and a neighbour waits as long as its share of the wire says',
    (_name, flood) => {
      const beside = observe({ ...plan, flood });
      for (const [at, { sent, refused, wrong, nanoseconds, name }] of beside.flows.entries()) {
        expect([refused, wrong, nanoseconds.length], name).toEqual([0, 0, sent]);
        expect(quantile(nanoseconds, 1), name).toBeLessThanOrEqual(MOST_NANOSECONDS);
        // Who sends to the wire does notice, or nothing would be measured here.
        if (name.endsWith('wire') && flood.to === 'wire')
          expect(nanoseconds, name).not.toEqual(alone.flows[at]!.nanoseconds);
        if (name.startsWith('wire')) expect(nanoseconds, name).toEqual(alone.flows[at]!.nanoseconds);
      }
    },
  );

  test('SR-21: beside tiny frames neighbours wait no longer than beside somebody who sends long ones', () => {
    const [tiny, long] = [60, 1514].map((bytes) => observe({ ...plan, flood: { bytes, to: 'wire' } }).flows);
    for (const [at, { nanoseconds, name }] of tiny!.entries())
      for (const part of [0.5, 0.99, 1])
        expect(quantile(nanoseconds, part), name).toBeLessThanOrEqual(quantile(long![at]!.nanoseconds, part) + SLACK);
  });
});
