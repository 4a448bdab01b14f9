import type { EmbeddedNic } from '@ringwire/virtio-device';
import type { MmioRead, MmioWrite, V86Cpu } from './v86-parts.js';

/** v86 looks up who answers in memory by blocks of this size. */
const BLOCK = 0x2_0000;
const BLOCK_SHIFT = 17;
/** An x86 has no more: I/O addresses behind them are reached by nobody, whatever a BAR says. */
const PORTS = 0x1_0000;

/** What is decoded from an address on. */
interface Window {
  readonly nic: EmbeddedNic;
  readonly bar: number;
  readonly start: number;
  readonly size: number;
}

/** Where BARs of our functions are decoded: v86's tables say "ours" there, and what is not goes to who answered before. */
export class BarWindows {
  private readonly cpu: V86Cpu;
  private readonly memory: Window[] = [];
  private readonly io: Window[] = [];
  /** Blocks of memory, and ports, that say "ours". */
  private readonly blocks = new Set<number>();
  private readonly ports = new Set<number>();

  constructor(cpu: V86Cpu) {
    this.cpu = cpu;
  }

  /** Have v86's 16-bit writes come whole. */
  start(): void {
    const { cpu } = this;
    const split = cpu.mmap_write16;
    // Half of a driver's writes are 16 bits wide, notifications among them; v86 would make two of each.
    cpu.mmap_write16 = (address, value) => {
      const window = at(this.memory, address >>> 0, 2);
      if (window === undefined) split.call(cpu, address, value);
      else window.nic.barWrite(window.bar, (address >>> 0) - window.start, 2, value);
    };
  }

  /** A BAR is decoded elsewhere from now on. @param address -1: nowhere */
  move(nic: EmbeddedNic, bar: number, size: number, isIo: boolean, address: number): void {
    const windows = isIo ? this.io : this.memory;
    const before = windows.findIndex((window) => window.nic === nic && window.bar === bar);
    if (before >= 0) windows.splice(before, 1);
    if (address < 0 || (isIo && address + size > PORTS)) return;
    windows.push({ nic, bar, start: address, size });
    if (isIo) for (let port = address; port < address + size; port++) this.openPort(port);
    else
      for (let block = address >>> BLOCK_SHIFT; block <= (address + size - 1) >>> BLOCK_SHIFT; block++)
        this.openBlock(block);
  }

  private openBlock(block: number): void {
    if (this.blocks.has(block)) return;
    this.blocks.add(block);
    const { cpu } = this;
    const read =
      (bytes: number, other: MmioRead): MmioRead =>
      (address) => {
        const window = at(this.memory, address >>> 0, bytes);
        if (window === undefined) return other(address);
        return window.nic.barRead(window.bar, (address >>> 0) - window.start, bytes) | 0;
      };
    const write =
      (bytes: number, other: MmioWrite): MmioWrite =>
      (address, value) => {
        const window = at(this.memory, address >>> 0, bytes);
        if (window === undefined) other(address, value);
        else window.nic.barWrite(window.bar, (address >>> 0) - window.start, bytes, value >>> 0);
      };
    cpu.io.mmap_register(
      block * BLOCK,
      BLOCK,
      read(1, cpu.memory_map_read8[block]!),
      write(1, cpu.memory_map_write8[block]!),
      read(4, cpu.memory_map_read32[block]!),
      write(4, cpu.memory_map_write32[block]!),
    );
  }

  private openPort(port: number): void {
    if (this.ports.has(port)) return;
    this.ports.add(port);
    const { ports } = this.cpu.io;
    const own = ports[port]!;
    const read =
      (bytes: number, other: (port: number) => number) =>
      (from: number): number => {
        const window = at(this.io, port, bytes);
        if (window === undefined) return other.call(own.device, from);
        return window.nic.barRead(window.bar, port - window.start, bytes) | 0;
      };
    const write =
      (bytes: number, other: (value: number) => void) =>
      (value: number): void => {
        const window = at(this.io, port, bytes);
        if (window === undefined) other.call(own.device, value);
        else window.nic.barWrite(window.bar, port - window.start, bytes, value >>> 0);
      };
    ports[port] = {
      read8: read(1, own.read8),
      read16: read(2, own.read16),
      read32: read(4, own.read32),
      write8: write(1, own.write8),
      write16: write(2, own.write16),
      write32: write(4, own.write32),
      device: own.device,
    };
  }
}

/** The window that an access lies in, whole. */
function at(windows: readonly Window[], address: number, bytes: number): Window | undefined {
  for (const window of windows) {
    const offset = address - window.start;
    if (offset >= 0 && offset + bytes <= window.size) return window;
  }
  return undefined;
}
