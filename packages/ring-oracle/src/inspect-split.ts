import {
  isVirtqSize,
  VIRTQ_AVAIL,
  VIRTQ_USED,
  VIRTQ_USED_ELEM,
  virtqAvailEventAt,
  virtqUsedEventAt,
} from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import { hex } from './memory-reader.js';
import type { PendingElement, Position, Positions, SlotRun, SplitHeader, UsedElement } from './report.js';
import type { RingInput } from './ring-input.js';
import { slotRuns } from './slot-runs.js';
import { type Owners, walkSplitChain } from './split-chain.js';
import { checkSplitHeader } from './split-header.js';

export interface SplitContents {
  readonly header: SplitHeader;
  readonly positions: Positions;
  readonly inFlight: number | null;
  readonly pending: readonly PendingElement[];
  readonly returned: readonly UsedElement[];
  readonly slots: readonly SlotRun[];
  /** How far the available index is ahead of the device; null when not known or not to be believed. */
  readonly ahead: number | null;
}

const distance = (from: number, to: number): number => (to - from) & 0xffff;

/** Decode and judge a split ring. virtio 1.4 §2.7. */
export function inspectSplit(input: RingInput, context: WalkContext): SplitContents {
  const { size, find, parts } = context;
  if (!isVirtqSize(size)) {
    find.violation('ring.split.queue-size', 'queue', null, `queue_size is ${size}, want a power of two.`);
  }
  const header = readHeader(context);
  checkSplitHeader(header, context);
  const used = usedPosition(input, header, context);
  const lastAvail = lastAvailPosition(input, header, used);
  const inFlight = used === null || lastAvail === null ? null : distance(used.index, lastAvail.index);
  if (inFlight !== null && inFlight > size) {
    const message = `The used index is ${used!.index}, want at most ${lastAvail!.index}, which is all that the device has taken.`;
    find.violation('ring.split.used-ahead', 'used ring', parts.device.address + BigInt(VIRTQ_USED.idx), message);
  }
  const ahead = checkAhead(header, used, lastAvail, context);
  const owners: Owners = new Uint32Array(size);
  const pending = ahead === null || lastAvail === null ? [] : walkPending(context, lastAvail.index, ahead, owners);
  const driver = header.avail.idx === null ? null : at(header.avail.idx, 'certain', 'avail.idx');
  return {
    header,
    positions: { lastAvail, used, driver },
    inFlight: inFlight !== null && inFlight <= size ? inFlight : null,
    pending,
    returned: returnedElements(input, header, context),
    slots: slotRuns(size, (index) => (owners[index] !== 0 ? 'pending' : 'idle')),
    ahead,
  };
}

const at = (index: number, known: Position['known'], how: string): Position => ({ index, wrap: null, known, how });

function readHeader({ parts, size }: WalkContext): SplitHeader {
  const { driver, device } = parts;
  return {
    layout: 'split',
    avail: {
      flags: driver.u16(VIRTQ_AVAIL.flags),
      idx: driver.u16(VIRTQ_AVAIL.idx),
      used_event: driver.u16(virtqUsedEventAt(size)),
    },
    used: {
      flags: device.u16(VIRTQ_USED.flags),
      idx: device.u16(VIRTQ_USED.idx),
      avail_event: device.u16(virtqAvailEventAt(size)),
    },
  };
}

/** The device's used index: its own word for it, else the one in memory, which only the device writes. */
function usedPosition(input: RingInput, { used }: SplitHeader, { size, find, parts }: WalkContext): Position | null {
  if (input.used === undefined) return used.idx === null ? null : at(used.idx, 'certain', 'used.idx');
  const given = input.used.index;
  const field = parts.device.address + BigInt(VIRTQ_USED.idx);
  if (used.idx !== null && used.idx !== given) {
    const message = `used.idx is ${used.idx}, the device's own used index is ${given}`;
    if (distance(used.idx, given) <= size) {
      find.remark('ring.split.used-unpublished', 'used ring', field, `${message}: not published yet.`);
    } else {
      find.violation('ring.split.used-overwritten', 'used ring', field, `${message}: only the device may write it.`);
    }
  }
  return at(given, 'given', 'given');
}

/** A device that has returned all it took stands at its used index; whether it took more, no byte tells. */
function lastAvailPosition(input: RingInput, { avail }: SplitHeader, used: Position | null): Position | null {
  if (input.lastAvail !== undefined) return at(input.lastAvail.index, 'given', 'given');
  if (used === null) return null;
  return avail.idx === used.index
    ? at(used.index, 'certain', 'avail.idx equals the used index: nothing is pending or in flight')
    : at(used.index, 'likely', 'the used index; elements in flight would put it further on');
}

