import type { EmbeddedNic } from '@ringwire/virtio-device';
import type { MmioRead, MmioWrite, V86Cpu, V86Port } from './v86-parts.js';

/** v86 looks up who answers in memory by blocks of this size. */
const BLOCK = 0x2_0000;
const BLOCK_SHIFT = 17;

/** What is decoded from an address on. */
interface Window {
  readonly nic: EmbeddedNic;
  readonly bar: number;
  start: number;
  readonly size: number;
}

/** Who answered in a block before us. */
interface Former {
  readonly read8: MmioRead;
  readonly write8: MmioWrite;
  readonly read32: MmioRead;
  readonly write32: MmioWrite;
}

/** Where BARs of our functions are decoded: v86's tables say "ours" there, and what is not goes to who answered before. */
export class BarWindows {
  private readonly cpu: V86Cpu;
  private readonly windows: Window[] = [];
  private readonly former = new Map<number, Former>();
  private readonly formerPorts = new Map<number, V86Port>();

  constructor(cpu: V86Cpu) {
    this.cpu = cpu;
    const split = cpu.mmap_write16;
    // Half of a driver's writes are 16 bits wide, notifications among them; v86 would make two of each.
    cpu.mmap_write16 = (address, value) => {
      const window = this.at(address >>> 0, 2);
      if (window === undefined) split.call(cpu, address, value);
      else window.nic.barWrite(window.bar, (address >>> 0) - window.start, 2, value);
    };
  }

  /** A BAR is decoded elsewhere from now on. @param address -1: nowhere */
  move(nic: EmbeddedNic, bar: number, size: number, isIo: boolean, address: number): void {
    const before = this.windows.findIndex((window) => window.nic === nic && window.bar === bar);
    if (before >= 0) {
      const [{ start }] = this.windows.splice(before, 1) as [Window];
      if (isIo) this.closePorts(start, size);
    }
    if (address < 0) return;
    const window = { nic, bar, start: address, size };
    if (isIo) this.openPorts(window);
    else {
      this.windows.push(window);
      for (let block = address >>> BLOCK_SHIFT; block <= (address + size - 1) >>> BLOCK_SHIFT; block++)
        this.openBlock(block);
      return;
    }
    this.windows.push(window);
  }

  /** The window that an access lies in, whole. */
  private at(address: number, bytes: number): Window | undefined {
    for (const window of this.windows) {
      const offset = address - window.start;
      if (offset >= 0 && offset + bytes <= window.size) return window;
    }
    return undefined;
  }

  private openBlock(block: number): void {
    if (this.former.has(block)) return;
    const { cpu } = this;
    const former = {
      read8: cpu.memory_map_read8[block]!,
      write8: cpu.memory_map_write8[block]!,
      read32: cpu.memory_map_read32[block]!,
      write32: cpu.memory_map_write32[block]!,
    };
    this.former.set(block, former);
    const read =
      (bytes: number, other: MmioRead): MmioRead =>
      (address) => {
        const window = this.at(address >>> 0, bytes);
        if (window === undefined) return other(address);
        return window.nic.barRead(window.bar, (address >>> 0) - window.start, bytes) | 0;
      };
    const write =
      (bytes: number, other: MmioWrite): MmioWrite =>
      (address, value) => {
        const window = this.at(address >>> 0, bytes);
        if (window === undefined) other(address, value);
        else window.nic.barWrite(window.bar, (address >>> 0) - window.start, bytes, value >>> 0);
      };
    const { read8, write8, read32, write32 } = former;
    cpu.io.mmap_register(block * BLOCK, BLOCK, read(1, read8), write(1, write8), read(4, read32), write(4, write32));
  }

  private openPorts(window: Window): void {
    const { ports } = this.cpu.io;
    const { nic, bar, start, size } = window;
    for (let offset = 0; offset < size; offset++) {
      const read = (bytes: number) => (): number => nic.barRead(bar, offset, bytes) | 0;
      const write =
        (bytes: number) =>
        (value: number): void =>
          nic.barWrite(bar, offset, bytes, value >>> 0);
      this.formerPorts.set(start + offset, ports[start + offset]!);
      ports[start + offset] = {
        read8: read(1),
        read16: read(2),
        read32: read(4),
        write8: write(1),
        write16: write(2),
        write32: write(4),
        device: undefined,
      };
    }
  }

  private closePorts(start: number, size: number): void {
    const { io } = this.cpu;
    for (let port = start; port < start + size; port++) {
      io.ports[port] = this.formerPorts.get(port) ?? io.create_empty_entry();
      this.formerPorts.delete(port);
    }
  }
}
