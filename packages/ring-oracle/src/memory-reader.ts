/**
 * What the oracle needs to know of guest memory. It has an interface of its own, and not the device's
 * AddressSpace, for three reasons: a dump can lack bytes without the address being wrong, which a device's
 * memory cannot say; a hostile address has all 64 bits, which is why addresses are bigint here; and an oracle
 * that reads through the code under test would share its mistakes.
 */
export interface MemoryReader {
  /** A private copy of `length` bytes, or null when not all of them were saved. `probe` says why. */
  read(address: bigint, length: number): Uint8Array | null;
  /** Whether a whole range is there. `unmapped` goes before `unsaved`: it is wrong whatever the dump lacks. */
  probe(address: bigint, length: bigint): Presence;
}

/** `unsaved`: may be RAM, its bytes are not known. `unmapped`: known to be no RAM. `at` is the first such byte. */
export type Presence = { readonly state: 'saved' } | { readonly state: 'unsaved' | 'unmapped'; readonly at: bigint };

/** The end of the 64-bit address space: an address range that passes it has wrapped. */
export const ADDRESS_END: bigint = 1n << 64n;

/** Addresses in reports and messages: lower-case hex without padding. */
export const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
