import { PVIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import { ChainWalk, checkReserved, openIndirect, type RawDescriptor, type WalkContext } from './chain-walk.js';
import { hex } from './memory-reader.js';
import { isAvailable, type PackedSlots, packedDescriptor } from './packed-slots.js';

const { NEXT, WRITE, INDIRECT } = VIRTQ_DESC_F;
const FLAGS_AT = BigInt(PVIRTQ_DESC.flags);

/** One list of the ring: its walk, its id, and the slots it was seen to take up. */
export interface PackedList {
  readonly walk: ChainWalk;
  readonly id: number;
  readonly slots: number;
  /** True when its last slot was reached, so that the next list's first one is known. */
  readonly ended: boolean;
}

/**
 * Follow one list from a slot that is available. virtio 1.4 §2.8.6.
 * @param room slots that the driver may have filled: the queue size less all that is outstanding before
 */
export function walkPackedList(
  context: WalkContext,
  slots: PackedSlots,
  first: number,
  firstWrap: 0 | 1,
  room: number,
): PackedList {
  const { size, find, why } = context;
  const walk = new ChainWalk(context, `element at slot ${first}`);
  let id = 0;
  let count = 0;
  let linked = false;
  let ended = false;
  let slot = first;
  let wrap = firstWrap;
  for (;;) {
    const at = slots.address(slot);
    if (count === room) {
      const whole = count === size;
      const message = whole
        ? `${walk.name} still has NEXT set after ${size} slots, want no list longer than the queue size.`
        : `${walk.name} comes to slot ${slot}, which is still outstanding, want space for the entire list.`;
      find.violation(
        whole ? 'drv.packed.scatter-gather.2' : 'drv.packed.scatter-gather.5',
        'descriptor ring',
        at,
        message,
      );
      walk.stop();
      break;
    }
    if (!walk.spend()) break;
    const raw = slots.raw(slot);
    if (raw === null) {
      why.add(`Slot ${slot} at ${hex(at)} was not saved: the rest of the list is not known.`);
      walk.stop();
      break;
    }
    if (!isAvailable(raw.flags, wrap)) {
      const message = `${walk.name} was made available before slot ${slot}, which its NEXT leads to and whose flags are ${hex(raw.flags)}, not available with wrap counter ${wrap}.`;
      find.violation('drv.packed.scatter-gather.6', 'descriptor ring', at + FLAGS_AT, message);
      walk.stop();
      break;
    }
    count++;
    walk.slots = count;
    id = raw.link;
    checkReserved(context, walk, raw, slot, at);
    addSlot(context, walk, raw, slot, at, linked);
    ended = (raw.flags & NEXT) === 0;
    if (ended) break;
    linked = true;
    slot = slot + 1 === size ? 0 : slot + 1;
    if (slot === 0) wrap = wrap === 0 ? 1 : 0;
  }
  return { walk, id, slots: count, ended };
}

function addSlot(
  context: WalkContext,
  walk: ChainWalk,
  raw: RawDescriptor,
  slot: number,
  at: bigint,
  linked: boolean,
): void {
  if ((raw.flags & INDIRECT) === 0) {
    walk.addBuffer(raw, { table: null, index: slot }, at, 'descriptor ring');
    return;
  }
  if (linked || (raw.flags & NEXT) !== 0) {
    const message = `${walk.name}: slot ${slot} has flags ${hex(raw.flags)}, INDIRECT in a list linked by NEXT; want one or the other.`;
    context.find.violation('drv.packed.indirect.4', 'descriptor ring', at + FLAGS_AT, message);
  }
  // A list may wrongly hold several tables: the first is the element's, the others are only judged.
  const earlier = walk.indirect;
  if (openIndirect(context, walk, raw, slot, at)) walkPackedTable(context, walk, raw);
  else walk.stop();
  walk.indirect = earlier ?? walk.indirect;
}

/** virtio 1.4 §2.8.7: all of the table, in order; `id` and every flag but WRITE are ignored. */
function walkPackedTable(context: WalkContext, walk: ChainWalk, reference: RawDescriptor): void {
  const { size, memory, find, why } = context;
  const entries = reference.len / PVIRTQ_DESC.SIZE;
  const table = hex(reference.addr);
  if (walk.descriptors.length + entries > size) {
    const message = `${walk.name} has an indirect table of ${entries} entries at ${table}, want no list longer than the queue size ${size}.`;
    find.violation('drv.packed.indirect.3', 'indirect table', reference.addr, message);
  }
  for (let index = 0; index < entries && walk.descriptors.length < size; index++) {
    if (!walk.spend()) return;
    const at = reference.addr + BigInt(index * PVIRTQ_DESC.SIZE);
    const bytes = memory.read(at, PVIRTQ_DESC.SIZE);
    if (bytes === null) {
      why.add(
        `${walk.name}: entry ${index} of the indirect table at ${table} was not saved: the rest of the list is not known.`,
      );
      walk.stop();
      return;
    }
    const raw = packedDescriptor(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
    const flags = raw.flags & ~WRITE;
    if (flags !== 0) {
      const message = `${walk.name}: entry ${index} of the indirect table at ${table} has flags ${hex(raw.flags)}, want none but WRITE.`;
      find.violation('drv.packed.indirect.2', 'indirect table', at + FLAGS_AT, message);
    }
    walk.addBuffer(raw, { table, index }, at, 'indirect table');
  }
  if (walk.descriptors.length >= size && entries > size) walk.stop();
}
