import { frameOf } from './frames.js';
import type { NetBench } from './net-bench.js';

/** Destinations, by what a filter makes of them. */
export const OWN = '525400123456';
export const OTHER = '525400999999';
export const GROUP = '01005e000001';
export const BROADCAST = 'ffffffffffff';

/** Whether a frame to this address arrives. */
export function arrives(bench: NetBench, to: string): boolean {
  bench.post([100]);
  bench.backend.deliver(frameOf(60, 1, to));
  bench.step();
  return bench.collect(0).length > 0;
}

/** The destinations whose frames arrive, by name. */
export const arriving = (bench: NetBench): string[] =>
  Object.entries({ OWN, OTHER, GROUP, BROADCAST })
    .filter(([, to]) => arrives(bench, to))
    .map(([name]) => name);
