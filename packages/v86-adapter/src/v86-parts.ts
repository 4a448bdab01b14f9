import { VirtioError } from '@ringwire/virtio-spec';

/** Releases of v86 on npm that this was tried with, the oldest and the newest. */
export const TESTED_VERSIONS = ['0.5.455', '0.5.462'] as const;

type Read = (port: number) => number;
type Write = (value: number) => void;

/** What answers at a port: functions that are called with `device` as their `this`. */
export interface V86Port {
  readonly read8: Read;
  readonly read16: Read;
  readonly read32: Read;
  readonly write8: Write;
  readonly write16: Write;
  readonly write32: Write;
  readonly device: unknown;
}

export type MmioRead = (address: number) => number;
export type MmioWrite = (address: number, value: number) => void;

interface V86PciDevice {
  readonly pci_id: number;
  readonly pci_space: readonly number[];
  readonly pci_bars: readonly object[];
  readonly name: string;
}

/** Configuration space as v86 has it: bytes that nobody hears of. */
export interface V86Pci {
  /** By bus, device and function: the address that configuration cycles go to. */
  readonly devices: (object | undefined)[];
  readonly pci_addr32: Int32Array;
  /** Where each of the four interrupt pins of the bus leads to, from byte 0x60 on. */
  readonly isa_bridge_space8: Uint8Array;
  register_device(device: V86PciDevice): unknown;
  raise_irq(id: number): void;
  lower_irq(id: number): void;
}

/** What of a v86 machine a device needs. These are its own parts, of which no declaration speaks, so versions are pinned. */
export interface V86Cpu {
  readonly io: {
    readonly ports: V86Port[];
    create_empty_entry(): V86Port;
    mmap_register(
      address: number,
      size: number,
      read8: MmioRead,
      write8: MmioWrite,
      read32: MmioRead,
      write32: MmioWrite,
    ): void;
  };
  readonly devices: { readonly pci: V86Pci; readonly acpi?: object };
  /** A view of guest memory, in the buffer that there was when it was made. */
  readonly mem8: { readonly byteOffset: number; readonly length: number };
  readonly wasm_memory: { readonly buffer: ArrayBuffer };
  readonly memory_map_read8: MmioRead[];
  readonly memory_map_write8: MmioWrite[];
  readonly memory_map_read32: MmioRead[];
  readonly memory_map_write32: MmioWrite[];
  jit_dirty_cache(start: number, end: number): void;
  mmap_write16(address: number, value: number): void;
  write32(address: number, value: number): void;
  /** The end of a slice of the guest's time. @returns when the next one is wanted at the latest, in ms */
  run_hardware_timers(hasAcpi: number, now: number): number;
  stop_idling(): void;
  reboot_internal(): void;
  get_state(): unknown[];
  set_state(state: unknown[]): void;
}

/** An emulator of v86's, as `new V86(…)` makes it: what its declarations say of it does not matter here. */
export interface V86Emulator {
  is_running(): boolean;
}

/** The parts that are used, by the path to each, and what each has to be. */
const PARTS: readonly (readonly [path: string, type: 'object' | 'function' | 'number'])[] = [
  ['io.ports', 'object'],
  ['io.create_empty_entry', 'function'],
  ['io.mmap_register', 'function'],
  ['devices.pci.devices', 'object'],
  ['devices.pci.pci_addr32', 'object'],
  ['devices.pci.isa_bridge_space8', 'object'],
  ['devices.pci.register_device', 'function'],
  ['devices.pci.raise_irq', 'function'],
  ['devices.pci.lower_irq', 'function'],
  ['mem8.byteOffset', 'number'],
  ['mem8.length', 'number'],
  ['wasm_memory.buffer', 'object'],
  ['memory_map_read8', 'object'],
  ['memory_map_write8', 'object'],
  ['memory_map_read32', 'object'],
  ['memory_map_write32', 'object'],
  ['jit_dirty_cache', 'function'],
  ['mmap_write16', 'function'],
  ['write32', 'function'],
  ['run_hardware_timers', 'function'],
  ['stop_idling', 'function'],
  ['reboot_internal', 'function'],
  ['get_state', 'function'],
  ['set_state', 'function'],
];

/**
 * The parts of an emulator that has loaded.
 * @throws VirtioError for one that has not, and for a v86 that is made otherwise than the tested ones
 */
export function cpuOf(emulator: V86Emulator): V86Cpu {
  const cpu = at(emulator, 'v86.cpu');
  if (cpu === undefined || at(cpu, 'devices.pci') === undefined)
    throw new VirtioError('emulator', 'not loaded', 'one that said "emulator-loaded" (with autostart: false)', 'v86');
  for (const [path, type] of PARTS) {
    const part = at(cpu, path);
    const kind: string = typeof part;
    if (part !== null && kind === type) continue;
    const [oldest, newest] = TESTED_VERSIONS;
    throw new VirtioError(`cpu.${path}`, kind, `${type}, as in v86 ${oldest} to ${newest}`, 'package v86');
  }
  return cpu as V86Cpu;
}

function at(from: unknown, path: string): unknown {
  let found = from;
  for (const name of path.split('.')) {
    if (found === undefined || found === null) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}
