import type { NetBackend } from '@ringwire/net-backend';
import { attachNics, type V86Machine, type V86NicOptions } from '@ringwire/v86-adapter';
import { V86, type V86Options } from 'v86';
import { DONE, LOAD_MODULES, READY } from './guest-shell.js';

/** Two cards in each machine: one with MSI-X, and one with an interrupt pin alone. v86's own has a place of its own. */
const SLOTS = { msix: 16, pin: 17, own: 10 } as const;
/** Descriptors of a card's queues: as many as v86's own card has. */
const QUEUE_SIZE = 1024;
const MEMORY_BYTES = 192 << 20;
const VGA_BYTES = 2 << 20;
const CARRIAGE_RETURN = 13;

/** What a machine is made of. */
export interface MachineFiles {
  readonly bios: ArrayBuffer;
  readonly vgaBios: ArrayBuffer;
  /** Path or URL of v86's own WebAssembly module. */
  readonly wasmPath: string;
}

/** What a machine begins with: a kernel that boots, or the state of one that has booted. */
export type MachineStart =
  | { readonly kernel: ArrayBuffer; readonly initrd: ArrayBuffer }
  | { readonly state: ArrayBuffer };

/** How a machine is plugged in. */
export interface MachinePorts {
  /** Of the card with MSI-X, with its address. */
  readonly msix: Pick<V86NicOptions, 'port' | 'mac'>;
  readonly pin: Pick<V86NicOptions, 'port' | 'mac'>;
  /** v86's own network card beside ours, for comparison. */
  readonly hasOwnNic?: boolean;
}

/** Names that the guest's network interfaces have, by card. */
export interface InterfaceNames {
  readonly msix: string;
  readonly pin: string;
  /** Of v86's own card, where there is one. */
  readonly own?: string;
}

/** What a command said, and its exit code. */
export interface Said {
  readonly text: string;
  readonly code: number;
}

/** A 32-bit PC with Linux in it, which takes lines of shell from its first serial port. */
export class LinuxMachine {
  readonly emulator: V86;
  /** Its network cards, of this project. */
  readonly cards: V86Machine;
  private readonly hasOwnNic: boolean;
  private text = '';
  private heard: () => void = () => {};

  private constructor(emulator: V86, ports: MachinePorts) {
    this.emulator = emulator;
    const { msix, pin } = ports;
    const sizes = { rxQueueSize: QUEUE_SIZE, txQueueSize: QUEUE_SIZE };
    this.hasOwnNic = ports.hasOwnNic === true;
    this.cards = attachNics(emulator, [
      { ...msix, ...sizes, slot: SLOTS.msix, macAfterRestore: msix.mac },
      { ...pin, ...sizes, slot: SLOTS.pin, macAfterRestore: pin.mac, vectors: 0 },
    ]);
    emulator.add_listener('serial0-output-byte', (byte: number) => {
      if (byte === CARRIAGE_RETURN) return;
      this.text += String.fromCharCode(byte);
      this.heard();
    });
  }

  /** A machine that runs. One that boots is there when it takes commands. */
  static async open(files: MachineFiles, start: MachineStart, ports: MachinePorts): Promise<LinuxMachine> {
    const options: V86Options & { acpi: boolean } = {
      wasm_path: files.wasmPath,
      bios: { buffer: files.bios },
      vga_bios: { buffer: files.vgaBios },
      memory_size: MEMORY_BYTES,
      vga_memory_size: VGA_BYTES,
      // Interrupts by message want an APIC, which v86 has with ACPI.
      acpi: true,
      autostart: false,
      disable_keyboard: true,
      disable_mouse: true,
      disable_speaker: true,
      net_device: { type: ports.hasOwnNic === true ? 'virtio' : 'none' } as NonNullable<V86Options['net_device']>,
      ...('kernel' in start ? { bzimage: { buffer: start.kernel }, initrd: { buffer: start.initrd } } : {}),
      cmdline: 'quiet console=ttyS1 tsc=reliable mitigations=off random.trust_cpu=on',
    };
    const emulator = new V86(options);
    await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', () => resolve()));
    const machine = new LinuxMachine(emulator, ports);
    if ('state' in start) await emulator.restore_state(start.state);
    const ready = 'kernel' in start ? machine.until(READY) : undefined;
    await emulator.run();
    await ready;
    return machine;
  }

  /** Have the guest's shell do something. One command at a time. */
  async run(command: string): Promise<Said> {
    this.text = '';
    this.emulator.serial0_send(`${command}\n`);
    return this.ended();
  }

  /** What the command at work has said so far. */
  get said(): string {
    return this.text;
  }

  /** What a command says that is at work already, as in a machine that was saved in the middle of it. */
  async ended(): Promise<Said> {
    const [line, code] = await this.until(DONE);
    return { text: this.text.slice(0, this.text.indexOf(line!)), code: Number(code) };
  }

  /** The same for a command that has to succeed. @returns what it said */
  async must(command: string): Promise<string> {
    const { text, code } = await this.run(command);
    if (code !== 0) throw new Error(`"${command}" ended with ${code}: ${text}`);
    return text;
  }

  /** Load drivers. @returns names of the network interfaces that there are then */
  async loadDrivers(): Promise<InterfaceNames> {
    await this.must(LOAD_MODULES);
    const named = async (slot: number): Promise<string> =>
      (await this.must(`ls /sys/bus/pci/devices/0000:00:${slot.toString(16).padStart(2, '0')}.0/virtio*/net`)).trim();
    const ours = { msix: await named(SLOTS.msix), pin: await named(SLOTS.pin) };
    return this.hasOwnNic ? { ...ours, own: await named(SLOTS.own) } : ours;
  }

  /** The whole machine, while it stands still. */
  async save(): Promise<ArrayBuffer> {
    await this.emulator.stop();
    return (await this.emulator.save_state()) as ArrayBuffer;
  }

  async close(): Promise<void> {
    await this.emulator.stop();
    await this.emulator.destroy();
  }

  private until(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      this.heard = () => {
        const found = pattern.exec(this.text);
        if (found === null) return;
        this.heard = () => {};
        resolve(found);
      };
      this.heard();
    });
  }
}

/** A port of a switch that nobody is plugged into, for a card that is not used. */
export const NOWHERE: NetBackend = { offloads: 0, receive: () => 0, attach: () => {}, pump: () => 0 };
