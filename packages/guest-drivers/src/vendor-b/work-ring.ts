import { VB_ADDRESS_END, WORK_ENTRY } from '@ringwire/nic-spec/vendor-b';
import { VirtioError } from '@ringwire/virtio-spec';
import type { DmaArena } from '../dma-arena.js';

const ENTRY_WORDS = WORK_ENTRY.SIZE / 4;
const TWO_32 = 0x1_0000_0000;

/**
 * The driver's side of a submission ring, with a buffer for each of its entries. What the device is expected to complete next
 * is kept here: it completes in order, so nothing but that is believed.
 */
export class WorkRing {
  readonly id: number;
  readonly entries: number;
  readonly address: number;
  readonly bufferBytes: number;
  /** Host offset of each buffer, by cookie. */
  readonly host: Uint32Array;
  /** Indexes of 16 bits that run free: posted, told to the device, completed. */
  posted = 0;
  told = 0;
  completed = 0;
  private readonly i32: Int32Array;
  private readonly ring32: number;
  private readonly opcode: number;
  private readonly low: Int32Array;
  private readonly high: Uint16Array;
  /** Cookies in the order of the ring. */
  private readonly order: Uint16Array;

  /** @param entries a power of two @param opcode a `WORK_OP` @throws VirtioError for memory beyond 48 bits */
  constructor(arena: DmaArena, id: number, entries: number, opcode: number, bufferBytes: number) {
    this.id = id;
    this.entries = entries;
    this.opcode = opcode;
    this.bufferBytes = bufferBytes;
    this.i32 = arena.dma.space.memory.i32;
    this.address = reachable(arena.allocate(entries * WORK_ENTRY.SIZE));
    const ring = arena.hostOf(this.address, entries * WORK_ENTRY.SIZE);
    this.ring32 = ring >>> 2;
    this.host = new Uint32Array(entries);
    this.low = new Int32Array(entries);
    this.high = new Uint16Array(entries);
    this.order = new Uint16Array(entries);
    for (let cookie = 0; cookie < entries; cookie++) {
      const address = reachable(arena.allocate(bufferBytes));
      this.host[cookie] = arena.hostOf(address, bufferBytes);
      this.low[cookie] = address | 0;
      this.high[cookie] = Math.floor(address / TWO_32);
    }
  }

  /** Entries that the device has not completed. */
  get inFlight(): number {
    return (this.posted - this.completed) & 0xffff;
  }

  /** The cookie of the entry that is completed next, with one {@link inFlight}. */
  get nextCookie(): number {
    return this.order[this.completed & (this.entries - 1)]!;
  }

  /** Write an entry of one segment; there is room. @param length bytes of the buffer, 1 to 65535 */
  post(cookie: number, length: number): void {
    const slot = this.posted & (this.entries - 1);
    const word = this.ring32 + slot * ENTRY_WORDS;
    const { i32 } = this;
    i32[word] = this.opcode | (cookie << 16);
    i32[word + 1] = 1;
    i32[word + 2] = this.low[cookie]!;
    i32[word + 3] = this.high[cookie]! | (length << 16);
    for (let rest = 4; rest < ENTRY_WORDS; rest++) i32[word + rest] = 0;
    this.order[slot] = cookie;
    this.posted = (this.posted + 1) & 0xffff;
  }

  complete(): void {
    this.completed = (this.completed + 1) & 0xffff;
  }
}

function reachable(address: number): number {
  if (address < VB_ADDRESS_END) return address;
  throw new VirtioError('address', address, 'memory below 2^48', 'vendor B datasheet §4');
}
