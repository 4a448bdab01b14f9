import type { AddressSpace } from '@ringwire/guest-memory';
import type { InvalidationSink } from './translation.js';
import type { VtdCaches } from './vtd-caches.js';
import { type VtdCapabilities, type VtdFeatures, vtdCapabilities, vtdCapabilityRegisters } from './vtd-capabilities.js';
import type { VtdInterrupt } from './vtd-event.js';
import type { DeviceTlbInvalidation, InterruptEntryInvalidation } from './vtd-invalidation.js';
import type { VtdFaultStyle } from './vtd-reasons.js';
import { VTD_REG } from './vtd-registers.js';

const word = (register: { readonly at: number }): number => register.at >>> 2;

/** What a {@link VtdUnit} is made of. */
export interface VtdUnitConfig {
  /** Physical memory: tables and queues lie in it, and nothing else is reachable through it. */
  readonly memory: AddressSpace;
  /** Told of everything that becomes void; a call returns when no cache uses it any more. */
  readonly sink: InvalidationSink;
  /**
   * The `registers.shared` of a unit on another thread: this one is the same unit there, with its capabilities, width and
   * version. What software writes to either works for both, from the burst on that begins when the write has returned; a
   * fault is recorded in the one set of registers. Spaces have to use the same InvalidationBus.
   */
  readonly registers?: Uint32Array;
  /** This thread's number, from the first unit's `newOwner`, if the thread may be ended from outside: see `evict`. */
  readonly owner?: number;
  /** What this unit may remember of its tables; each walk begins at the root table without. */
  readonly caches?: VtdCaches;
  /** What the unit can do, or the very values of CAP and ECAP. */
  readonly capabilities?: VtdFeatures | { readonly cap: bigint; readonly ecap: bigint };
  /** Bits of a physical address, 32 to 52; as many as an input address may have when left out. */
  readonly hostAddressWidth?: number;
  /** VER, major 7:4 and minor 3:0; 0x60. */
  readonly version?: number;
  readonly faultStyle?: VtdFaultStyle;
  /**
   * The unit's own messages: fault event and invalidation completion. Called on the thread whose fault or command it was,
   * also in the middle of a burst, where no command may be given.
   */
  readonly onInterrupt?: VtdInterrupt;
  /** Reaches the TLBs of devices; without it they count as caches of `sink`. */
  readonly deviceTlb?: DeviceTlbInvalidation;
  /** Caches of remapped interrupts, if there are any. */
  readonly onInterruptEntries?: InterruptEntryInvalidation;
}

/** The value of one register in a dump. */
export interface VtdRegisterValue {
  readonly offset: number;
  readonly size: 4 | 8;
  readonly value: bigint;
}

/** Of a unit that is made, as configured; of one on another thread, as its registers say. */
export function capabilitiesOf({ capabilities = {}, registers }: VtdUnitConfig): VtdCapabilities {
  if (registers !== undefined) {
    const quad = (at: number): bigint => (BigInt(registers[at + 1] ?? 0) << 32n) | BigInt(registers[at] ?? 0);
    return vtdCapabilities(quad(word(VTD_REG.CAP)), quad(word(VTD_REG.ECAP)));
  }
  const { cap, ecap } = 'cap' in capabilities ? capabilities : vtdCapabilityRegisters(capabilities);
  return vtdCapabilities(cap, ecap);
}
