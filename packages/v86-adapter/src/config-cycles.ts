import type { EmbeddedNic } from '@ringwire/virtio-device';
import type { V86Cpu, V86Port } from './v86-parts.js';

/** PCI 3.0 §3.2.2.3.2: CONFIG_DATA, four ports wide, and the bit of CONFIG_ADDRESS that opens it. */
const CONFIG_DATA = 0xcfc;
const ENABLE = 0x8000_0000;
const DATA_PORTS = [0, 1, 2, 3] as const;

/**
 * Configuration cycles of a machine: those to our functions go there, all others to v86's own. v86 keeps configuration
 * spaces as bytes and tells nobody of writes.
 */
export class ConfigCycles {
  private readonly addresses: Int32Array;
  private readonly functions = new Map<number, EmbeddedNic>();

  constructor(cpu: V86Cpu) {
    const { ports } = cpu.io;
    this.addresses = cpu.devices.pci.pci_addr32;
    for (const byte of DATA_PORTS) ports[CONFIG_DATA + byte] = this.port(ports[CONFIG_DATA + byte]!, byte);
  }

  /** @param id bus, device and function: as in bits 8 to 23 of CONFIG_ADDRESS */
  add(id: number, nic: EmbeddedNic): void {
    this.functions.set(id, nic);
  }

  private port(own: V86Port, byte: number): V86Port {
    const read =
      (size: number, other: (port: number) => number) =>
      (port: number): number => {
        const nic = this.target();
        return nic === undefined ? other.call(own.device, port) : nic.configRead(this.offset(byte), size) | 0;
      };
    const write =
      (size: number, other: (value: number) => void) =>
      (value: number): void => {
        const nic = this.target();
        if (nic === undefined) other.call(own.device, value);
        else nic.configWrite(this.offset(byte), size, value >>> 0);
      };
    return {
      read8: read(1, own.read8),
      read16: read(2, own.read16),
      read32: read(4, own.read32),
      write8: write(1, own.write8),
      write16: write(2, own.write16),
      write32: write(4, own.write32),
      device: own.device,
    };
  }

  private target(): EmbeddedNic | undefined {
    const address = this.addresses[0]!;
    return (address & ENABLE) === 0 ? undefined : this.functions.get((address >>> 8) & 0xffff);
  }

  private offset(byte: number): number {
    return (this.addresses[0]! & 0xfc) + byte;
  }
}
