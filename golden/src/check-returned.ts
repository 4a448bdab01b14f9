import type { PendingElement, RingReport } from '@ringwire/ring-oracle';
import type { RingSet } from './load-set.js';
import type { Place } from './ring-view.js';
import type { Queue } from './set-schema.js';
import type { Tally } from './tally.js';

/** An element that a step consumed; `written` is the used length to expect, null where the device may choose. */
export interface Returned {
  readonly element: PendingElement;
  readonly written: number | null;
}

/** The ring's used elements since `before` are those consumed, each once. */
export function checkReturned(
  set: RingSet,
  queue: Queue,
  name: string,
  before: Place,
  report: RingReport,
  taken: readonly Returned[],
  inOrder: boolean,
  tally: Tally,
): void {
  if (set.layout === 'split') checkSplit(name, report, taken, inOrder, tally);
  else checkPacked(queue, name, before, report, taken, inOrder, tally);
}

function checkSplit(
  name: string,
  report: RingReport,
  taken: readonly Returned[],
  inOrder: boolean,
  tally: Tally,
): void {
  const entries = report.returned.slice(report.returned.length - taken.length);
  const left = [...taken];
  for (const { position, id, length } of taken.length === 0 ? [] : entries) {
    const at = left.findIndex(({ element }) => element.id === id);
    if (at < 0) {
      tally.differ(`${name}: used entry ${position} returns id ${id}, which the step did not take`);
      return;
    }
    const [{ written }] = left.splice(at, 1) as [Returned];
    // A batch may be returned in one go, its lengths then count for nothing.
    if (written !== null && !inOrder) tally.equal(`${name}: used entry ${position} length`, length, written);
    tally.returned++;
  }
  if (left.length > 0) tally.differ(`${name}: ${left.length} elements taken are not in the used ring`);
}

/** virtio 1.4 §2.8.2: from one used descriptor to the next by the length of its list, or of its batch. */
function checkPacked(
  queue: Queue,
  name: string,
  before: Place,
  report: RingReport,
  taken: readonly Returned[],
  inOrder: boolean,
  tally: Tally,
): void {
  const bySlot = new Map(report.returned.map((used) => [used.position, used]));
  let { index, wrap } = before;
  for (let left = [...taken]; left.length > 0; ) {
    const used = bySlot.get(index);
    if (used === undefined || used.wrap !== wrap) {
      tally.differ(
        `${name}: slot ${index} is not marked used with wrap counter ${wrap}, ${left.length} elements were taken`,
      );
      return;
    }
    const at = left.findIndex(({ element }) => element.id === used.id);
    if (at < 0) {
      tally.differ(`${name}: slot ${index} returns id ${used.id}, which the step did not take`);
      return;
    }
    const { written } = left[at]!;
    if (written !== null && !inOrder) tally.equal(`${name}: slot ${index} used length`, used.length, written);
    const batch = inOrder ? left.slice(0, at + 1) : left.slice(at, at + 1);
    left = inOrder ? left.slice(at + 1) : left.filter((_, i) => i !== at);
    tally.returned += batch.length;
    index += batch.reduce((slots, { element }) => slots + element.slots, 0);
    if (index >= queue.num) {
      index -= queue.num;
      wrap = wrap === 0 ? 1 : 0;
    }
  }
}
