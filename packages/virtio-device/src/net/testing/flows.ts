import { expect } from 'vitest';
import type { NetBench } from './net-bench.js';
import type { End } from './packets.js';

/** Flows of TCP or UDP, by number. */
export const flow = (n: number): { from: End; to: End } => ({
  from: { address: `0a0001${n.toString(16).padStart(2, '0')}`, port: 80 },
  to: { address: '0a000001', port: 1000 + n },
});

/** Receive queues with buffers, and which of them a frame went to: its pair, or -1. */
export function arrivedAt(bench: NetBench, pairs: number, frame: Uint8Array): number {
  for (let pair = 0; pair < pairs; pair++)
    if (bench.port.queue(2 * pair) !== undefined && bench.queues[2 * pair]!.outstanding === 0) bench.post([2000], pair);
  bench.backend.deliver(frame);
  bench.step();
  const hits = Array.from({ length: pairs }, (_, pair) => pair).filter((pair) => bench.collect(2 * pair).length > 0);
  expect(hits.length).toBeLessThanOrEqual(1);
  return hits[0] ?? -1;
}