/** Elements between the device's position and avail.idx, when that number can be true. */
function checkAhead(
  { avail }: SplitHeader,
  used: Position | null,
  lastAvail: Position | null,
  { size, find, parts }: WalkContext,
): number | null {
  if (avail.idx === null || lastAvail === null) return null;
  const ahead = distance(lastAvail.index, avail.idx);
  const outstanding = used === null ? ahead : distance(used.index, avail.idx);
  if (ahead <= size && outstanding <= size) return ahead;
  const field = parts.driver.address + BigInt(VIRTQ_AVAIL.idx);
  const from = ahead > size ? lastAvail.index : used!.index;
  const excess = ahead > size ? ahead : outstanding;
  if (excess >= 0x8000 && excess > size) {
    const message = `avail.idx is ${avail.idx}, ${0x10000 - excess} behind the device's position ${from}, want it never to move backwards.`;
    find.violation('drv.split.avail-ring.1', 'available ring', field, message);
  } else {
    const message = `avail.idx is ${avail.idx}, ${excess} ahead of the device's position ${from}, want ${size} at most, the queue size.`;
    find.violation('ring.split.avail-ahead', 'available ring', field, message);
  }
  return null;
}

function walkPending(context: WalkContext, first: number, count: number, owners: Owners): PendingElement[] {
  const { size, parts, find, features, why } = context;
  const pending: PendingElement[] = [];
  const heads = new Set<number>();
  let expected: number | null = null;
  for (let n = 0; n < count; n++) {
    const position = (first + n) & 0xffff;
    const offset = VIRTQ_AVAIL.ring + (position % size) * VIRTQ_AVAIL.ELEM_SIZE;
    const field = parts.driver.address + BigInt(offset);
    const head = parts.driver.u16(offset);
    if (head === null) {
      why.add(
        `The available ring's entry ${position % size} at ${hex(field)} was not saved: what is pending is not known.`,
      );
      break;
    }
    if (head >= size) {
      const message = `avail.ring[${position % size}] is ${head}, want a head below the queue size ${size}.`;
      find.violation('ring.split.head-range', 'available ring', field, message);
      expected = null;
      continue;
    }
    if (heads.has(head)) {
      const message = `avail.ring[${position % size}] publishes head ${head} again before it was returned.`;
      find.violation('ring.split.head-twice', 'available ring', field, message);
    } else if (owners[head] !== 0) {
      const message = `avail.ring[${position % size}] publishes head ${head}, which is in an earlier chain that was not returned.`;
      find.violation('ring.split.desc-shared', 'available ring', field, message);
    }
    if (features.inOrder === true && expected !== null && head !== expected) {
      const message = `avail.ring[${position % size}] is ${head}, want ${expected}, the next descriptor: VIRTIO_F_IN_ORDER is negotiated.`;
      find.violation('ring.split.in-order-head', 'available ring', field, message);
    }
    heads.add(head);
    const walk = walkSplitChain(context, head, position, owners, n + 1);
    expected = walk.slots > 0 && walk.complete ? (head + walk.slots) % size : null;
    pending.push(walk.element(position, null, head));
  }
  return pending;
}

/** What stands in the used ring up to used.idx; entries that the driver has yet to see are judged. */
function returnedElements(input: RingInput, { used }: SplitHeader, { size, find, parts }: WalkContext): UsedElement[] {
  if (used.idx === null) return [];
  const unseen = input.driverUsedIdx === undefined ? 0 : Math.min(distance(input.driverUsedIdx, used.idx), size);
  const list: UsedElement[] = [];
  // Before the first lap is over, entries from used.idx on were never written (or the index has wrapped at 65536).
  for (let back = Math.min(size, used.idx === 0 ? unseen : Math.max(used.idx, unseen)); back > 0; back--) {
    const position = distance(back, used.idx);
    const offset = VIRTQ_USED.ring + (position % size) * VIRTQ_USED.ELEM_SIZE;
    const view = parts.device.view(offset, VIRTQ_USED_ELEM.SIZE);
    if (view === null) continue;
    const id = view.getUint32(VIRTQ_USED_ELEM.id, true);
    list.push({ position, wrap: null, id, length: view.getUint32(VIRTQ_USED_ELEM.len, true) });
    if (back <= unseen && id >= size) {
      const message = `used.ring[${position % size}].id is ${id}, want a head below the queue size ${size}.`;
      find.violation('ring.split.used-id', 'used ring', parts.device.address + BigInt(offset), message);
    }
  }
  return list;
}
