import { inspectRing, type PendingElement, type RingReport } from '@ringwire/ring-oracle';
import type { RingSet } from './load-set.js';
import type { Queue, QueuePositions } from './set-schema.js';

/** A place in a ring: split a free-running index with wrap 0, packed a slot and its wrap counter. */
export interface Place {
  readonly index: number;
  readonly wrap: 0 | 1;
}

export const placeText = (layout: RingSet['layout'], { index, wrap }: Place): string =>
  layout === 'split' ? `${index}` : `${index} wrap ${wrap}`;

/** The place after some elements. */
export function advance(set: RingSet, { num }: Queue, from: Place, elements: readonly PendingElement[]): Place {
  if (set.layout === 'split') return { index: (from.index + elements.length) & 0xffff, wrap: 0 };
  const next = from.index + elements.reduce((slots, element) => slots + element.slots, 0);
  const laps = Math.floor(next / num);
  return { index: next % num, wrap: laps % 2 === 0 ? from.wrap : from.wrap === 0 ? 1 : 0 };
}

/** What the set knows of a queue's positions; without a used index the device had nothing in flight. */
export function givenPlaces(set: RingSet, queue: QueuePositions): { lastAvail: Place; used: Place | null } {
  if (set.layout === 'split') {
    const used = queue.used_idx === undefined ? null : ({ index: queue.used_idx, wrap: 0 } as const);
    return { lastAvail: { index: queue.last_avail_idx, wrap: 0 }, used };
  }
  const lastAvail: Place = { index: queue.last_avail_idx, wrap: queue.last_avail_wrap_counter ?? 1 };
  if (queue.used_idx === undefined) return { lastAvail, used: null };
  // At most a lap behind: a larger slot number is of the lap before.
  const behind = queue.used_idx <= lastAvail.index ? lastAvail.wrap : lastAvail.wrap === 0 ? 1 : 0;
  return { lastAvail, used: { index: queue.used_idx, wrap: queue.used_wrap_counter ?? behind } };
}

export interface InspectOptions {
  readonly lastAvail?: Place;
  readonly used?: Place;
  readonly driverUsedIdx?: number;
  readonly features: boolean;
}

/** All of a large ring with long indirect tables: golden rings are no attack. */
const MAX_DESCRIPTORS = 1 << 22;
const MAX_FINDINGS = 1 << 20;

export function inspect(set: RingSet, queue: Queue, options: InspectOptions): RingReport {
  const { lastAvail, used, driverUsedIdx } = options;
  return inspectRing({
    memory: set.memory,
    layout: set.layout,
    size: queue.num,
    desc: queue.desc,
    driver: queue.driver,
    device: queue.device,
    maxDescriptors: MAX_DESCRIPTORS,
    maxFindings: MAX_FINDINGS,
    ...(options.features ? { features: set.expected.features } : {}),
    ...(lastAvail === undefined ? {} : { lastAvail }),
    ...(used === undefined ? {} : { used }),
    ...(driverUsedIdx === undefined ? {} : { driverUsedIdx }),
  });
}
