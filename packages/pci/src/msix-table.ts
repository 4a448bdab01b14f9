import { VirtioError } from '@ringwire/virtio-spec';
import type { BarRegion, PieceSize } from './bar-region.js';
import { PCI_MSIX_ENTRY, PCI_MSIX_VECTOR_CONTROL } from './capability-layouts.js';

/** PCIe 5.0 §7.7.2.2: Table Size holds at most 0x7ff. */
export const MSIX_MAX_VECTORS = 0x800;

/**
 * Performs a message as a DMA write of 4 bytes by this function. The address is whatever the guest put there; the vector
 * is for a host that keeps messages apart without looking at them.
 */
export type SendMessage = (addressLow: number, addressHigh: number, data: number, vector: number) => void;

const ENTRY = PCI_MSIX_ENTRY.SIZE >> 2;
const CONTROL = PCI_MSIX_ENTRY.VECTOR_CONTROL >> 2;
const { MASK } = PCI_MSIX_VECTOR_CONTROL;

/** Word 0: whether messages may leave the function. */
const GATE = { CLOSED: 0, HELD: 1, OPEN: 2 } as const;

/** Words of storage that a table needs: gate, pending bits, entries. */
export const msixWords = (vectors: number): number => 1 + Math.ceil(vectors / 32) + vectors * ENTRY;

/**
 * MSI-X table and pending-bit array of a function (PCIe 5.0 §6.1.4, §7.7.2). All state lies in `words`; given a
 * shared one, a device's thread raises vectors on its own table over the same words while the registers are served
 * elsewhere. Both sides set first and look afterwards, and a pending bit is cleared by the one that sends for it: each
 * pending period ends in exactly one message.
 */
export class MsixTable {
  readonly vectors: number;
  private readonly words: Int32Array;
  private readonly send: SendMessage;
  private readonly pending: number;
  private readonly entries: number;

  /** @param words at least {@link msixWords} of them; zeros, or those of another table of this function */
  constructor(vectors: number, send: SendMessage, words: Int32Array = new Int32Array(msixWords(vectors))) {
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > MSIX_MAX_VECTORS)
      throw new VirtioError('MSI-X vectors', vectors, `1 to ${MSIX_MAX_VECTORS}`, 'PCIe 5.0 §7.7.2.2');
    if (words.length < msixWords(vectors))
      throw new VirtioError('MSI-X words', words.length, `at least ${msixWords(vectors)}`, 'PCIe 5.0 §7.7.2');
    this.vectors = vectors;
    this.words = words;
    this.send = send;
    this.pending = 1;
    this.entries = 1 + Math.ceil(vectors / 32);
  }

  /**
   * The function has an event for a vector: send its message, or keep it pending while the vector, the function or bus
   * mastering is off. With MSI-X off, and for a vector that the table does not have, nothing happens.
   */
  raise(vector: number): void {
    if (!this.has(vector) || Atomics.load(this.words, 0) === GATE.CLOSED) return;
    Atomics.or(this.words, this.pending + (vector >>> 5), 1 << (vector & 31));
    this.deliver(vector);
  }

  isPending(vector: number): boolean {
    if (!this.has(vector)) return false;
    return ((Atomics.load(this.words, this.pending + (vector >>> 5)) >>> (vector & 31)) & 1) === 1;
  }

  /** Whether the vector's own mask bit is set; true for a vector that the table does not have. */
  isMasked(vector: number): boolean {
    return !this.has(vector) || (Atomics.load(this.words, this.controlOf(vector)) & MASK) !== 0;
  }

  /** Whatever the vector was raised for is settled: it is no longer pending (PCIe 5.0 §6.1.4.5). */
  withdraw(vector: number): void {
    if (this.has(vector)) this.takePending(vector);
  }

  /**
   * What stands around the table.
   * @param enabled MSI-X Enable
   * @param held Function Mask, no bus mastering, or a power state that sends nothing: events stay pending
   */
  setGate(enabled: boolean, held: boolean): void {
    const gate = !enabled ? GATE.CLOSED : held ? GATE.HELD : GATE.OPEN;
    const before = Atomics.exchange(this.words, 0, gate);
    if (gate === GATE.OPEN && before !== GATE.OPEN) this.deliverAll();
  }

  /** As after power-on: all vectors masked, nothing pending, MSI-X off. */
  reset(): void {
    Atomics.store(this.words, 0, GATE.CLOSED);
    for (let i = this.pending; i < this.entries; i++) Atomics.store(this.words, i, 0);
    for (let i = this.entries; i < this.entries + this.vectors * ENTRY; i++) Atomics.store(this.words, i, 0);
    for (let vector = 0; vector < this.vectors; vector++) Atomics.store(this.words, this.controlOf(vector), MASK);
  }

  /** The table as a region of a BAR. */
  tableRegion(offset: number): BarRegion {
    return {
      offset,
      size: this.vectors * PCI_MSIX_ENTRY.SIZE,
      read: (at, size) => wordPart(Atomics.load(this.words, this.entries + (at >>> 2)), at, size),
      write: (at, size, value) => this.writeTable(at, size, value),
    };
  }

  /** The pending-bit array as a region of a BAR: read-only, 64 vectors to each 8 bytes. */
  pbaRegion(offset: number): BarRegion {
    const bitWords = this.entries - this.pending;
    return {
      offset,
      size: Math.ceil(this.vectors / 64) * 8,
      read: (at, size) =>
        at >>> 2 < bitWords ? wordPart(Atomics.load(this.words, this.pending + (at >>> 2)), at, size) : 0,
      write: () => {},
    };
  }

  /** Software writes whole words (PCIe 5.0 §7.7.2); narrower writes have no defined effect, and none here. */
  private writeTable(at: number, size: PieceSize, value: number): void {
    if (size !== 4) return;
    const field = at % PCI_MSIX_ENTRY.SIZE;
    const word = this.entries + (at >>> 2);
    if (field === PCI_MSIX_ENTRY.VECTOR_CONTROL) {
      Atomics.store(this.words, word, value & MASK);
      if ((value & MASK) === 0) this.deliver(Math.floor(at / PCI_MSIX_ENTRY.SIZE));
      return;
    }
    // Bits 1:0 of the address are always 0 (PCIe 5.0 §7.7.2.5).
    Atomics.store(this.words, word, field === PCI_MSIX_ENTRY.MESSAGE_ADDRESS ? value & ~3 : value);
  }

  private deliverAll(): void {
    for (let vector = 0; vector < this.vectors; vector++) if (this.isPending(vector)) this.deliver(vector);
  }

  private deliver(vector: number): void {
    const { words } = this;
    if (Atomics.load(words, 0) !== GATE.OPEN || this.isMasked(vector)) return;
    if (!this.takePending(vector)) return;
    const entry = this.entries + vector * ENTRY;
    this.send(words[entry]! >>> 0, words[entry + 1]! >>> 0, words[entry + 2]! >>> 0, vector);
  }

  /** @returns whether it was pending, which only one of two threads is told */
  private takePending(vector: number): boolean {
    const bit = 1 << (vector & 31);
    return (Atomics.and(this.words, this.pending + (vector >>> 5), ~bit) & bit) !== 0;
  }

  private has(vector: number): boolean {
    return vector >>> 0 === vector && vector < this.vectors;
  }

  private controlOf(vector: number): number {
    return this.entries + vector * ENTRY + CONTROL;
  }
}

const wordPart = (word: number, at: number, size: PieceSize): number =>
  size === 4 ? word >>> 0 : (word >>> ((at & 3) * 8)) & (size === 1 ? 0xff : 0xffff);
