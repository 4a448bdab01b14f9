import type { PendingElement, RingReport } from '@ringwire/ring-oracle';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { checkFindings, checkInferred } from './check-queue.js';
import { checkReceive } from './check-receive.js';
import { checkReturned, type Returned } from './check-returned.js';
import { checkTransmit } from './check-transmit.js';
import { bytesOfHex, frameCount } from './frames.js';
import { hasKnownFaults } from './known-faults.js';
import type { RingSet } from './load-set.js';
import { advance, givenPlaces, inspect, type Place, placeText } from './ring-view.js';
import type { Queue, QueuePositions, Step } from './set-schema.js';
import type { Tally } from './tally.js';

/** One queue while the steps go on. */
interface QueueState {
  readonly queue: Queue;
  /** Taken and not returned. */
  inFlight: readonly PendingElement[];
  pending: readonly PendingElement[];
  lastAvail: Place;
  used: Place;
}

const bit = (features: bigint, number: number): boolean => ((features >> BigInt(number)) & 1n) === 1n;

/** Let the device's steps happen in our copy of the image, and compare what they consumed and returned. */
export function checkSteps(set: RingSet, reports: readonly RingReport[], tally: Tally): void {
  const states = set.queues.map((queue, i): QueueState => {
    const { lastAvail, used } = givenPlaces(set, queue);
    const places = { lastAvail, used: used ?? lastAvail };
    return { queue, inFlight: inFlightElements(set, queue, places), pending: reports[i]!.pending, ...places };
  });
  for (const step of set.expected.steps) checkStep(set, states, step, tally);
  checkVringBase(set, states, tally);
  for (const { queue, lastAvail } of states) {
    if (queue.descriptors_consumed_by_steps === undefined) continue;
    // Kept modulo the ring, so a whole lap counts as none.
    const consumed = (lastAvail.index - queue.last_avail_idx + queue.num) % queue.num;
    tally.equal(`${queue.name} descriptors consumed`, consumed, queue.descriptors_consumed_by_steps % queue.num);
  }
}

/** What lies between the used position and the next one taken, read as if it were still to be taken. */
function inFlightElements(
  set: RingSet,
  queue: Queue,
  { lastAvail, used }: { lastAvail: Place; used: Place },
): PendingElement[] {
  if (used.index === lastAvail.index && used.wrap === lastAvail.wrap) return [];
  const { pending } = inspect(set, queue, { lastAvail: used, features: true });
  const end = pending.findIndex(({ position, wrap }) => position === lastAvail.index && (wrap ?? 0) === lastAvail.wrap);
  return pending.slice(0, end < 0 ? pending.length : end);
}

const isKind = ({ queue }: QueueState, kind: string): boolean => queue.name.startsWith(kind);

function checkStep(set: RingSet, states: readonly QueueState[], step: Step, tally: Tally): void {
  const taken = isTransmitStep(step) ? transmit(set, states, step, tally) : receive(set, states, step, tally);
  applyChanges(set, step, tally);
  for (const state of states) {
    const isNet = isKind(state, 'tx') || isKind(state, 'rx');
    checkAfter(set, state, isNet ? (taken.get(state) ?? []) : takenByNow(set, state, step), step, tally);
  }
}

const isTransmitStep = ({ name }: Step): boolean => name.startsWith('tx');

function transmit(set: RingSet, states: readonly QueueState[], step: Step, tally: Tally): Map<QueueState, Returned[]> {
  const senders = states.filter((state) => isKind(state, 'tx'));
  const withInFlight = senders.map(({ queue, inFlight, pending }) => ({
    name: queue.name,
    elements: [...inFlight, ...pending],
  }));
  const total = withInFlight.reduce((count, { elements }) => count + elements.length, 0);
  // Frames in flight may leave with the others, or may have left before.
  const late = total === frameCount(step.frames_out);
  const queues = late ? withInFlight : senders.map(({ queue, pending }) => ({ name: queue.name, elements: pending }));
  const rules = { headerLength: set.expected.header_len, anyAccess: hasKnownFaults(set) };
  checkTransmit(set.memory, queues, rules, step, tally);
  return new Map(senders.map((state) => [state, state.pending.map((element) => ({ element, written: null }))]));
}

function receive(set: RingSet, states: readonly QueueState[], step: Step, tally: Tally): Map<QueueState, Returned[]> {
  const taken = new Map<QueueState, Returned[]>();
  const queues = states
    .filter((state) => isKind(state, 'rx'))
    .map((state) => {
      const list: Returned[] = [];
      taken.set(state, list);
      return { name: state.queue.name, pending: state.pending, taken: list };
    });
  const { header_len: headerLength, features } = set.expected;
  const rules = { headerLength, mergeable: bit(features, VIRTIO_NET_F.MRG_RXBUF), memory: set.memory };
  checkReceive(queues, rules, step, tally);
  return taken;
}

