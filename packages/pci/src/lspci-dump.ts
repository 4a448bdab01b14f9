/** Where a function is, for {@link formatLspciDump}. */
export interface PciAddress {
  readonly domain?: number;
  readonly bus: number;
  readonly device: number;
  readonly function: number;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** The address of a routing id, bus << 8 | device << 3 | function, of domain 0. */
export const addressOf = (routingId: number): PciAddress => ({
  bus: routingId >>> 8,
  device: (routingId >>> 3) & 0x1f,
  function: routingId & 7,
});

/** `0000:00:04.0` */
export const pciAddressText = ({ domain = 0, bus, device, function: fn }: PciAddress): string =>
  `${hex(domain, 4)}:${hex(bus, 2)}:${hex(device, 2)}.${fn}`;

/**
 * Configuration space as `lspci -xxxx` prints it, for `lspci -F FILE -vvv` to decode.
 * @param bytes 64, 256 or 4096 of them
 * @param title what stands behind the address, for people; `lspci` takes no notice of it
 */
export function formatLspciDump(address: PciAddress, bytes: Uint8Array, title = 'PCI function'): string {
  const lines = [`${pciAddressText(address)} ${title}`];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = Array.from(bytes.subarray(at, at + 16), (byte) => hex(byte, 2)).join(' ');
    lines.push(`${hex(at, 2)}: ${row}`);
  }
  return `${lines.join('\n')}\n\n`;
}
