import type { Capability, CapabilityHooks } from './capability.js';
import { PCI_CAP_ID } from './capability-ids.js';
import { RegisterBlock } from './register-block.js';

/** What of a vendor-specific capability software may change, and who hears of it. */
export interface VendorCapabilityOptions {
  /** A mask with 1 for every bit that software may change; none by default. As long as `bytes`. */
  readonly writable?: Uint8Array;
  readonly hooks?: CapabilityHooks;
  readonly at?: number;
}

/** A vendor-specific capability from its bytes. @param bytes the whole structure; id and next are put in by the function */
export function vendorSpecific(bytes: Uint8Array, options: VendorCapabilityOptions = {}): Capability {
  const { writable, hooks, at } = options;
  const registers = new RegisterBlock(bytes.length);
  for (const [i, byte] of bytes.entries()) registers.define(i, 1, byte, { rw: writable?.[i] ?? 0 });
  return {
    id: PCI_CAP_ID.VENDOR_SPECIFIC,
    registers,
    ...(hooks === undefined ? {} : { hooks }),
    ...(at === undefined ? {} : { at }),
  };
}
