import type { IndirectTables } from '../driver-indirect.js';
import type { QueueConfig } from '../queue-layout.js';
import type { Arena } from './arena.js';
import type { Kind } from './random-queue.js';

const ADDRESSES = [
  0x1_0000, // a pool's first byte
  0x1_0fff, // over the seam of two regions
  0x1_1ff0, // its last bytes
  0x1_2000, // the hole behind it
  5 * 2 ** 32 + 0x1000,
  0x1000, // the rings themselves
  0x1010,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  2 ** 64 - 2 ** 12,
] as const;
const LENGTHS = [0, 1, 16, 17, 32, 48, 0x1000, 0x1001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as const;
const HALFWORDS = [
  0, 1, 2, 3, 4, 5, 7, 0x80, 0x82, 0x83, 0x84, 0x8000, 0x8001, 0x8002, 0x8080, 0x8082, 0xffff,
] as const;

const pick = <T>(from: readonly T[], seed: number): T => from[seed % from.length]!;

/** Writes into ring parts and indirect tables what no honest side would, mostly near to what one would. */
export class RingVandal {
  private readonly kind: Kind;
  private readonly config: QueueConfig;
  private readonly tables: IndirectTables;
  private readonly arena: Arena;

  constructor(kind: Kind, config: QueueConfig, tables: IndirectTables, arena: Arena) {
    this.kind = kind;
    this.config = config;
    this.tables = tables;
    this.arena = arena;
  }

  /** Any byte of a part. */
  flipByte(part: { gpa: number; length: number }, a: number, b: number): void {
    if (part.length === 0) return;
    const at = part.gpa + (a % part.length);
    this.arena.guest.write(at, Uint8Array.of(this.arena.guest.read(at, 1)[0]! ^ (1 + (b % 255))));
  }

  /** A descriptor of the ring, or an entry of a table; split and packed have the same places for their fields. */
  writeDescriptor(a: number, b: number): void {
    const { size, indirect } = this.kind;
    const inTable = indirect && a % 4 === 0;
    const entries = size * this.tables.entries;
    const at = inTable ? this.tables.address + 16 * ((a >>> 2) % entries) : this.config.desc + 16 * ((a >>> 2) % size);
    let address: number = pick(ADDRESSES, b);
    let length: number = pick(LENGTHS, b >>> 4);
    // Many descriptors point at a good table, so that tables are walked at all.
    if (indirect && b % 3 === 0) {
      address = this.tables.address;
      length = 16 * (1 + ((b >>> 4) % this.tables.entries));
    }
    this.write32(at, address % 2 ** 32);
    this.write32(at + 4, Math.floor(address / 2 ** 32));
    this.write32(at + 8, length);
    this.write16(at + 12, pick(HALFWORDS, a >>> 5));
    this.write16(at + 14, pick(HALFWORDS, b >>> 8));
  }

  /** Split: a place of the available ring, and idx by as much as a driver might move it, or anyhow. */
  makeAvailable(a: number, b: number): void {
    const { size } = this.kind;
    const { driver } = this.config;
    this.write16(driver + 4 + 2 * (a % size), b % 9 === 0 ? b : b % size);
    const idx = this.read16(driver + 2);
    this.write16(driver + 2, a % 31 === 0 ? b : idx + (b % 3));
  }

  /** Packed: the marks of a slot, as on an odd or an even lap. */
  markSlot(a: number, b: number): void {
    const at = this.config.desc + 16 * (a % this.kind.size) + 14;
    const flags = this.read16(at) & ~0x8080;
    this.write16(at, flags | pick([0x80, 0x8000, 0x8080, 0], b));
  }

  /** Split: a used element, and idx moved on by little, or anyhow. */
  writeUsed(a: number, b: number): void {
    const { size } = this.kind;
    const at = this.config.device + 4 + 8 * (a % size);
    this.write32(at, b % 9 === 0 ? b * 0x1_0001 : b % size);
    this.write32(at + 4, pick(LENGTHS, a >>> 4));
    const idx = this.read16(this.config.device + 2);
    this.write16(this.config.device + 2, a % 31 === 0 ? b : idx + (b % 3));
  }

  /** Packed: a used descriptor with some id, mostly one that there is, in the marks of either lap. */
  writeUsedDescriptor(a: number, b: number): void {
    const { size } = this.kind;
    const at = this.config.desc + 16 * (a % size);
    this.write32(at + 8, pick(LENGTHS, a >>> 6));
    this.write16(at + 12, b % 9 === 0 ? b : b % size);
    this.write16(at + 14, pick([0x8080, 0x8082, 0, 2, 0x80, 0x8000], b >>> 4));
  }

  private read16(gpa: number): number {
    const [low, high] = this.arena.guest.read(gpa, 2);
    return low! | (high! << 8);
  }

  private write16(gpa: number, value: number): void {
    this.arena.guest.write(gpa, Uint8Array.of(value, value >>> 8));
  }

  private write32(gpa: number, value: number): void {
    this.arena.guest.write(gpa, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }
}
