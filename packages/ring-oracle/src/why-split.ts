import { VIRTQ_AVAIL_F, VIRTQ_USED_F } from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import type { SplitContents } from './inspect-split.js';
import type { RingInput } from './ring-input.js';
import { counted, whyBeforeTheRing, whyFirstFault } from './why-common.js';

const distance = (from: number, to: number): number => (to - from) & 0xffff;

/** Why nothing is happening on a split ring, the most telling reason first. */
export function whySplit(input: RingInput, contents: SplitContents, context: WalkContext): string[] {
  return [
    ...whyBeforeTheRing(input, context),
    ...whyProgress(contents, context),
    ...whyNoKick(contents, context),
    ...whyNoInterrupt(contents, context),
    ...whyFirstFault(context, contents.pending),
    ...context.why,
  ];
}

function whyProgress({ header, positions, inFlight, ahead }: SplitContents, { size }: WalkContext): string[] {
  const { idx } = header.avail;
  const { lastAvail } = positions;
  if (idx === null || lastAvail === null) return [];
  const why: string[] = [];
  if (ahead === null) {
    why.push(
      `avail.idx ${idx} cannot follow the device's position ${lastAvail.index} with a queue size of ${size}: a device takes nothing from here on.`,
    );
  } else if (ahead === 0) {
    why.push(
      `The driver has published nothing since ${idx}: avail.idx is ${idx} and the device has consumed everything.`,
    );
  } else {
    const guess = lastAvail.known === 'likely' ? ' (or holds them: the position is inferred)' : '';
    why.push(
      `${counted(ahead, 'element')} ${ahead === 1 ? 'is' : 'are'} pending from available index ${lastAvail.index} on: the device has not taken them${guess}.`,
    );
  }
  if (inFlight !== null && inFlight > 0) {
    why.push(`The device holds ${counted(inFlight, 'element')} that it took and has not returned.`);
  }
  return why;
}

/** Does the device ask to be notified of available buffers? virtio 1.4 §2.7.10. */
function whyNoKick({ header, positions, ahead }: SplitContents, { features, size }: WalkContext): string[] {
  const { flags, avail_event: event } = header.used;
  const next = positions.lastAvail?.index;
  const why: string[] = [];
  if (features.eventIdx !== true && flags !== null && (flags & VIRTQ_USED_F.NO_NOTIFY) !== 0) {
    why.push('The device suppresses kicks: used.flags is 1, so it has to look at avail.idx by itself.');
  }
  if (features.eventIdx === false && flags === 0 && ahead !== null && ahead > 0) {
    why.push('A kick is due: used.flags is 0, so the device relies on one.');
  }
  if (features.eventIdx !== true || event === null || next === undefined || ahead === null) return why;
  const until = distance(next, event);
  if (until < ahead) {
    why.push(
      `A kick is due: avail_event is ${event}, and that entry is published. Without the kick the device may sleep on.`,
    );
  } else if (until < size + ahead) {
    why.push(
      `The device suppresses kicks up to avail_event = ${event}: ${counted(until - ahead + 1, 'more element')} until one is due.`,
    );
  } else {
    why.push(
      `The device suppresses kicks: avail_event = ${event} lies behind its position ${next}, so it has to look by itself.`,
    );
  }
  return why;
}

/** Does the driver ask to be notified of used buffers? virtio 1.4 §2.7.7. */
function whyNoInterrupt({ header, inFlight, ahead }: SplitContents, { features, size }: WalkContext): string[] {
  const { flags, used_event: event } = header.avail;
  const { idx } = header.used;
  if (features.eventIdx !== true && flags !== null && (flags & VIRTQ_AVAIL_F.NO_INTERRUPT) !== 0) {
    return ['The driver suppresses notifications: avail.flags is 1, so it has to look at used.idx by itself.'];
  }
  if (features.eventIdx !== true || event === null || idx === null) return [];
  const until = distance(idx, event) + 1;
  const outstanding = (ahead ?? 0) + (inFlight ?? 0);
  if (until > size) {
    return [
      `The driver suppresses notifications: used_event = ${event} lies behind used.idx ${idx}, so none comes until it moves on.`,
    ];
  }
  if (until > outstanding && outstanding > 0) {
    return [
      `The driver suppresses notifications up to used_event = ${event}: the next comes with ${counted(until, 'more used element')}, and only ${outstanding} are outstanding.`,
    ];
  }
  return until === 1
    ? []
    : [`The driver asks to be notified at used_event = ${event}: after ${counted(until, 'more used element')}.`];
}
