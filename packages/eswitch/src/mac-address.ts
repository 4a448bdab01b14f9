const MAC_BYTES = 6;
/** In the first byte of an address: it is a group's. */
export const GROUP = 1;

// An address as two numbers, for comparing: its first four bytes and its last two, little-endian as memory's words are.
export const macLow = (mac: Uint8Array, at = 0): number =>
  mac[at]! | (mac[at + 1]! << 8) | (mac[at + 2]! << 16) | (mac[at + 3]! << 24);
export const macHigh = (mac: Uint8Array, at = 0): number => mac[at + 4]! | (mac[at + 5]! << 8);

/** As people write it. */
export function macText(mac: Uint8Array, at = 0): string {
  return Array.from(mac.subarray(at, at + MAC_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function isMac(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === MAC_BYTES;
}

export const isZeroMac = (mac: Uint8Array): boolean => mac.every((byte) => byte === 0);
export const isGroupMac = (mac: Uint8Array): boolean => (mac[0]! & GROUP) !== 0;
export const sameMac = (one: Uint8Array, other: Uint8Array): boolean => one.every((byte, at) => byte === other[at]);
