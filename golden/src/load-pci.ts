import { type PciDevice, PciSetExpectation } from './pci-schema.js';
import { checked, DamagedSet, readBytes } from './set-files.js';

/** A function of a real machine: its configuration space, and what others say of it. */
export interface PciFunctionSet {
  readonly expected: PciDevice;
  readonly bytes: Uint8Array;
  /** The lines that lspci printed of it. */
  readonly lspci: readonly string[];
}

/** @throws DamagedSet */
export function loadPciSet(folder: string, json: unknown): PciFunctionSet[] {
  const { devices } = checked('expected.json', PciSetExpectation, json);
  const bytes = readBytes(folder, 'config.bin');
  const blocks = new TextDecoder().decode(readBytes(folder, 'lspci.txt')).split('\n\n');
  return devices.map((expected, i) => {
    const { bdf, offset, length } = expected;
    if (offset + length > bytes.length)
      throw new DamagedSet(
        `expected.json: devices[${i}]: want bytes ${offset} to ${offset + length - 1} of config.bin, which has ${bytes.length}`,
      );
    // lspci leaves out domain 0.
    const block = blocks.find((text) => text.startsWith(`${bdf.slice('0000:'.length)} `));
    if (block === undefined) throw new DamagedSet(`lspci.txt: nothing about ${bdf}`);
    return { expected, bytes: bytes.subarray(offset, offset + length), lspci: block.trimEnd().split('\n') };
  });
}
