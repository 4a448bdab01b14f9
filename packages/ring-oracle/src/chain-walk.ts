import { PVIRTQ_DESC, VIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { Findings } from './findings.js';
import { ADDRESS_END, hex, type MemoryReader } from './memory-reader.js';
import type {
  BufferDescriptor,
  DescriptorPlace,
  Finding,
  IndirectReference,
  PendingElement,
  RingLayout,
} from './report.js';
import type { RingFeatures } from './ring-input.js';
import { overlap, probeRange, type RingParts } from './ring-parts.js';

/** What both layouts need while they walk. */
export interface WalkContext {
  readonly layout: RingLayout;
  readonly size: number;
  readonly memory: MemoryReader;
  readonly features: RingFeatures;
  readonly parts: RingParts;
  readonly find: Findings;
  /** Descriptors that may still be decoded; shared by all elements of the ring. */
  readonly budget: { left: number; exceeded: boolean };
  /** Sentences collected on the way, each once. */
  readonly why: Set<string>;
}

/** A descriptor as stored. `link` is `next` in a split queue and `id` in a packed one. */
export interface RawDescriptor {
  readonly addr: bigint;
  readonly len: number;
  readonly flags: number;
  readonly link: number;
}

/** Both layouts begin with addr and len; `flagsAt` and `linkAt` are where they differ. */
export const rawDescriptor = (view: DataView, flagsAt: number, linkAt: number): RawDescriptor => ({
  addr: view.getBigUint64(VIRTQ_DESC.addr, true),
  len: view.getUint32(VIRTQ_DESC.len, true),
  flags: view.getUint16(flagsAt, true),
  link: view.getUint16(linkAt, true),
});

/** virtio 1.4 §2.7.5.2: 2^32 bytes are the most one chain may describe. */
const CHAIN_BYTES_MAX = 0x1_0000_0000;

/** One element while it is walked: its buffers so far, and the rules that hold for every buffer. */
export class ChainWalk {
  readonly descriptors: BufferDescriptor[] = [];
  indirect: IndirectReference | null = null;
  slots = 0;
  complete = true;
  readableBytes = 0;
  writableBytes = 0;
  readonly #context: WalkContext;
  #bytesReported = false;
  #writableSeen = false;
  /** `element 39 (head 7)`, for sentences. */
  readonly name: string;

  constructor(context: WalkContext, name: string) {
    this.#context = context;
    this.name = name;
  }

  /** Ends the walk: what follows cannot be trusted or is not known. */
  stop(): void {
    this.complete = false;
  }

  /** True when one more descriptor may be decoded; ends the walk otherwise. */
  spend(): boolean {
    const { budget } = this.#context;
    if (budget.left > 0) {
      budget.left--;
      return true;
    }
    budget.exceeded = true;
    this.stop();
    return false;
  }

  /**
   * Judge one buffer and keep it.
   * @param at guest address of its descriptor
   */
  addBuffer(raw: RawDescriptor, place: DescriptorPlace, at: bigint, part: Finding['part']): void {
    const { layout, find } = this.#context;
    const writable = (raw.flags & VIRTQ_DESC_F.WRITE) !== 0;
    if (!writable && this.#writableSeen) {
      const rule = layout === 'split' ? 'drv.split.framing.1' : 'drv.packed.scatter-gather.3';
      const message = `${this.name}: descriptor ${placeName(place)} is device-readable after a device-writable one, want all readable buffers first.`;
      find.violation(rule, part, at + flagsOffset(layout), message);
    }
    if (writable) this.#writableSeen = true;
    this.#checkRange(raw, place, at, part, writable);
    if (writable) this.writableBytes += raw.len;
    else this.readableBytes += raw.len;
    this.#checkTotal(at, part);
    this.descriptors.push({
      place,
      address: hex(raw.addr),
      length: raw.len,
      flags: raw.flags,
      access: writable ? 'writable' : 'readable',
    });
  }

  #checkRange(raw: RawDescriptor, place: DescriptorPlace, at: bigint, part: Finding['part'], writable: boolean): void {
    const { layout, find, memory, parts } = this.#context;
    const { addr, len } = raw;
    const where = `${this.name}: descriptor ${placeName(place)}`;
    if (len === 0) {
      find.remark(`ring.${layout}.zero-length`, part, at + BigInt(VIRTQ_DESC.len), `${where} has length 0.`);
      return;
    }
    const range = `addr ${hex(addr)}, len ${len}`;
    if (addr + BigInt(len) > ADDRESS_END) {
      find.violation(`ring.${layout}.buffer-wrap`, part, at, `${where} has ${range}, which passes the end of 2^64.`);
      return;
    }
    const presence = memory.probe(addr, BigInt(len));
    if (presence.state === 'unmapped') {
      const message = `${where} has ${range}, want RAM behind all of it: nothing at ${hex(presence.at)}.`;
      find.violation(`ring.${layout}.buffer-unmapped`, part, at, message);
    }
    if (!writable) return;
    for (const area of parts.all) {
      const shared = overlap(addr, BigInt(len), area.address, BigInt(area.bytes));
      if (shared === null) continue;
      const message = `${where} has ${range}, a device-writable buffer over the queue's own ${area.name} at ${hex(shared)}.`;
      find.violation(`ring.${layout}.buffer-in-ring`, part, at, message);
    }
  }

  #checkTotal(at: bigint, part: Finding['part']): void {
    const total = this.readableBytes + this.writableBytes;
    if (total <= CHAIN_BYTES_MAX || this.#bytesReported) return;
    this.#bytesReported = true;
    const rule = this.#context.layout === 'split' ? 'drv.split.desc-table.1' : 'ring.packed.list-bytes';
    const message = `${this.name} has ${total} bytes so far, want 2^32 at most.`;
    this.#context.find.violation(rule, part, at + BigInt(VIRTQ_DESC.len), message);
  }

  element(position: number, wrap: 0 | 1 | null, id: number): PendingElement {
    const { slots, indirect, descriptors, readableBytes, writableBytes, complete } = this;
    return { position, wrap, id, slots, indirect, descriptors, readableBytes, writableBytes, complete };
  }
}

