import { VirtioError } from '@ringwire/virtio-spec';
import { PCI_CAP, PCI_EXT_CAP } from './capability-layouts.js';
import { PCI_CONFIG_SIZE, PCI_HEADER, PCI_STATUS, PCIE_CONFIG_SIZE } from './config-header.js';
import type { PciFunction } from './pci-function.js';
import type { RegisterBlock } from './register-block.js';

const SPEC = 'PCIe 5.0 §7.5';

/** What happens at software's accesses, for a capability that is more than registers. Never throws. */
export interface CapabilityHooks {
  /**
   * Before a read that touches the capability. `bytes` are its own in configuration space, header included, to be
   * brought up to date; the access covers `at` to `at + size - 1` of them, of which some may lie outside.
   */
  beforeRead?(pci: PciFunction, bytes: Uint8Array, at: number, size: number): void;
  /** After a write that touched it; rights of the bits have been applied. */
  afterWrite?(pci: PciFunction, bytes: Uint8Array, at: number, size: number): void;
  /** After a reset put the registers back, before the device is told; and when the function was removed. */
  afterReset?(pci: PciFunction, bytes: Uint8Array): void;
}

/** A capability to be placed into configuration space. Its header is written there and is read-only. */
export interface Capability {
  /** A `PCI_CAP_ID`, or a `PCI_EXT_CAP_ID`. */
  readonly id: number;
  /** Given for extended capabilities, which live from 0x100 on. */
  readonly version?: number;
  /** The whole structure; its first 2 bytes (extended: 4) are left to the header. */
  readonly registers: RegisterBlock;
  /** Where it must lie; by default behind the one before it. */
  readonly at?: number;
  readonly hooks?: CapabilityHooks;
}

/** A capability in its place. */
export interface PlacedCapability {
  readonly capability: Capability;
  readonly at: number;
  readonly size: number;
}

/**
 * Chain capabilities in the order of the list, those below 0x100 from the Capabilities Pointer on, extended ones from
 * 0x100 on (PCIe 5.0 §7.6.3: the first one is there).
 */
export function placeCapabilities(list: readonly Capability[], config: RegisterBlock): PlacedCapability[] {
  const legacy = assign(
    list.filter(({ version }) => version === undefined),
    PCI_HEADER.HEADER_END,
    PCI_CONFIG_SIZE,
  );
  const extended = assign(
    list.filter(({ version }) => version !== undefined),
    PCI_CONFIG_SIZE,
    config.size,
  );
  if (extended.length > 0 && extended[0]!.at !== PCI_CONFIG_SIZE)
    throw new VirtioError('first extended capability', extended[0]!.at, 'offset 0x100', 'PCIe 5.0 §7.6.3');
  for (const [i, { capability, at }] of legacy.entries()) {
    config.place(at, capability.registers, 0);
    config.define(at + PCI_CAP.ID, 1, capability.id);
    config.define(at + PCI_CAP.NEXT, 1, legacy[i + 1]?.at ?? 0);
  }
  for (const [i, { capability, at }] of extended.entries()) {
    const { id, version = 0, registers } = capability;
    const next = extended[i + 1]?.at ?? 0;
    config.place(at, registers, 0);
    config.define(at, 4, id | (version << PCI_EXT_CAP.VERSION_SHIFT) | (next << PCI_EXT_CAP.NEXT_SHIFT));
  }
  config.define(PCI_HEADER.CAPABILITIES_POINTER, 1, legacy[0]?.at ?? 0);
  config.define(PCI_HEADER.STATUS, 2, legacy.length > 0 ? PCI_STATUS.CAPABILITIES_LIST : 0, { rw1c: PCI_STATUS.RW1C });
  return [...legacy, ...extended];
}

/** Places for the capabilities of one chain, each a multiple of 4, all in [start, end). */
function assign(list: readonly Capability[], start: number, end: number): PlacedCapability[] {
  const placed: PlacedCapability[] = [];
  let next = start;
  for (const capability of list) {
    const { size } = capability.registers;
    const at = capability.at ?? next;
    const clash = placed.some((other) => at < other.at + other.size && other.at < at + size);
    if (at % 4 !== 0 || at < start || at + size > end || clash)
      throw new VirtioError(
        `offset of capability 0x${capability.id.toString(16)}`,
        at,
        `a multiple of 4 with ${size} free bytes in 0x${start.toString(16)} to 0x${(end - 1).toString(16)}`,
        SPEC,
      );
    placed.push({ capability, at, size });
    next = Math.ceil((at + size) / 4) * 4;
  }
  return placed;
}

/** Whether a function with these capabilities has the 4 KiB of PCI Express, or 256 bytes. */
export const configSizeOf = (list: readonly Capability[], express: number): number =>
  list.some(({ id, version }) => version === undefined && id === express) ? PCIE_CONFIG_SIZE : PCI_CONFIG_SIZE;
