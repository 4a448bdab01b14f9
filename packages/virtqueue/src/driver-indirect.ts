import { ACCESS } from '@ringwire/guest-memory';
import { VIRTQ_DESC, VIRTQ_DESC_F, VirtioError } from '@ringwire/virtio-spec';
import type { BufferList } from './buffer-list.js';
import type { QueueLayout } from './queue-layout.js';

const WORDS = VIRTQ_DESC.SIZE >> 2;
const CHAIN_BYTES_MAX = 2 ** 32;

/** Memory that a driver sets aside for indirect tables: Queue Size tables of `entries` descriptors, 16 bytes each. */
export interface IndirectTables {
  /** A multiple of 16. */
  readonly address: number;
  /** Most elements of one table, 1 ≤ entries ≤ Queue Size. */
  readonly entries: number;
}

/** The indirect tables of one driver queue: table `id` belongs to the buffer with that id. */
export class DriverIndirect {
  readonly entries: number;
  readonly #address: number;
  readonly #table32: number;
  readonly #u32: Uint32Array;

  constructor(ring: QueueLayout, tables: IndirectTables) {
    const { address, entries } = tables;
    if (!Number.isInteger(entries) || entries < 1 || entries > ring.size)
      throw new VirtioError('indirect.entries', entries, `1 to Queue Size, ${ring.size}`, 'virtio 1.4 §2.7.5.3');
    const bytes = ring.size * entries * VIRTQ_DESC.SIZE;
    const offset =
      address % VIRTQ_DESC.ALIGN === 0 ? ring.space.resolve(address, bytes, ACCESS.READ | ACCESS.WRITE) : -1;
    if (offset < 0 || offset % 4 !== 0)
      throw new VirtioError(
        'indirect.address',
        address,
        `${bytes} reachable bytes, aligned to 16`,
        'virtio 1.4 §2.7.5.3',
      );
    this.entries = entries;
    this.#address = address;
    this.#table32 = offset >>> 2;
    this.#u32 = ring.memory.u32;
  }

  addressOf(id: number): number {
    return this.#address + id * this.entries * VIRTQ_DESC.SIZE;
  }

  /**
   * Write elements `from` … of a buffer into table `id`.
   * @param linked split: NEXT and `next` = 1, 2, …; packed: only WRITE may be set (virtio 1.4 §2.8.19)
   */
  write(id: number, buffer: BufferList, from: number, linked: boolean): void {
    const u32 = this.#u32;
    let word = this.#table32 + id * this.entries * WORDS;
    for (let i = from; i < buffer.count; i++) {
      let flagsAndNext = i < buffer.readable ? 0 : VIRTQ_DESC_F.WRITE;
      if (linked) {
        if (i + 1 < buffer.count) flagsAndNext |= VIRTQ_DESC_F.NEXT | ((i - from + 1) << 16);
      } else flagsAndNext <<= 16; // id 0, then flags
      u32[word] = buffer.lo(i);
      u32[word + 1] = buffer.hi(i);
      u32[word + 2] = buffer.bytes(i);
      u32[word + 3] = flagsAndNext;
      word += WORDS;
    }
  }
}

/**
 * How many leading elements of a buffer are chained in the ring; the rest goes into a table.
 * @throws VirtioError when the buffer, or the split that was asked for, is not allowed
 */
export function directElements(
  buffer: BufferList,
  direct: number | undefined,
  size: number,
  tables: DriverIndirect | undefined,
): number {
  const { count } = buffer;
  if (count < 1 || count > size)
    throw new VirtioError('count', count, `1 to Queue Size, ${size}, elements`, 'virtio 1.4 §2.7.5.3.1, §2.8.17');
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += buffer.bytes(i);
  if (bytes > CHAIN_BYTES_MAX) throw new VirtioError('bytes', bytes, 'at most 2^32', 'virtio 1.4 §2.7.5.2');
  if (direct === undefined) return count > 1 && tables !== undefined && count <= tables.entries ? 0 : count;
  if (!Number.isInteger(direct) || direct < 0 || direct > count)
    throw new VirtioError('direct', direct, `0 to ${count} elements`, 'virtio 1.4 §2.7.5.3');
  if (direct < count && (tables === undefined || count - direct > tables.entries)) {
    const room = tables === undefined ? 'no indirect tables' : `tables of ${tables.entries} entries`;
    throw new VirtioError('direct', direct, `${count}: the queue has ${room}`, 'virtio 1.4 §2.7.5.3');
  }
  return direct;
}

/** Device-writable bytes of a buffer; 2^32-1 stands for more, which no used length can say either. */
export function writableBytes(buffer: BufferList): number {
  let bytes = 0;
  for (let i = buffer.readable; i < buffer.count; i++) bytes += buffer.bytes(i);
  return Math.min(bytes, 0xffff_ffff);
}
