import type { ForeignMemory } from '@ringwire/guest-memory';
import { EmbeddedNic, type EmbeddingHost } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import { BarWindows } from './bar-windows.js';
import { ConfigCycles } from './config-cycles.js';
import { shareIrqLines } from './irq-lines.js';
import { type KeptNic, keepState } from './machine-state.js';
import type { V86Nic, V86NicOptions } from './v86-nic.js';
import { cpuOf, type V86Cpu, type V86Emulator } from './v86-parts.js';

const HERE = 'attachNics';
/** Device numbers that v86 leaves free begin here. */
const FIRST_SLOT = 16;
const LAST_SLOT = 31;
/** PCI type 0 header: bytes, and where the interrupt pin is, of which v86 reads the line. */
const HEADER_BYTES = 64;
const INTERRUPT_PIN = 0x3d;
/** A PC's video memory. */
const HOLE = { address: 0xa_0000, size: 0x2_0000 } as const;
/** Most steps of a card at the end of a slice of the guest's time. */
const STEPS = 8;
/** Intel SDM vol. 3A §11.11.1: messages are writes to here; §11.6.1: the interrupt command register, to oneself. */
const MESSAGES = 0xfee;
const MESSAGE_SHIFT = 20;
const APIC_ICR_LOW = 0xfee0_0300;
const ICR_TO_SELF = 0x4_4000;
/** What SeaBIOS' tables look at to find cards that were plugged in or pulled: all ones would pull all. */
const HOTPLUG_PORTS = { first: 0xae00, last: 0xae10 } as const;

/** The platform's clock, said structurally: the packages' library is plain ES2023. */
const { performance } = globalThis as unknown as { performance: { now(): number } };

/** A v86 machine with cards of ours. */
export interface V86Machine {
  readonly nics: readonly V86Nic[];
  /**
   * A port has something that its card cannot know of, such as frames from another thread: cards look at the end of the
   * slice of the guest's time, and a guest that sleeps is woken for it.
   */
  wake(): void;
  /** Pull every card: its port is free, and what the guest still does with it leads nowhere. */
  close(): void;
}

/**
 * Plug network cards into a v86 machine that has loaded and does not run yet (`autostart: false`). The guest's own
 * virtio_net drives them: with MSI-X where the machine has `acpi: true`, and so an APIC, by interrupt pin otherwise.
 * `save_state` and `restore_state` of the emulator have the cards' states in them.
 *
 * Cards work at the end of each slice of the guest's time, where v86 looks at its timers. There, too, interrupts are
 * raised: from within a memory access they would hang compiled code.
 * @param wanted one for each card, in the order in which the guest finds them unless `slot` says otherwise
 * @throws VirtioError for a v86 that is none of the tested ones, and for cards that cannot be: then none is plugged in
 */
export function attachNics(emulator: V86Emulator, wanted: readonly V86NicOptions[]): V86Machine {
  const cpu = cpuOf(emulator);
  const machine = new Machine(cpu);
  makeNics(cpu, machine, wanted);
  // From here on nothing fails: a machine has all of its cards or is as it was.
  const { pci } = cpu.devices;
  const cycles = new ConfigCycles(cpu);
  shareIrqLines(pci);
  if (cpu.devices.acpi !== undefined) answerHotplug(cpu);
  for (const { nic, slot } of machine.nics) {
    const id = slot << 3;
    const header = new Array<number>(HEADER_BYTES).fill(0);
    header[INTERRUPT_PIN] = 1;
    pci.register_device({ pci_id: id, pci_space: header, pci_bars: [], name: 'ringwire virtio-net' });
    cycles.add(id, nic);
  }
  machine.start();
  keepState(cpu, machine.nics);
  return machine;
}

/** Make a machine's cards, all of them or none. They are not plugged in. */
function makeNics(cpu: V86Cpu, machine: Machine, wanted: readonly V86NicOptions[]): void {
  const slots: number[] = [];
  for (const { slot } of wanted) slots.push(freeSlot(cpu, slots, slot));
  try {
    for (const [index, options] of wanted.entries()) machine.nics.push(makeNic(cpu, machine, slots[index]!, options));
  } catch (error) {
    machine.close();
    throw error;
  }
}

