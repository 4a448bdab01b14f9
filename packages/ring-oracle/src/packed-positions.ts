import { VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import { availBit, looksAvailable, type PackedSlots } from './packed-slots.js';
import type { Position } from './report.js';
import type { RingFeatures } from './ring-input.js';

export interface InferredPositions {
  readonly driver: Position | null;
  readonly used: Position | null;
  readonly lastAvail: Position | null;
}

/**
 * Positions from the descriptor ring alone. virtio 1.4 §2.8.1.
 *
 * The driver's: AVAIL keeps the driver's wrap counter of the lap in which the slot was written, also when the
 * device overwrites it with a used descriptor. So AVAIL changes at most once along the ring, and there is the
 * driver's next slot; a second change means that a list is being published, or a ring that nobody keeps.
 *
 * The device's: back from there, slots that look available are pending, in flight, or what is left of returned
 * lists, of which only one slot is marked used. Only when the slot just before the driver's is used is there
 * nothing to weigh: a used descriptor at the last slot written leaves nothing outstanding.
 */
export function inferPositions(slots: PackedSlots, features: RingFeatures): InferredPositions {
  const flags = allFlags(slots);
  if (flags === null) return { driver: null, used: null, lastAvail: null };
  const { size } = slots;
  const changes = laps(flags);
  const first = availBit(flags[0]!);
  const index = changes[0] ?? 0;
  const wrap = changes.length > 0 ? first : toggled(first);
  const usedSlots = flags.reduce((count, word) => (looksAvailable(word) ? count : count + 1), 0);
  // A list over the whole ring, all but its first slot written, looks like the lap before; see the test.
  const clear = changes.length < 2 && (usedSlots >= 2 || size === 1);
  const how =
    changes.length < 2
      ? 'the slot where the AVAIL bits change'
      : `the first of ${changes.length} slots where the AVAIL bits change`;
  const driver: Position = { index, wrap, known: clear ? 'certain' : 'likely', how };

  const run = runBefore(flags, index);
  if (run === 0) {
    const rest: Position = { ...driver, how: 'the slot before the driver is used: nothing is outstanding' };
    return { driver, used: rest, lastAvail: rest };
  }
  const stale = run === size ? 0 : staleTail(slots, flags, index, run, features);
  const back = run - stale;
  const start = (index - back + size) % size;
  const used: Position = {
    index: start,
    wrap: start < index || back === 0 ? wrap : toggled(wrap),
    known: 'likely',
    how:
      stale === 0
        ? 'the slots before the driver that look available'
        : `the same, less ${stale} left of a returned list`,
  };
  return { driver, used, lastAvail: { ...used, how: `${used.how}; elements in flight would put it further on` } };
}

const toggled = (wrap: 0 | 1): 0 | 1 => (wrap === 0 ? 1 : 0);

function allFlags(slots: PackedSlots): number[] | null {
  const flags: number[] = [];
  for (let slot = 0; slot < slots.size; slot++) {
    const word = slots.flags(slot);
    if (word === null) return null;
    flags.push(word);
  }
  return flags;
}

/** Slots whose AVAIL bit differs from the slot before. */
function laps(flags: readonly number[]): number[] {
  const changes: number[] = [];
  for (let slot = 1; slot < flags.length; slot++) {
    if (availBit(flags[slot]!) !== availBit(flags[slot - 1]!)) changes.push(slot);
  }
  return changes;
}

/** How many slots before `index`, going back around the ring, look available. */
function runBefore(flags: readonly number[], index: number): number {
  let run = 0;
  while (run < flags.length && looksAvailable(flags[(index - run - 1 + flags.length) % flags.length]!)) run++;
  return run;
}

/**
 * Slots at the start of the run that belong to the list whose used descriptor stands just before the run.
 * The used descriptor carries the id of the list, and its last slot carried it too. With IN_ORDER it may stand
 * for a batch, whose last slot can be anywhere in the run. The id alone may also have been given out anew, so
 * without IN_ORDER it counts only when the id would otherwise be outstanding twice, or when the ring shows
 * remains of other lists.
 */
function staleTail(
  slots: PackedSlots,
  flags: readonly number[],
  index: number,
  run: number,
  features: RingFeatures,
): number {
  const { size } = slots;
  const start = (index - run + size) % size;
  const usedId = slots.id((start - 1 + size) % size);
  const lists: { last: number; id: number | null }[] = [];
  for (let n = 0; n < run; n++) {
    const slot = (start + n) % size;
    if ((flags[slot]! & VIRTQ_DESC_F.NEXT) === 0) lists.push({ last: n, id: slots.id(slot) });
  }
  if (features.inOrder === true) {
    const batch = lists.find(({ id }) => id === usedId);
    return batch === undefined ? 0 : batch.last + 1;
  }
  const tail = lists[0];
  if (tail === undefined || tail.id !== usedId || (flags[start]! & VIRTQ_DESC_F.INDIRECT) !== 0) return 0;
  const twice = lists.slice(1).some(({ id }) => id === usedId);
  let others = 0;
  for (let n = run + 1; n < size; n++) if (looksAvailable(flags[(start + n) % size]!)) others++;
  return twice || others > 0 ? tail.last + 1 : 0;
}