/**
 * The rules of a descriptor that refers to an indirect table; false when the table is not to be followed.
 * virtio 1.4 §2.7.5.3, §2.8.7.
 */
export function openIndirect(
  context: WalkContext,
  walk: ChainWalk,
  raw: RawDescriptor,
  index: number,
  at: bigint,
): boolean {
  const { layout, features, find, memory, parts } = context;
  const part = parts.desc.name;
  const where = `${walk.name}: descriptor ${index}`;
  walk.indirect = { index, table: hex(raw.addr), length: raw.len, flags: raw.flags };
  if (features.indirectDesc === false) {
    const message = `${where} has INDIRECT set in flags ${hex(raw.flags)}, want it clear: VIRTIO_F_INDIRECT_DESC was not negotiated.`;
    find.violation(`drv.${layout}.indirect.1`, part, at + flagsOffset(layout), message);
    return false;
  }
  if ((raw.flags & VIRTQ_DESC_F.WRITE) !== 0) {
    const message = `${where} refers to an indirect table and has WRITE set, which the device ignores.`;
    find.remark(`ring.${layout}.indirect-write`, part, at + flagsOffset(layout), message);
  }
  if (raw.len === 0 || raw.len % VIRTQ_DESC.SIZE !== 0) {
    const message = `${where} gives its indirect table a len of ${raw.len}, want a multiple of 16 above 0.`;
    find.violation(`ring.${layout}.indirect-length`, part, at + BigInt(VIRTQ_DESC.len), message);
    return false;
  }
  const presence = probeRange(memory, raw.addr, BigInt(raw.len));
  if (presence.state === 'unmapped') {
    const message = `${where} has its indirect table at ${hex(raw.addr)}, len ${raw.len}, want RAM behind all of it: nothing at ${hex(presence.at)}.`;
    find.violation(`ring.${layout}.indirect-unmapped`, part, at, message);
    return false;
  }
  return true;
}

/** Bits that no flag of this layout's descriptors has. */
export function checkReserved(
  context: WalkContext,
  walk: ChainWalk,
  raw: RawDescriptor,
  index: number,
  at: bigint,
): void {
  const { NEXT, WRITE, INDIRECT, AVAIL, USED } = VIRTQ_DESC_F;
  const { layout } = context;
  const defined = NEXT | WRITE | INDIRECT | (layout === 'packed' ? AVAIL | USED : 0);
  const reserved = raw.flags & ~defined;
  if (reserved === 0) return;
  const message = `${walk.name}: descriptor ${index} has flags ${hex(raw.flags)}, want the undefined bits ${hex(reserved)} clear.`;
  context.find.violation(`ring.${layout}.flags-reserved`, context.parts.desc.name, at + flagsOffset(layout), message);
}

const flagsOffset = (layout: RingLayout): bigint => BigInt(layout === 'split' ? VIRTQ_DESC.flags : PVIRTQ_DESC.flags);

const placeName = (place: DescriptorPlace): string =>
  place.table === null ? `${place.index}` : `${place.index} of the indirect table at ${place.table}`;
