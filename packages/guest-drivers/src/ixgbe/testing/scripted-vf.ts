import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { PciAccess } from '../../access.js';
import { type DmaMemory, guestDma } from '../../dma-memory.js';

/** What a scripted function is, where it differs from a good one. */
export interface ScriptedVfOptions {
  readonly vendor?: number;
  readonly device?: number;
  readonly barBytes?: number;
  readonly hasMsix?: boolean;
}

/** Offsets of the datasheet (82599, §8.3), written down here a second time: a test is not to share the driver's. */
const AT = { ctrl: 0x0, links: 0x10, mailbox: 0x2fc, memory: 0x200, ims: 0x108, rx: 0x1000, tx: 0x2000 } as const;
const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x100_0000;
const memory = HostMemory.create(RAM_BYTES);

/** A virtual function in front of a test: registers that do what the datasheet says, and a physical function's answers. */
export class ScriptedVf implements PciAccess {
  readonly memory: HostMemory = memory;
  readonly space: GuestMemory;
  readonly pages: PageAllocator = new PageAllocator(RAM, RAM_BYTES);
  readonly dma: DmaMemory;
  /** Registers of BAR 0 by offset. */
  readonly registers: Map<number, number> = new Map();
  /** Words of every message that was sent. */
  readonly sent: number[][] = [];
  /** Every write to BAR 0, as offset and value. */
  readonly writes: [number, number][] = [];
  /** MSI-X table: writes by offset. */
  readonly table: Map<number, number> = new Map();
  /** Answers of the physical function; undefined: none. */
  answer: (words: readonly number[]) => readonly number[] | undefined = goodAnswer;
  /** Whether the physical function's driver has said that it is there. */
  isReady = true;
  /** Every register reads all ones. */
  isGone = false;
  /** Queues whose enable bit does not read what was written. */
  isStuck = false;
  private flags = 0;
  private readonly config: DataView = new DataView(new ArrayBuffer(0x100));
  private readonly bars: readonly number[];