function makeNic(cpu: V86Cpu, machine: Machine, slot: number, options: V86NicOptions): KeptNic {
  const { pci, acpi } = cpu.devices;
  const id = slot << 3;
  const { port, slot: _, macAfterRestore, ...rest } = options;
  const vectors = options.vectors ?? (acpi === undefined ? 0 : undefined);
  const host: EmbeddingHost = {
    setIrq: (level) => (level ? pci.raise_irq(id) : pci.lower_irq(id)),
    msi: (address, data) => {
      if (address >>> MESSAGE_SHIFT === MESSAGES) cpu.write32(APIC_ICR_LOW, ICR_TO_SELF | (data & 0xff));
    },
    barMoved: (bar, address) => {
      const { size, isIo } = barOf(nic, bar);
      machine.windows.move(nic, bar, size, isIo, address);
    },
    wake: () => machine.wake(),
  };
  const nic: EmbeddedNic = new EmbeddedNic({
    ...rest,
    ...(vectors === undefined ? {} : { vectors }),
    memory: memoryOf(cpu),
    host,
    port,
    deferInterrupts: true,
    now: () => machine.now(),
  });
  return { nic, slot, options };
}

class Machine implements V86Machine {
  readonly nics: KeptNic[] = [];
  readonly windows: BarWindows;
  private readonly cpu: V86Cpu;
  private hasWork = false;

  constructor(cpu: V86Cpu) {
    this.cpu = cpu;
    this.windows = new BarWindows(cpu);
  }

  /** Have v86 run the cards. */
  start(): void {
    const { cpu } = this;
    this.windows.start();
    const { run_hardware_timers: timers, reboot_internal: reboot } = cpu;
    cpu.run_hardware_timers = (hasAcpi, now) => {
      const wait = this.work();
      return Math.min(wait, timers.call(cpu, hasAcpi, now));
    };
    cpu.reboot_internal = () => {
      for (const { nic } of this.nics) nic.reset();
      reboot.call(cpu);
    };
  }

  /** µs */
  now(): number {
    return performance.now() * 1000;
  }

  wake(): void {
    if (this.hasWork) return;
    this.hasWork = true;
    this.cpu.stop_idling();
  }

  close(): void {
    for (const { nic } of this.nics) nic.close();
  }

  /** @returns when to come again at the latest, in ms */
  private work(): number {
    const { nics } = this;
    let deadline = Number.POSITIVE_INFINITY;
    for (let i = 0; i < nics.length; i++) deadline = Math.min(deadline, nics[i]!.nic.deadline());
    if (!this.hasWork && deadline === Number.POSITIVE_INFINITY) return deadline;
    const now = this.now();
    if (!this.hasWork && now < deadline) return (deadline - now) / 1000;
    this.hasWork = false;
    let isLeft = false;
    for (let i = 0; i < nics.length; i++) {
      const { nic } = nics[i]!;
      let steps = 0;
      while (steps < STEPS && nic.step()) steps++;
      if (steps === STEPS) isLeft = true;
      if (nic.hasInterrupts) nic.flushInterrupts();
    }
    if (isLeft) this.hasWork = true;
    return this.hasWork ? 0 : Number.POSITIVE_INFINITY;
  }
}

/** Guest memory of a machine: the buffer is replaced whenever v86's WebAssembly memory grows. */
function memoryOf(cpu: V86Cpu): ForeignMemory {
  return {
    getBuffer: () => cpu.wasm_memory.buffer,
    get base() {
      return cpu.mem8.byteOffset;
    },
    size: cpu.mem8.length,
    holes: [HOLE],
    onWrite: (address, length) => cpu.jit_dirty_cache(address, address + length),
  };
}

/** @param taken by cards that are plugged in together with this one */
function freeSlot(cpu: V86Cpu, taken: readonly number[], wanted: number | undefined): number {
  const isFree = (slot: number): boolean => cpu.devices.pci.devices[slot << 3] === undefined && !taken.includes(slot);
  if (wanted !== undefined) {
    if (Number.isInteger(wanted) && wanted >= 1 && wanted <= LAST_SLOT && isFree(wanted)) return wanted;
    throw new VirtioError('slot', wanted, `a free one from 1 to ${LAST_SLOT}`, HERE);
  }
  for (let slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) if (isFree(slot)) return slot;
  throw new VirtioError('nics', 'too many', 'as many as there are free slots', HERE);
}

function barOf({ function: { layout } }: EmbeddedNic, bar: number): { size: number; isIo: boolean } {
  const isRegisters = bar === layout.common.bar;
  return {
    size: isRegisters ? layout.registersSize : layout.msixSize,
    isIo: isRegisters && layout.msixTable.bar !== layout.common.bar,
  };
}

function answerHotplug({ io }: V86Cpu): void {
  const nothing = (): number => 0;
  for (let port = HOTPLUG_PORTS.first; port <= HOTPLUG_PORTS.last; port++)
    io.ports[port] = { ...io.create_empty_entry(), read8: nothing, read16: nothing, read32: nothing };
}
