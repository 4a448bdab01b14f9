import { PVIRTQ_DESC } from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import { hex } from './memory-reader.js';
import { readEvents } from './packed-events.js';
import { walkPackedList } from './packed-list.js';
import { type InferredPositions, inferPositions } from './packed-positions.js';
import { isAvailable, looksAvailable, PackedSlots, usedBit } from './packed-slots.js';
import type { PackedHeader, PendingElement, Position, Positions, SlotRun, UsedElement } from './report.js';
import { type GivenPosition, packedDistance, type RingInput } from './ring-input.js';
import { slotRuns } from './slot-runs.js';

export interface PackedContents {
  readonly header: PackedHeader;
  readonly positions: Positions;
  /** In descriptors. */
  readonly inFlight: number | null;
  readonly pending: readonly PendingElement[];
  readonly returned: readonly UsedElement[];
  readonly slots: readonly SlotRun[];
  /** Flags of the slot after the last pending element; null when not known or the ring is full. */
  readonly nextFlags: number | null;
}

/** Decode and judge a packed ring. virtio 1.4 §2.8. */
export function inspectPacked(input: RingInput, context: WalkContext): PackedContents {
  const { size, parts } = context;
  const slots = new PackedSlots(parts.desc, size);
  const header = readEvents(context);
  const inferred = inferPositions(slots, context.features);
  const { lastAvail, used } = chosen(input, inferred);
  const inFlight =
    lastAvail === null || used === null
      ? null
      : Math.max(0, Math.min(size, packedDistance(size, wrapOf(used), wrapOf(lastAvail))));
  const walked = lastAvail === null ? null : walkPending(context, slots, wrapOf(lastAvail), size - (inFlight ?? 0));
  const driver = lastAvail?.known === 'given' ? (walked?.end ?? inferred.driver) : inferred.driver;
  const live = (slot: number, from: Position | null, count: number): boolean =>
    from !== null && (slot - from.index + size) % size < count;
  const pendingSlots = walked?.slots ?? 0;
  return {
    header,
    positions: { lastAvail, used, driver },
    inFlight,
    pending: walked?.pending ?? [],
    returned: returnedElements(slots, driver),
    slots: slotRuns(size, (slot) => {
      if (live(slot, used, inFlight ?? 0)) return 'in flight';
      if (live(slot, lastAvail, pendingSlots)) return 'pending';
      const flags = slots.flags(slot);
      return flags === null ? 'unsaved' : looksAvailable(flags) ? 'stale' : 'used';
    }),
    nextFlags: pendingSlots === size || driver === null ? null : slots.flags(driver.index),
  };
}

const wrapOf = ({ index, wrap }: Position): { index: number; wrap: 0 | 1 } => ({ index, wrap: wrap ?? 1 });

/** Given positions first; one of the two stands in for the other before anything is guessed. */
function chosen(input: RingInput, inferred: InferredPositions): Pick<Positions, 'lastAvail' | 'used'> {
  const given = (position: GivenPosition, known: Position['known'], how: string): Position => ({
    index: position.index,
    wrap: position.wrap ?? 1,
    known,
    how,
  });
  const { lastAvail, used } = input;
  if (lastAvail !== undefined) {
    const how = 'the next element taken; elements in flight would put it further back';
    return {
      lastAvail: given(lastAvail, 'given', 'given'),
      used: used === undefined ? given(lastAvail, 'likely', how) : given(used, 'given', 'given'),
    };
  }
  if (used === undefined) return inferred;
  const how = 'the next element returned; elements in flight would put it further on';
  return { lastAvail: given(used, 'likely', how), used: given(used, 'given', 'given') };
}

interface Walked {
  readonly pending: readonly PendingElement[];
  readonly slots: number;
  /** The driver's position, when the walk came to a slot that is not available. */
  readonly end: Position | null;
}

function walkPending(
  context: WalkContext,
  slots: PackedSlots,
  from: { index: number; wrap: 0 | 1 },
  room: number,
): Walked {
  const { size } = context;
  const pending: PendingElement[] = [];
  const ids = new Map<number, number>();
  let { index, wrap } = from;
  let taken = 0;
  const end = (): Position => ({ index, wrap, known: 'certain', how: 'the slot after the last pending element' });
  while (taken < room) {
    const flags = slots.flags(index);
    if (flags === null) return { pending, slots: taken, end: null };
    if (!isAvailable(flags, wrap)) return { pending, slots: taken, end: end() };
    const first = index;
    const list = walkPackedList(context, slots, first, wrap, room - taken);
    pending.push(list.walk.element(first, wrap, list.id));
    taken += list.slots;
    if (!list.ended) return { pending, slots: taken, end: null };
    checkId(context, slots, ids, list.id, first, (first + list.slots - 1) % size);
    index = first + list.slots;
    if (index >= size) {
      index -= size;
      wrap = wrap === 0 ? 1 : 0;
    }
  }
  return { pending, slots: taken, end: end() };
}

/** Buffer ids name what is outstanding. virtio 1.4 §2.8.21.1. */
function checkId(
  { size, find }: WalkContext,
  slots: PackedSlots,
  ids: Map<number, number>,
  id: number,
  first: number,
  last: number,
): void {
  const at = slots.address(last) + BigInt(PVIRTQ_DESC.id);
  const before = ids.get(id);
  if (before !== undefined) {
    const message = `The element at slot ${first} has id ${id}, want a free one: the element at slot ${before} has it too and was not returned.`;
    find.violation('ring.packed.id-twice', 'descriptor ring', at, message);
  }
  ids.set(id, first);
  if (id >= size) {
    const message = `The element at slot ${first} has id ${id}, which is legal though not below the queue size ${size}; the device echoes it.`;
    find.remark('ring.packed.id-range', 'descriptor ring', at, message);
  }
}

/** Slots marked used, from the driver's position on: oldest first. Slots never written are not among them. */
function returnedElements(slots: PackedSlots, driver: Position | null): UsedElement[] {
  const list: UsedElement[] = [];
  for (let n = 0; n < slots.size; n++) {
    const slot = ((driver?.index ?? 0) + n) % slots.size;
    const raw = slots.raw(slot);
    if (raw === null || looksAvailable(raw.flags)) continue;
    if (raw.flags === 0 && raw.addr === 0n && raw.len === 0 && raw.link === 0) continue;
    list.push({ position: slot, wrap: usedBit(raw.flags), id: raw.link, length: raw.len });
  }
  return list;
}

/** For sentences: what a slot's wrap bits say. */
export function slotState(flags: number): string {
  const bits = `flags ${hex(flags)}`;
  if (!looksAvailable(flags)) return flags === 0 ? `${bits}: never written, or used` : `${bits}: marked used`;
  return `${bits}: available to wrap counter ${(flags & 0x80) === 0 ? 0 : 1}`;
}
