import { ACCESS } from '@ringwire/guest-memory';
import { PVIRTQ_DESC, pvirtqDescBytes, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { QueueConfig, QueueState } from '@ringwire/virtqueue';
import { PACKED_REGION, PACKED_STATE, REGION_VERSION } from './inflight-layout.js';
import type { PackedView } from './inflight-packed-view.js';

const DESC_SHIFT = 2;
const FLAGS32 = PVIRTQ_DESC.id >> 2;
const { NEXT, AVAIL, USED } = VIRTQ_DESC_F;
const MARKS = AVAIL | USED;

/** Where a packed queue is. */
export type PackedPosition = QueueState & { readonly layout: 'packed' };

/** What an earlier life of a packed queue left, and how entries hang together from here on. */
export interface PackedLegacy {
  readonly position: PackedPosition;
  /** First entries of its chains in flight, in its order. */
  readonly again: readonly number[];
  /** Of the next chain. */
  readonly counter: number;
  /** The entry behind each one, in its chain or among the free ones; none: the size. */
  readonly next: Uint16Array;
  /** Last entry of a chain, and how many it has, by its first one. */
  readonly last: Uint16Array;
  readonly num: Uint16Array;
  readonly freeHead: number;
}

/**
 * Read what is left of an earlier life, put its chains back into the slots that are theirs, and make the region ready.
 * The region is foreign input: loops are bounded by its size, and an entry belongs to one chain or to none.
 * @param state where the queue begins when the region is a new one
 * @returns what was found, or what is wrong with it
 */
export function recoverPacked(view: PackedView, config: QueueConfig, state: PackedPosition): PackedLegacy | string {
  const { size } = view;
  const links = { next: new Uint16Array(size), last: new Uint16Array(size), num: new Uint16Array(size) };
  const owned = new Uint8Array(size);
  const version = view.get(PACKED_REGION.version);
  if (version === 0) {
    view.clear();
    const freeHead = settle(view, links.next, state, owned);
    view.set(PACKED_REGION.version, REGION_VERSION);
    return { position: state, again: [], counter: 0, ...links, freeHead };
  }
  if (version !== REGION_VERSION) return `version is ${version}, want ${REGION_VERSION}`;
  const descNum = view.get(PACKED_REGION.desc_num);
  if (descNum !== size) return `desc_num is ${descNum}, want ${size}`;
  const { u32 } = config.space.memory;
  const ring32 = config.space.resolve(config.desc, pvirtqDescBytes(config.size), ACCESS.READ | ACCESS.WRITE) >>> 2;
  const found = finishUpdate(view, config.size, (slot) => u32[ring32 + (slot << DESC_SHIFT) + FLAGS32]! >>> 16);
  if (typeof found === 'string') return found;
  clearFree(view, found.freeHead);
  const entries = Array.from({ length: size }, (_, entry) => entry).filter((entry) => view.isInFlight(entry));
  const again = entries.sort((a, b) => view.counter(a) - view.counter(b));
  let slots = 0;
  for (const head of again) {
    slots += view.entry(head, PACKED_STATE.num);
    if (slots > config.size) return `chains in flight have more than ${config.size} descriptors`;
    const problem = claimChain(view, head, owned, links);
    if (problem !== undefined) return problem;
  }
  const { usedIdx, usedWrapCounter } = found;
  restoreChains(view, again, links, { ring32, size: config.size, slot: usedIdx, wrap: usedWrapCounter });
  const position: PackedPosition = {
    layout: 'packed',
    lastAvailIdx: usedIdx,
    lastAvailWrapCounter: usedWrapCounter,
    usedIdx,
    usedWrapCounter,
  };
  const freeHead = settle(view, links.next, position, owned);
  const counter = again.length === 0 ? 0 : view.counter(again.at(-1)!) + 1;
  return { position, again, counter, ...links, freeHead };
}

interface Update {
  readonly usedIdx: number;
  readonly usedWrapCounter: 0 | 1;
  readonly freeHead: number;
}

/** An update that was begun holds if the driver could see it, and is taken back otherwise. */
function finishUpdate(view: PackedView, size: number, flagsAt: (slot: number) => number): Update | string {
  const usedIdx = view.get(PACKED_REGION.used_idx);
  const oldIdx = view.get(PACKED_REGION.old_used_idx);
  const wrap = view.getWrap(PACKED_REGION.used_wrap_counter);
  const oldWrap = view.getWrap(PACKED_REGION.old_used_wrap_counter);
  if (usedIdx >= size || oldIdx >= size || wrap > 1 || oldWrap > 1)
    return `used positions are ${usedIdx}/${wrap} and ${oldIdx}/${oldWrap}, want below ${size} and 2`;
  const isBegun = usedIdx !== oldIdx || wrap !== oldWrap;
  if (isBegun && (flagsAt(oldIdx) & MARKS) === available(oldWrap))
    return {
      usedIdx: oldIdx,
      usedWrapCounter: oldWrap as 0 | 1,
      freeHead: view.get(PACKED_REGION.old_free_head),
    };
  return { usedIdx, usedWrapCounter: wrap as 0 | 1, freeHead: view.get(PACKED_REGION.free_head) };
}

/** What is free is not in flight, whatever it says itself. */
function clearFree(view: PackedView, freeHead: number): void {
  const { size } = view;
  let entry = freeHead;
  for (let n = 0; n < size && entry < size; n++) {
    view.setInFlight(entry, 0);
    entry = view.entry(entry, PACKED_STATE.next);
  }
}

/** Follow a chain's entries and take them for it. @returns why it can be no chain */
function claimChain(
  view: PackedView,
  head: number,
  owned: Uint8Array,
  { next, last, num }: Pick<PackedLegacy, 'next' | 'last' | 'num'>,
): string | undefined {
  const count = view.entry(head, PACKED_STATE.num);
  if (count === 0 || view.counter(head) > Number.MAX_SAFE_INTEGER)
    return `chain ${head} has ${count} descriptors and counter ${view.counter(head)}`;
  let entry = head;
  for (let n = 0; n < count; n++) {
    if (entry >= view.size || owned[entry] !== 0) return `chain ${head} has entry ${entry}, which it can't`;
    owned[entry] = 1;
    const goesOn = (view.entry(entry, PACKED_STATE.flags) & NEXT) !== 0;
    if (goesOn !== n < count - 1) return `chain ${head} does not end with descriptor ${count - 1}`;
    last[head] = entry;
    next[entry] = view.entry(entry, PACKED_STATE.next);
    entry = next[entry]!;
  }
  num[head] = count;
  return undefined;
}

/**
 * Put chains into the slots from where used elements go on: they are the device's. What is there may be a used descriptor
 * that was never published; the driver would take it for one as soon as the one before is.
 */
function restoreChains(
  view: PackedView,
  heads: readonly number[],
  { next, num }: Pick<PackedLegacy, 'next' | 'num'>,
  place: { readonly ring32: number; readonly size: number; readonly slot: number; readonly wrap: number },
): void {
  let { slot, wrap } = place;
  for (const head of heads) {
    let entry = head;
    for (let n = 0; n < num[head]!; n++) {
      const flags = (view.entry(entry, PACKED_STATE.flags) & ~MARKS) | available(wrap);
      view.restore(entry, place.ring32 + (slot << DESC_SHIFT), flags);
      entry = next[entry]!;
      if (++slot < place.size) continue;
      slot = 0;
      wrap ^= 1;
    }
  }
}

/** Link the entries that no chain has, and say where the queue is. @returns the first free entry */
function settle(view: PackedView, next: Uint16Array, position: PackedPosition, owned: Uint8Array): number {
  const { size } = view;
  const free = Array.from({ length: size }, (_, entry) => entry).filter((entry) => owned[entry] === 0);
  for (const [n, entry] of free.entries()) {
    next[entry] = free[n + 1] ?? size;
    view.setEntry(entry, PACKED_STATE.next, next[entry]!);
  }
  const freeHead = free[0] ?? size;
  view.set(PACKED_REGION.free_head, freeHead);
  view.set(PACKED_REGION.old_free_head, freeHead);
  view.set(PACKED_REGION.used_idx, position.usedIdx);
  view.setWrap(PACKED_REGION.used_wrap_counter, position.usedWrapCounter);
  view.set(PACKED_REGION.old_used_idx, position.usedIdx);
  view.setWrap(PACKED_REGION.old_used_wrap_counter, position.usedWrapCounter);
  return freeHead;
}

/** Marks of a descriptor that is available in a lap. virtio 1.4 §2.8.1 */
function available(wrap: number): number {
  return wrap === 1 ? AVAIL : USED;
}
