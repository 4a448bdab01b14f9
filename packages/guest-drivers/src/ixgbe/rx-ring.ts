import { RING, RX_ADV_READ, RX_ADV_WB, RX_STATUS } from '@ringwire/nic-spec/ixgbe';
import type { DmaArena } from '../dma-arena.js';
import type { Registers } from './registers.js';

// Words of a descriptor; plain module constants, because a hot loop reads an object's member from memory.
const SHIFT = 2;
const ADDRESS = RX_ADV_READ.packet_address >> 2;
const HEADER = RX_ADV_READ.header_address >> 2;
const TYPES = RX_ADV_WB.types >> 2;
const HASH = RX_ADV_WB.rss_hash >> 2;
const STATUS = RX_ADV_WB.status_error >> 2;
const LENGTH = RX_ADV_WB.pkt_len >> 2;
const { DD } = RX_STATUS;
/** In place of a token: nothing was written back. */
export const NOTHING = -1;

/**
 * A ring of advanced receive descriptors, one buffer each. Which buffer a descriptor has is known from a table of the
 * driver's own; of what the card writes back, one copy is made, and that many descriptors are looked at as were given away.
 * 82599 datasheet §7.1.6
 */
export class RxRing {
  readonly size: number;
  /** Of the ring in memory. */
  readonly bytes: number;
  /** As the card uses it. */
  readonly address: number;
  /** Descriptors that the card has. */
  outstanding = 0;
  // Copied out of the descriptor that `take` gave last.
  types = 0;
  hash = 0;
  /** Extended status and errors. */
  status = 0;
  /** Bytes in the buffer, as the card says: not checked. */
  length = 0;
  vlan = 0;
  private readonly i32: Int32Array;
  private readonly start: number;
  private readonly registers: Registers;
  private readonly tailAt: number;
  private readonly token: Int32Array;
  private readonly mask: number;
  private post = 0;
  private next = 0;

  /**
   * @param size   descriptors, a power of two from 8 on
   * @param tailAt offset of RDT
   */
  constructor(arena: DmaArena, size: number, registers: Registers, tailAt: number) {
    const bytes = size * RING.DESC_SIZE;
    this.size = size;
    this.bytes = bytes;
    this.mask = size - 1;
    this.address = arena.allocate(bytes);
    const host = arena.hostOf(this.address, bytes);
    const { memory } = arena.dma.space;
    memory.engine.fill(host, 0, bytes);
    this.i32 = memory.i32;
    this.start = host >>> 2;
    this.registers = registers;
    this.tailAt = tailAt;
    this.token = new Int32Array(size);
  }

  /** Buffers that may be added: one descriptor stays free, for a full ring is not to look like an empty one. */
  get room(): number {
    return this.size - 1 - this.outstanding;
  }

  /** Give a buffer to the card, with the next {@link publish}. There is {@link room}. @param token 0 or more */
  add(addressLo: number, addressHi: number, token: number): void {
    const { i32, post } = this;
    const at = this.start + (post << SHIFT);
    i32[at + ADDRESS] = addressLo;
    i32[at + ADDRESS + 1] = addressHi;
    // Where "done" will stand, is a header's address that is not used.
    i32[at + HEADER] = 0;
    i32[at + HEADER + 1] = 0;
    this.token[post] = token;
    this.post = (post + 1) & this.mask;
    this.outstanding = (this.outstanding + 1) | 0;
  }

  /** Show the card what was added. */
  publish(): void {
    this.registers.write(this.tailAt, this.post);
  }

  /** Whether the next descriptor is written back. */
  hasNext(): boolean {
    return this.outstanding > 0 && (Atomics.load(this.i32, this.start + (this.next << SHIFT) + STATUS) & DD) !== 0;
  }

  /** Take the next descriptor that is written back, and copy what it says. @returns its buffer's token, or NOTHING */
  take(): number {
    if (this.outstanding === 0) return NOTHING;
    const { i32, next } = this;
    const at = this.start + (next << SHIFT);
    const status = Atomics.load(i32, at + STATUS);
    if ((status & DD) === 0) return NOTHING;
    const last = i32[at + LENGTH]!;
    this.types = i32[at + TYPES]!;
    this.hash = i32[at + HASH]!;
    this.status = status;
    this.length = last & 0xffff;
    this.vlan = last >>> 16;
    return this.drop();
  }

  /** The card let go of the ring: take the next buffer back. @returns its token, or NOTHING */
  takeBack(): number {
    return this.outstanding === 0 ? NOTHING : this.drop();
  }

  private drop(): number {
    const token = this.token[this.next]!;
    this.next = (this.next + 1) & this.mask;
    this.outstanding = (this.outstanding - 1) | 0;
    return token;
  }
}
