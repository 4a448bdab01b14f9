import { PCI_CAP_ID } from './capability-ids.js';
import { PCI_EXP, PCI_EXP_ARI_FORWARDING, PCI_EXP_TYPE } from './capability-layouts.js';
import { PCI_BRIDGE_CONTROL, PCI_COMMAND, PCI_HEADER, PCI_TYPE1 } from './config-header.js';
import { accessControlServices, advancedErrorReporting, PORT_SERVICES } from './extended-capabilities.js';
import { type Bridge, PciBus } from './pci-bus.js';
import { PciFunction } from './pci-function.js';
import { portExpress } from './port-capability.js';
import { powerManagement } from './power-capability.js';

/** Which way a port faces (PCIe 5.0 §1.3). */
export type PortKind = 'root-port' | 'upstream-port' | 'downstream-port';

/** What a {@link PciPort} is. */
export interface PortOptions {
  readonly kind: PortKind;
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revisionId?: number;
  /** `PCI_ACS_SERVICES` bits; {@link PORT_SERVICES} unless given, 0 for a port without the capability. */
  readonly services?: number;
  /** True unless given; an upstream port has none. */
  readonly ariForwarding?: boolean;
  /** As of `pciExpress`. */
  readonly linkSpeed?: number;
  readonly linkWidth?: number;
  /** Function 0 of a device that has others. */
  readonly multiFunction?: boolean;
}

const TYPES: Record<PortKind, number> = {
  'root-port': PCI_EXP_TYPE.ROOT_PORT,
  'upstream-port': PCI_EXP_TYPE.UPSTREAM_PORT,
  'downstream-port': PCI_EXP_TYPE.DOWNSTREAM_PORT,
};
const BRIDGE_CLASS = 0x06_0400;
const WORD = 0x1_0000_0000;
const MIB = 0x10_0000;
const IO_STEP = 0x1000;

/** A root port, or a port of a switch: a function with a type 1 header, and the bus behind it (PCIe 5.0 §7.5.1.3). */
export class PciPort implements Bridge {
  readonly kind: PortKind;
  readonly pci: PciFunction;
  readonly secondary: PciBus;
  readonly isLink: boolean;
  private readonly expressAt: number;
  private isHeld = false;

  constructor(options: PortOptions) {
    const { kind, services = PORT_SERVICES, linkSpeed = 1, linkWidth = 1, revisionId = 0 } = options;
    this.kind = kind;
    this.isLink = kind !== 'upstream-port';
    // An upstream port has no say in who reaches whom below it.
    const hasAcs = services !== 0 && this.isLink;
    const ariForwarding = this.isLink && options.ariForwarding !== false;
    this.secondary = new PciBus(this);
    this.pci = new PciFunction(
      {
        vendorId: options.vendorId,
        deviceId: options.deviceId,
        subsystemVendorId: 0,
        subsystemId: 0,
        revisionId,
        classCode: BRIDGE_CLASS,
        multiFunction: options.multiFunction === true,
        isBridge: true,
        bars: [],
        capabilities: [
          powerManagement(true),
          portExpress({ type: TYPES[kind], linkSpeed, linkWidth, ariForwarding }),
          advancedErrorReporting({ isRoot: kind === 'root-port', hasAcs }),
          ...(hasAcs ? [accessControlServices(services)] : []),
        ],
      },
      { sendMessage: () => {}, setIntx: () => {} },
      { reset: () => this.resetBehind(), configWritten: () => this.settleReset() },
    );
    this.expressAt = this.pci.capabilityAt(PCI_CAP_ID.PCI_EXPRESS);
  }

  get firstBus(): number {
    return this.isHeld ? 0 : this.pci.config.get8(PCI_TYPE1.SECONDARY_BUS);
  }

  get lastBus(): number {
    return this.isHeld ? 0 : this.pci.config.get8(PCI_TYPE1.SUBORDINATE_BUS);
  }

  get forwardsAri(): boolean {
    return (this.pci.config.get16(this.expressAt + PCI_EXP.DEVICE_CONTROL_2) & PCI_EXP_ARI_FORWARDING) !== 0;
  }

  /** Windows are in whole MiB, of I/O in 4 KiB; one whose base is above its limit is closed. */
  forwards(address: number, io: boolean): boolean {
    const { config } = this.pci;
    const command = config.get16(PCI_HEADER.COMMAND);
    if (this.isHeld || (command & (io ? PCI_COMMAND.IO_SPACE_ENABLE : PCI_COMMAND.MEMORY_SPACE_ENABLE)) === 0)
      return false;
    if (io) {
      const base = (config.get8(PCI_TYPE1.IO_BASE) & 0xf0) * 0x100 + config.get16(PCI_TYPE1.IO_BASE_UPPER) * 0x1_0000;
      const limit =
        (config.get8(PCI_TYPE1.IO_LIMIT) & 0xf0) * 0x100 + config.get16(PCI_TYPE1.IO_LIMIT_UPPER) * 0x1_0000;
      return address >= base && address < limit + IO_STEP;
    }
    const memory = (at: number): number => (config.get16(at) & 0xfff0) * 0x1_0000;
    if (address >= memory(PCI_TYPE1.MEMORY_BASE) && address < memory(PCI_TYPE1.MEMORY_LIMIT) + MIB) return true;
    const base = config.get32(PCI_TYPE1.PREFETCHABLE_BASE_UPPER) * WORD + memory(PCI_TYPE1.PREFETCHABLE_MEMORY_BASE);
    const limit = config.get32(PCI_TYPE1.PREFETCHABLE_LIMIT_UPPER) * WORD + memory(PCI_TYPE1.PREFETCHABLE_MEMORY_LIMIT);
    return address >= base && address < limit + MIB;
  }

  private resetBehind(): void {
    this.isHeld = false;
    this.secondary.reset();
  }

  /** Secondary Bus Reset: all behind it is reset when it is set, and out of reach until it is cleared. */
  private settleReset(): void {
    const held = (this.pci.config.get16(PCI_TYPE1.BRIDGE_CONTROL) & PCI_BRIDGE_CONTROL.SECONDARY_BUS_RESET) !== 0;
    const begins = held && !this.isHeld;
    this.isHeld = held;
    if (begins) this.secondary.reset();
  }
}
