import type { RingReport } from '@ringwire/ring-oracle';
import { checkReach } from './check-reach.js';
import { isKnownFault } from './known-faults.js';
import type { RingSet } from './load-set.js';
import { givenPlaces, inspect, type Place, placeText } from './ring-view.js';
import type { Queue } from './set-schema.js';
import type { Tally } from './tally.js';

/** Decode one queue of the image and compare with all that the set says of it. */
export function checkQueue(set: RingSet, queue: Queue, tally: Tally): RingReport {
  const { lastAvail, used } = givenPlaces(set, queue);
  const given = { lastAvail, ...(used === null ? {} : { used }) };
  const report = inspect(set, queue, { ...given, features: true });
  const name = queue.name;
  tally.queues++;
  tally.elements += report.totals.elements;
  tally.descriptors += report.totals.descriptors;
  tally.knownFaults += report.violations.filter((violation) => isKnownFault(set, violation)).length;
  checkFindings(set, name, report, tally);
  checkFindings(set, `${name}, features unknown`, inspect(set, queue, { ...given, features: false }), tally);
  checkRings(name, queue, report, tally);
  checkElements(name, queue, report, tally);
  checkCounts(set, queue, report, tally);
  checkReach(set, name, report, tally);
  const inferred = inspect(set, queue, { features: true });
  checkFindings(set, `${name}, positions inferred`, inferred, tally);
  // Without a used index in the set, all that was taken had been returned.
  checkInferred(set, name, inferred, { lastAvail, used: used ?? lastAvail }, tally);
  return report;
}

export function checkFindings(set: RingSet, name: string, report: RingReport, tally: Tally): void {
  for (const violation of report.violations) {
    const { id, at, message } = violation;
    if (!isKnownFault(set, violation)) tally.differ(`${name}: ${id} at ${at}: ${message}`);
  }
  for (const { id, at, message } of report.remarks) {
    // Legal, and no driver does it: they all index their tables with it.
    if (id === 'ring.packed.id-range') tally.differ(`${name}: ${id} at ${at}: ${message}`);
  }
  if (report.truncated) tally.differ(`${name}: not all pending descriptors were decoded`);
}

function checkRings(name: string, queue: Queue, { header }: RingReport, tally: Tally): void {
  const { rings } = queue;
  if (rings === undefined) return;
  if (header.layout === 'packed') {
    tally.differ(`${name}: rings are given for a packed queue`);
    return;
  }
  tally.equal(`${name} avail.flags`, header.avail.flags ?? 'not saved', rings.avail_flags);
  tally.equal(`${name} avail.idx`, header.avail.idx ?? 'not saved', rings.avail_idx);
  tally.equal(`${name} used.flags`, header.used.flags ?? 'not saved', rings.used_flags);
  tally.equal(`${name} used.idx`, header.used.idx ?? 'not saved', rings.used_idx);
}

function checkElements(name: string, queue: Queue, { pending }: RingReport, tally: Tally): void {
  const { avail_elements: elements } = queue;
  if (elements === undefined) return;
  tally.equal(`${name} pending elements`, pending.length, elements.length);
  for (const [i, theirs] of elements.entries()) {
    const ours = pending[i];
    if (ours === undefined) return;
    const what = `${name} element ${i}`;
    tally.equal(`${what} available index`, ours.position, theirs.avail_idx);
    tally.equal(`${what} head`, ours.id, theirs.head);
    const ourDescs = ours.descriptors.map(({ address, length, flags }) => descText(BigInt(address), length, flags));
    const theirDescs = theirs.descs.map(([address, length, flags]) => descText(address, length, flags));
    tally.equal(`${what} descriptors`, ourDescs.join(' '), theirDescs.join(' '));
  }
}

const descText = (address: bigint, length: number, flags: number): string =>
  `[0x${address.toString(16)}, ${length}, ${flags}]`;

function checkCounts(set: RingSet, queue: Queue, report: RingReport, tally: Tally): void {
  const { name, num } = queue;
  if (queue.available !== undefined) tally.equal(`${name} available`, report.pending.length, queue.available);
  if (queue.inuse !== undefined) tally.equal(`${name} inuse`, report.inFlight ?? 'unknown', queue.inuse);
  if (queue.shadow_avail_idx === undefined) return;
  // The device's copy of the driver's index: no older than its own position, no newer than the ring.
  const reach = set.layout === 'split' ? report.pending.length : report.pending.reduce((n, { slots }) => n + slots, 0);
  const modulus = set.layout === 'split' ? 0x10000 : num;
  const shadow = (queue.shadow_avail_idx - queue.last_avail_idx + modulus) % modulus;
  if (shadow > reach) {
    tally.differ(
      `${name} shadow_avail_idx is ${queue.shadow_avail_idx}, the ring holds ${reach} from ${queue.last_avail_idx} on`,
    );
  }
}

/** Positions read from the bytes must be right where the report is certain of them. */
export function checkInferred(
  set: RingSet,
  name: string,
  report: RingReport,
  theirs: { readonly lastAvail: Place; readonly used: Place },
  tally: Tally,
): void {
  for (const which of ['lastAvail', 'used'] as const) {
    const position = report.positions[which];
    const theirText = placeText(set.layout, theirs[which]);
    if (position === null) {
      if (report.parts.every(({ state }) => state === 'saved')) {
        tally.differ(`${name}: ${which} is not inferred, the oracle says ${theirText}`);
      } else tally.notInferred++;
      continue;
    }
    const ourText = placeText(set.layout, { index: position.index, wrap: position.wrap ?? 0 });
    if (position.known === 'certain') {
      tally.certain++;
      tally.equal(`${name}: ${which}, certain from the bytes,`, ourText, theirText);
    } else {
      tally.likely++;
      if (ourText !== theirText) tally.likelyWrong++;
    }
  }
}
