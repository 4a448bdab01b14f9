import { VirtioError } from '@ringwire/virtio-spec';

/**
 * Where a device stands in a queue between two chains. Split: free-running 16-bit indexes. Packed: ring positions below
 * Queue Size with their wrap counters. The rings themselves stay in guest memory.
 */
export type QueueState =
  | { readonly layout: 'split'; readonly lastAvailIdx: number; readonly usedIdx: number }
  | {
      readonly layout: 'packed';
      readonly lastAvailIdx: number;
      readonly lastAvailWrapCounter: 0 | 1;
      readonly usedIdx: number;
      readonly usedWrapCounter: 0 | 1;
    };

/**
 * Check a saved state as the foreign input it is.
 * @param size Queue Size of the queue that it is for
 * @returns why it cannot be, naming field, value and what was wanted; undefined when it can
 */
export function queueStateProblem(state: QueueState, layout: 'split' | 'packed', size: number): string | undefined {
  const problem = (field: string, value: unknown, want: string): string =>
    new VirtioError(field, value as number, want, 'virtio 1.4 §2.7, §2.8').message;
  if (typeof state !== 'object' || state === null) return problem('state', state, 'a queue state');
  if (state.layout !== layout) return problem('layout', state.layout, layout);
  const noChain = 'no chain in flight';
  const { lastAvailIdx, usedIdx } = state;
  const end = state.layout === 'split' ? 0x10000 : size;
  for (const [field, value] of Object.entries({ lastAvailIdx, usedIdx }))
    if (!(Number.isInteger(value) && value >= 0 && value < end)) return problem(field, value, `below ${end}`);
  if (usedIdx !== lastAvailIdx) return problem('usedIdx', usedIdx, `lastAvailIdx, ${lastAvailIdx}: ${noChain}`);
  if (state.layout === 'split') return undefined;
  const { lastAvailWrapCounter, usedWrapCounter } = state;
  for (const [field, value] of Object.entries({ lastAvailWrapCounter, usedWrapCounter }))
    if (value !== 0 && value !== 1) return problem(field, value, '0 or 1');
  if (usedWrapCounter !== lastAvailWrapCounter)
    return problem('usedWrapCounter', usedWrapCounter, `lastAvailWrapCounter: ${noChain}`);
  return undefined;
}
