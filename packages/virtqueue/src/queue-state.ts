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

const isIndex = (value: unknown, below: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < below;
const isBit = (value: unknown): value is 0 | 1 => value === 0 || value === 1;

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
  if (state.layout === 'split') {
    if (!isIndex(state.lastAvailIdx, 0x10000)) return problem('lastAvailIdx', state.lastAvailIdx, '0 to 65535');
    if (!isIndex(state.usedIdx, 0x10000)) return problem('usedIdx', state.usedIdx, '0 to 65535');
    if (state.usedIdx !== state.lastAvailIdx)
      return problem('usedIdx', state.usedIdx, `lastAvailIdx, ${state.lastAvailIdx}: no chain in flight`);
    return undefined;
  }
  if (!isIndex(state.lastAvailIdx, size)) return problem('lastAvailIdx', state.lastAvailIdx, `below ${size}`);
  if (!isIndex(state.usedIdx, size)) return problem('usedIdx', state.usedIdx, `below ${size}`);
  if (!isBit(state.lastAvailWrapCounter)) return problem('lastAvailWrapCounter', state.lastAvailWrapCounter, '0 or 1');
  if (!isBit(state.usedWrapCounter)) return problem('usedWrapCounter', state.usedWrapCounter, '0 or 1');
  if (state.usedIdx !== state.lastAvailIdx)
    return problem('usedIdx', state.usedIdx, `lastAvailIdx, ${state.lastAvailIdx}: no chain in flight`);
  if (state.usedWrapCounter !== state.lastAvailWrapCounter)
    return problem('usedWrapCounter', state.usedWrapCounter, 'lastAvailWrapCounter: no chain in flight');
  return undefined;
}
