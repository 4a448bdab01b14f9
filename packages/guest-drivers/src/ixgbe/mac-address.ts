import { VirtioError } from '@ringwire/virtio-spec';

export const MAC_BYTES = 6;

/** Whether a station may have it: not a group's, and not all zeros. */
export const isStation = (mac: Uint8Array): boolean =>
  mac.length === MAC_BYTES && (mac[0]! & 1) === 0 && mac.some((byte) => byte !== 0);

/** Whether two addresses are the same. */
export const sameMac = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);

/** An address of the two words that registers and messages have it in: the first byte is the lowest. */
export function macOfWords(low: number, high: number): Uint8Array<ArrayBuffer> {
  const mac = new Uint8Array(MAC_BYTES);
  const view = new DataView(mac.buffer);
  view.setUint32(0, low, true);
  view.setUint16(4, high & 0xffff, true);
  return mac;
}

/** @see macOfWords */
export function wordsOfMac(mac: Uint8Array): readonly [number, number] {
  const view = new DataView(mac.buffer, mac.byteOffset, MAC_BYTES);
  return [view.getUint32(0, true), view.getUint16(4, true)];
}

/** A random address of those that anybody may give, for a station. @param random 0 ≤ x < 1 */
export function localMac(random: () => number): Uint8Array<ArrayBuffer> {
  const mac = Uint8Array.from({ length: MAC_BYTES }, () => Math.floor(random() * 256));
  mac[0] = (mac[0]! & 0xfc) | 2;
  return mac;
}

/** @throws VirtioError for what no station may have */
export function needStation(mac: Uint8Array): void {
  if (mac.length !== MAC_BYTES) throw new VirtioError('mac', mac.length, `${MAC_BYTES} bytes`, 'IEEE 802 §8.2');
  if (!isStation(mac)) throw new VirtioError('mac', showMac(mac), 'an address of one station', 'IEEE 802 §8.2');
}

/** As people write it. */
export const showMac = (mac: Uint8Array): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');

/** 12 bits of a group's address, by which the card looks it up. @param type MCSTCTRL.MO, 0 to 3 */
export function groupHash(mac: Uint8Array, type: number): number {
  const bits = mac[4]! | (mac[5]! << 8);
  const shift = [4, 3, 2, 0][type & 3]!;
  return (bits >>> shift) & 0xfff;
}
