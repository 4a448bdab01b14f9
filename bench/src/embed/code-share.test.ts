import type { Profiler } from 'node:inspector';
import { expect, test } from 'vitest';
import { ourShare } from './code-share.js';

/** A profile with a node for each function. */
function profile(
  functions: readonly [url: string, name: string][],
  samples: number[],
  timeDeltas: number[],
): Profiler.Profile {
  const nodes = functions.map(([url, functionName], id) => ({
    id,
    callFrame: { url, functionName, scriptId: '0', lineNumber: 0, columnNumber: 0 },
  }));
  return { nodes, samples, timeDeltas, startTime: 0, endTime: 0 };
}

test('a sample lasts until the next one, idle time is none, and only code of the packages is ours', () => {
  const functions: [string, string][] = [
    ['file:///somewhere/packages/virtio-device/dist/net/net-tx.js', 'turn'],
    ['file:///somewhere/bench/dist/embed/pktgen.js', 'take'],
    ['wasm://wasm/1234', 'f'],
    ['', '(idle)'],
    ['', '(garbage collector)'],
  ];
  // Ours for 10, the bench for 20, the guest for 30, nothing for 500, the collector for 40; the last one has no end.
  expect(ourShare(profile(functions, [0, 1, 2, 3, 4, 0], [0, 10, 20, 30, 500, 40]))).toBe(0.1);
});
