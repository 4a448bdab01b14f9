import { VIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import {
  ChainWalk,
  checkReserved,
  openIndirect,
  type RawDescriptor,
  rawDescriptor,
  type WalkContext,
} from './chain-walk.js';
import { hex } from './memory-reader.js';

const { NEXT, INDIRECT } = VIRTQ_DESC_F;
const NEXT_AT = BigInt(VIRTQ_DESC.next);
const FLAGS_AT = BigInt(VIRTQ_DESC.flags);

const splitDescriptor = (view: DataView): RawDescriptor => rawDescriptor(view, VIRTQ_DESC.flags, VIRTQ_DESC.next);

/** Which element each table descriptor belongs to, as its number plus one; 0 for none yet. */
export type Owners = Uint32Array;

/**
 * Follow one chain from its head. virtio 1.4 §2.7.5.
 * @param head below the queue size
 * @param owner number of this element, from 1; entries of `owners` with it are this chain's own
 */
export function walkSplitChain(
  context: WalkContext,
  head: number,
  position: number,
  owners: Owners,
  owner: number,
): ChainWalk {
  const { size, parts, find, features, why } = context;
  const walk = new ChainWalk(context, `element ${position} (head ${head})`);
  let shared = false;
  for (let index = head; walk.complete; ) {
    const at = parts.desc.address + BigInt(index * VIRTQ_DESC.SIZE);
    if (owners[index] === owner) {
      const message = `${walk.name}: next leads back to descriptor ${index}, want a chain without loop.`;
      find.violation('drv.split.desc-table.1', 'descriptor table', at, message);
      walk.stop();
      break;
    }
    if (owners[index] !== 0 && !shared && index !== head) {
      shared = true;
      const message = `${walk.name}: descriptor ${index} is also in an earlier chain that was not returned, want a free one.`;
      find.violation('ring.split.desc-shared', 'descriptor table', at, message);
    }
    owners[index] = owner;
    if (!walk.spend()) break;
    const view = parts.desc.view(index * VIRTQ_DESC.SIZE, VIRTQ_DESC.SIZE);
    if (view === null) {
      why.add(`Descriptor ${index} at ${hex(at)} was not saved: what hangs on it is not known.`);
      walk.stop();
      break;
    }
    const raw = splitDescriptor(view);
    walk.slots++;
    checkReserved(context, walk, raw, index, at);
    if ((raw.flags & INDIRECT) !== 0) {
      if ((raw.flags & NEXT) !== 0) {
        const message = `${walk.name}: descriptor ${index} has flags ${hex(raw.flags)}, want INDIRECT or NEXT but not both.`;
        find.violation('drv.split.indirect.4', 'descriptor table', at + FLAGS_AT, message);
      }
      if (openIndirect(context, walk, raw, index, at)) walkSplitTable(context, walk, raw);
      else walk.stop();
      break;
    }
    walk.addBuffer(raw, { table: null, index }, at, 'descriptor table');
    if ((raw.flags & NEXT) === 0) break;
    if (raw.link >= size) {
      const message = `${walk.name}: descriptor ${index} has next ${raw.link}, want less than the queue size ${size}.`;
      find.violation('ring.split.next-range', 'descriptor table', at + NEXT_AT, message);
      walk.stop();
      break;
    }
    if (features.inOrder === true && raw.link !== (index + 1) % size) {
      const message = `${walk.name}: descriptor ${index} has next ${raw.link}, want ${(index + 1) % size}: VIRTIO_F_IN_ORDER is negotiated.`;
      find.violation('drv.split.desc-table.2', 'descriptor table', at + NEXT_AT, message);
    }
    index = raw.link;
  }
  return walk;
}

/** virtio 1.4 §2.7.5.3: entries chained by `next` from entry 0 on. */
function walkSplitTable(context: WalkContext, walk: ChainWalk, reference: RawDescriptor): void {
  const { size, memory, find, features, why } = context;
  const entries = reference.len / VIRTQ_DESC.SIZE;
  const table = hex(reference.addr);
  const seen = new Set<number>();
  for (let index = 0; ; ) {
    const at = reference.addr + BigInt(index * VIRTQ_DESC.SIZE);
    if (seen.has(index)) {
      const message = `${walk.name}: next leads back to entry ${index} of the indirect table at ${table}, want a chain without loop.`;
      find.violation('drv.split.desc-table.1', 'indirect table', at, message);
      walk.stop();
      return;
    }
    if (walk.descriptors.length >= size) {
      const message = `${walk.name} goes on after ${size} descriptors, want no chain longer than the queue size.`;
      find.violation('drv.split.indirect.3', 'indirect table', at, message);
      walk.stop();
      return;
    }
    seen.add(index);
    if (!walk.spend()) return;
    const bytes = memory.read(at, VIRTQ_DESC.SIZE);
    if (bytes === null) {
      why.add(
        `${walk.name}: entry ${index} of the indirect table at ${table} was not saved: the rest of the chain is not known.`,
      );
      walk.stop();
      return;
    }
    const raw = splitDescriptor(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
    if ((raw.flags & INDIRECT) !== 0) {
      const message = `${walk.name}: entry ${index} of the indirect table at ${table} has flags ${hex(raw.flags)}, want INDIRECT clear inside a table.`;
      find.violation('drv.split.indirect.2', 'indirect table', at + FLAGS_AT, message);
      walk.stop();
      return;
    }
    const reserved = raw.flags & ~(VIRTQ_DESC_F.NEXT | VIRTQ_DESC_F.WRITE);
    if (reserved !== 0) {
      const message = `${walk.name}: entry ${index} of the indirect table at ${table} has flags ${hex(raw.flags)}, want the undefined bits ${hex(reserved)} clear.`;
      find.violation('ring.split.flags-reserved', 'indirect table', at + FLAGS_AT, message);
    }
    walk.addBuffer(raw, { table, index }, at, 'indirect table');
    if ((raw.flags & NEXT) === 0) return;
    if (raw.link >= entries) {
      const message = `${walk.name}: entry ${index} of the indirect table at ${table} has next ${raw.link}, want less than its ${entries} entries.`;
      find.violation('ring.split.indirect-next-range', 'indirect table', at + NEXT_AT, message);
      walk.stop();
      return;
    }
    if (features.inOrder === true && raw.link !== index + 1) {
      const message = `${walk.name}: entry ${index} of the indirect table at ${table} has next ${raw.link}, want ${index + 1}: VIRTIO_F_IN_ORDER is negotiated.`;
      find.violation('drv.split.indirect.5', 'indirect table', at + NEXT_AT, message);
    }
    index = raw.link;
  }
}