/** A control queue is served when the device comes to it: as far as its positions afterwards say. */
function takenByNow(set: RingSet, { queue, lastAvail, pending }: QueueState, step: Step): Returned[] {
  const after = step.queues_after?.find(({ index }) => index === queue.index);
  if (after === undefined) return [];
  const theirs = placeText(set.layout, givenPlaces(set, after).lastAvail);
  const count = pending.findIndex(
    (_, n) => placeText(set.layout, advance(set, queue, lastAvail, pending.slice(0, n + 1))) === theirs,
  );
  return pending.slice(0, count + 1).map((element) => ({ element, written: null }));
}

/** Writes of the device into saved pages, which held what the set says; what lies elsewhere is not ours to see. */
function applyChanges(set: RingSet, step: Step, tally: Tally): void {
  for (const [address, before, after] of step.changes) {
    const bytes = bytesOfHex(after);
    const old = before === null ? null : bytesOfHex(before);
    const end = address + BigInt(bytes.length);
    for (const piece of set.pieces) {
      const pieceEnd = piece.address + BigInt(piece.bytes.length);
      if (end <= piece.address || address >= pieceEnd) continue;
      const from = address < piece.address ? Number(piece.address - address) : 0;
      const to = end > pieceEnd ? Number(pieceEnd - address) : bytes.length;
      const at = Number(address + BigInt(from) - piece.address);
      if (old !== null)
        checkBefore(step, address + BigInt(from), piece.bytes.subarray(at), old.subarray(from, to), tally);
      piece.bytes.set(bytes.subarray(from, to), at);
    }
  }
}

function checkBefore(step: Step, address: bigint, ours: Uint8Array, theirs: Uint8Array, tally: Tally): void {
  const at = theirs.findIndex((byte, i) => byte !== ours[i]);
  if (at < 0) return;
  const where = `0x${(address + BigInt(at)).toString(16)}`;
  tally.equal(`the byte at ${where} before "${step.name.split(':')[0]}"`, ours[at]!, theirs[at]!);
}

/** Positions and ring bytes after a step in which the device took and returned these elements. */
function checkAfter(set: RingSet, state: QueueState, taken: readonly Returned[], step: Step, tally: Tally): void {
  const { queue } = state;
  const name = `${queue.name} after ${step.name.split(':')[0]}`;
  const before = state.used;
  state.lastAvail = advance(
    set,
    queue,
    state.lastAvail,
    taken.map(({ element }) => element),
  );
  const after = step.queues_after?.find(({ index }) => index === queue.index);
  // What was in flight before may have come back meanwhile; without a word on it, all has.
  state.used =
    after === undefined || (after.inuse ?? 0) === 0
      ? state.lastAvail
      : (givenPlaces(set, after).used ?? state.lastAvail);
  state.pending = state.pending.slice(taken.length);
  if (after !== undefined) checkPlaces(set, name, state, after, tally);
  const report = inspect(set, queue, {
    lastAvail: state.lastAvail,
    used: state.used,
    features: true,
    ...(set.layout === 'split' ? { driverUsedIdx: before.index } : {}),
  });
  checkFindings(set, name, report, tally);
  const theirs = state.pending.map(({ position, id }) => `${position}/${id}`).join(' ');
  tally.equal(
    `${name}: pending elements`,
    report.pending.map(({ position, id }) => `${position}/${id}`).join(' '),
    theirs,
  );
  const inferred = inspect(set, queue, { features: true });
  checkInferred(set, name, inferred, state, tally);
  if (state.used === state.lastAvail) {
    const inOrder = bit(set.expected.features, VIRTIO_F.IN_ORDER);
    const returned = [...state.inFlight.map((element) => ({ element, written: null })), ...taken];
    checkReturned(set, queue, name, before, report, returned, inOrder, tally);
  }
  state.inFlight = inFlightElements(set, queue, state);
}

function checkPlaces(set: RingSet, name: string, state: QueueState, after: QueuePositions, tally: Tally): void {
  const { lastAvail, used } = givenPlaces(set, after);
  tally.equal(`${name}: last_avail_idx`, placeText(set.layout, state.lastAvail), placeText(set.layout, lastAvail));
  if (used !== null) tally.equal(`${name}: used_idx`, placeText(set.layout, state.used), placeText(set.layout, used));
}

/** GET_VRING_BASE: packed, bits 14:0 are the slot and bit 15 its wrap counter. */
function checkVringBase(set: RingSet, states: readonly QueueState[], tally: Tally): void {
  const bases = set.expected.vring_base_after_steps;
  if (bases === undefined) return;
  for (const { queue, lastAvail } of states) {
    const text = bases[queue.name];
    if (text === undefined) continue;
    const base = Number.parseInt(text, 16);
    if (Number.isNaN(base))
      tally.differ(`expected.json: vring_base_after_steps.${queue.name} is ${text}, want a hex number`);
    const theirs: Place =
      set.layout === 'split'
        ? { index: base & 0xffff, wrap: 0 }
        : { index: base & 0x7fff, wrap: (base & 0x8000) === 0 ? 0 : 1 };
    tally.equal(`${queue.name} vring base`, placeText(set.layout, lastAvail), placeText(set.layout, theirs));
  }
}