  constructor({ vendor = 0x8086, device = 0x10ed, barBytes = 0x4000, hasMsix = true }: ScriptedVfOptions = {}) {
    memory.engine.fill(0, 0, memory.size);
    this.space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: 0 }]);
    this.dma = guestDma(this.space, this.pages);
    this.bars = [barBytes, 0, 0, 0x4000, 0, 0];
    const { config } = this;
    config.setUint16(0, vendor, true);
    config.setUint16(2, device, true);
    this.bars.forEach((size, bar) => {
      if (size > 0) config.setUint32(0x10 + 4 * bar, 0xe000_0000 + bar * 0x10_0000, true);
    });
    if (hasMsix) {
      config.setUint16(6, 0x10, true);
      config.setUint8(0x34, 0x70);
      config.setUint8(0x70, 0x11);
      config.setUint16(0x72, 2, true);
      config.setUint32(0x74, 3, true);
      config.setUint32(0x78, 0x2003, true);
    }
    this.registers.set(AT.links, 0x7000_0080);
  }

  configRead(offset: number, size: number): number {
    if (this.isGone) return 2 ** (size * 8) - 1;
    if (size === 1) return this.config.getUint8(offset);
    return size === 2 ? this.config.getUint16(offset, true) : this.config.getUint32(offset, true);
  }

  configWrite(offset: number, size: number, value: number): void {
    if (offset >= 0x10 && offset < 0x28) {
      const bytes = this.bars[(offset - 0x10) >> 2]!;
      const mask = bytes === 0 ? 0 : -bytes;
      this.config.setUint32(offset, value & mask, true);
    } else if (size === 2) this.config.setUint16(offset, value, true);
    else if (size === 4) this.config.setUint32(offset, value, true);
  }

  barRead(bar: number, offset: number, size: number): number {
    if (size !== 4 || offset % 4 !== 0) throw new Error(`BAR ${bar}: ${size} bytes read at ${offset}`);
    if (this.isGone) return 0xffff_ffff;
    if (bar === 3) return this.table.get(offset) ?? 0;
    if (offset !== AT.mailbox) return this.registers.get(offset) ?? 0;
    const value = this.flags;
    // RSTD, PFSTS and PFACK are cleared by reading.
    this.flags &= ~0xb0;
    return value;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    if (size !== 4 || offset % 4 !== 0) throw new Error(`BAR ${bar}: ${size} bytes written at ${offset}`);
    if (this.isGone) return;
    if (bar === 3) {
      this.table.set(offset, value);
      return;
    }
    this.writes.push([offset, value]);
    if (offset === AT.mailbox) this.writeMailbox(value);
    else if (offset === AT.ctrl) this.reset(value);
    else if (!this.isStuck || !isControl(offset)) this.registers.set(offset, value);
  }

  /** Values that were written to a register, in their order. */
  written(offset: number): number[] {
    return this.writes.filter(([at]) => at === offset).map(([, value]) => value);
  }

  /** The physical function says something without being asked. */
  say(...words: number[]): void {
    for (let i = 0; i < 16; i++) this.registers.set(AT.memory + 4 * i, (words[i] ?? 0) >>> 0);
    this.flags |= 0x10;
  }

  /** The physical function is reset. @param isDone and its driver is there again */
  resetPf(isDone: boolean): void {
    this.isReady = isDone;
    this.flags = isDone ? 0x80 : 0x40;
  }

  /** Base of a ring, as it was programmed. */
  ring(kind: 'rx' | 'tx', queue = 0): { base: number; host: number; length: number; tail: number } {
    const at = AT[kind] + 0x40 * queue;
    const base = this.reg(at) + this.reg(at + 4) * 2 ** 32;
    const length = this.reg(at + 8);
    return { base, host: this.space.resolve(base, length, 3), length, tail: this.reg(at + 0x18) };
  }

  /** Words of a descriptor. */
  descriptor(kind: 'rx' | 'tx', index: number, queue = 0): number[] {
    const { host } = this.ring(kind, queue);
    return Array.from(memory.u32.subarray((host >> 2) + index * 4, (host >> 2) + index * 4 + 4));
  }

  /** The 16 bytes that the card writes back. */
  writeBack(kind: 'rx' | 'tx', index: number, bytes: Uint8Array, queue = 0): void {
    memory.u8.set(bytes, this.ring(kind, queue).host + index * 16);
  }

  /** Bytes of a receive buffer, as the descriptor says where it is. */
  fillBuffer(index: number, bytes: Uint8Array, queue = 0): void {
    const [lo, hi] = this.descriptor('rx', index, queue) as [number, number];
    memory.u8.set(bytes, this.space.resolve(hi * 2 ** 32 + lo, bytes.length, 3));
  }

  /** Bytes that a data descriptor shows. */
  shown(index: number, queue = 0): Uint8Array {
    const [lo, hi, cmd] = this.descriptor('tx', index, queue) as [number, number, number];
    const host = this.space.resolve(hi * 2 ** 32 + lo, cmd & 0xffff, 1);
    return memory.u8.slice(host, host + (cmd & 0xffff));
  }

  private reg(at: number): number {
    return this.registers.get(at) ?? 0;
  }

  private reset(value: number): void {
    if ((value & 0x0400_0000) === 0) return;
    for (const at of this.registers.keys()) if (at >= AT.rx && at < 0x3000) this.registers.delete(at);
    this.flags = this.isReady ? 0x80 : 0x40;
  }

  private writeMailbox(value: number): void {
    // VFU is granted: the physical function holds the memory only while it writes.
    this.flags = (this.flags & ~0x04) | (value & 0x04);
    if ((value & 0x01) === 0) return;
    const words = Array.from({ length: 16 }, (_, i) => this.reg(AT.memory + 4 * i));
    this.sent.push(words);
    const answer = this.answer(words);
    if (answer !== undefined) this.say(...answer);
  }
}

/** RXDCTL or TXDCTL of any queue. */
const isControl = (offset: number): boolean => offset >= AT.rx && offset < 0x3000 && (offset & 0x3f) === 0x28;

const ACK_CTS = 0xa000_0000;

/** What a physical function says that grants everything: 52:54:00:00:00:01, version 1.5, one queue pair. */
export function goodAnswer(words: readonly number[]): number[] {
  const type = words[0]! & 0xffff;
  if (type === 0x01) return [0x8000_0001, 0x0000_5452, 0x0000_0100, 0];
  if (type === 0x09) return [(ACK_CTS | 0x09) >>> 0, 1, 1, 0, 0];
  if (type === 0x10) return [(ACK_CTS | 0x10) >>> 0, 1];
  return [(ACK_CTS | words[0]!) >>> 0, ...words.slice(1)];
}

/** A refusal that lets the function go on. */
export const refusal = (words: readonly number[]): number[] => [(words[0]! | 0x6000_0000) >>> 0];
