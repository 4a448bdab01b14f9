import { expect, test } from 'vitest';
import { CHAIN_FAULT, faultName, newQueueCounters, RING_FAULT } from './queue-fault.js';

test('every code has a counter of its own, and a name', () => {
  const { chainFaults, ringFaults } = newQueueCounters();
  for (const [table, counters] of [
    [CHAIN_FAULT, chainFaults],
    [RING_FAULT, ringFaults],
  ] as const) {
    const codes: number[] = Object.values(table);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.every((code) => counters[code] === 0)).toBe(true);
    expect(Math.max(...codes)).toBe(counters.length - 1);
    expect(codes.map((code) => faultName(table, code))).toEqual(Object.keys(table));
  }
});

test('a code that no table has keeps its number', () => {
  expect(faultName(RING_FAULT, 99)).toBe('unknown (99)');
});
