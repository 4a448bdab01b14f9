import { RING_EVENT_FLAGS } from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import { type PackedContents, slotState } from './inspect-packed.js';
import { availBit, looksAvailable } from './packed-slots.js';
import type { EventSuppress, Position } from './report.js';
import type { RingInput } from './ring-input.js';
import { counted, whyBeforeTheRing, whyFirstFault } from './why-common.js';

/** Why nothing is happening on a packed ring, the most telling reason first. */
export function whyPacked(input: RingInput, contents: PackedContents, context: WalkContext): string[] {
  const { header, positions, pending } = contents;
  return [
    ...whyBeforeTheRing(input, context),
    ...whyProgress(contents),
    ...whyEvent(
      header.device,
      positions.lastAvail,
      positions.driver,
      context,
      'The device suppresses kicks',
      'A kick is due',
    ),
    ...whyEvent(header.driver, positions.used, null, context, 'The driver suppresses notifications', ''),
    ...whyFirstFault(context, pending),
    ...context.why,
  ];
}

function whyProgress({ positions, pending, inFlight, nextFlags, slots }: PackedContents): string[] {
  const { lastAvail } = positions;
  if (lastAvail === null) return [];
  const why: string[] = [];
  const place = `slot ${lastAvail.index}, wrap counter ${lastAvail.wrap}`;
  if (pending.length === 0) {
    why.push(`The driver has published nothing since ${place}: the device has consumed everything.`);
    if (nextFlags !== null) why.push(wrongLap(lastAvail, nextFlags));
  } else {
    const guess = lastAvail.known === 'likely' ? ' (or holds them: the position is inferred)' : '';
    why.push(
      `${counted(pending.length, 'element')} ${pending.length === 1 ? 'is' : 'are'} pending from ${place} on: the device has not taken them${guess}.`,
    );
  }
  if (inFlight !== null && inFlight > 0) {
    why.push(`The device holds ${counted(inFlight, 'descriptor')} that it took and has not returned.`);
  }
  const unsaved = slots.find((run) => run.state === 'unsaved');
  if (unsaved !== undefined)
    why.push(`Slots from ${unsaved.from} on were not saved: what is pending there is not known.`);
  return why;
}

/** What the slot that the device polls looks like, and what that may mean. virtio 1.4 §2.8.1. */
function wrongLap({ index, wrap }: Position, flags: number): string {
  const seen = `Slot ${index} has ${slotState(flags)}`;
  if (!looksAvailable(flags)) return `${seen}, so it is not available.`;
  return availBit(flags) === wrap
    ? `${seen}.`
    : `${seen}, and the device expects ${wrap}: left over from the lap before, or the driver's wrap counter is out of step.`;
}

/**
 * One event suppression structure. virtio 1.4 §2.8.10.
 * @param from where the side that reads it stands
 * @param published how far the other side has come already; null when that is not asked
 */
function whyEvent(
  event: EventSuppress | null,
  from: Position | null,
  published: Position | null,
  { size }: WalkContext,
  suppressed: string,
  due: string,
): string[] {
  if (event === null) return [];
  const { desc_event_off: off, desc_event_wrap: wrap, desc_event_flags: flags } = event;
  if (flags === RING_EVENT_FLAGS.DISABLE)
    return [`${suppressed}: desc_event_flags are 1, so it has to look by itself.`];
  if (flags !== RING_EVENT_FLAGS.DESC || from === null) return [];
  const until = ahead(size, from, { index: off, wrap });
  const place = `slot ${off}, wrap counter ${wrap}`;
  if (published !== null && until >= 0 && until < ahead(size, from, published)) {
    return [`${due}: it was asked for at ${place}, and that slot is published.`];
  }
  return until < 0 || until >= size
    ? [`${suppressed}: desc_event_off asks for ${place}, which is behind, so none comes for a lap.`]
    : until === 0
      ? []
      : [`${suppressed} up to ${place}: ${counted(until + 1, 'more slot')} until one is due.`];
}

const ahead = (size: number, from: Position, to: { index: number; wrap: 0 | 1 | null }): number =>
  to.index - from.index + (from.wrap === to.wrap ? 0 : size);
