import type { Capability } from '../capability.js';
import { pciExpress } from '../express-capability.js';
import { msix } from '../msix-capability.js';
import { PciFunction, type PciFunctionOptions } from '../pci-function.js';
import { powerManagement } from '../power-capability.js';

/** A function with registers in BAR 0 (64-bit), MSI-X in BAR 2, ports in BAR 3, and a record of what it did. */
export interface TestFunction {
  readonly pci: PciFunction;
  /** Bytes behind BAR 0 at 0x100 to 0x1ff; the rest of its 16 KiB is empty. */
  readonly registers: Uint8Array;
  /** Accesses that arrived there and in BAR 3, as `r4@0` or `w2@6=ab`. */
  readonly accesses: string[];
  /** Messages as `low/high=data`, in hex. */
  readonly messages: string[];
  /** Everything else that the function did to its surroundings. */
  readonly events: string[];
  /** Called within each access to a region. */
  onAccess: () => void;
}

export const VECTORS = 4;
/** Where the test function's MSI-X table and pending bits lie in BAR 2. */
export const PBA = 0x800;

export const COMMAND = 4;
export const MEMORY_AND_MASTER = 0x6;

const hex = (value: number): string => value.toString(16);

export function testFunction(
  change: Partial<PciFunctionOptions> & { readonly noSoftReset?: boolean; readonly extra?: readonly Capability[] } = {},
): TestFunction {
  const { noSoftReset = false, extra = [], ...options } = change;
  const accesses: string[] = [];
  const messages: string[] = [];
  const events: string[] = [];
  const registers = new Uint8Array(0x100);
  const region = (bytes: Uint8Array, offset: number) => ({
    offset,
    size: bytes.length,
    read: (at: number, size: number): number => {
      accesses.push(`r${size}@${hex(at)}`);
      test.onAccess();
      return bytes.slice(at, at + size).reduceRight((sum, byte) => sum * 256 + byte, 0);
    },
    write: (at: number, size: number, value: number): void => {
      accesses.push(`w${size}@${hex(at)}=${hex(value)}`);
      test.onAccess();
      for (let i = 0; i < size; i++) bytes[at + i] = value >>> (i * 8);
    },
  });
  const pci = new PciFunction(
    {
      vendorId: 0x1af4,
      deviceId: 0x1041,
      subsystemVendorId: 0x1af4,
      subsystemId: 0x1100,
      revisionId: 1,
      classCode: 0x02_0000,
      interruptPin: 1,
      bars: [
        { index: 0, space: 'memory64', size: 0x4000, prefetchable: true, regions: [region(registers, 0x100)] },
        { index: 2, space: 'memory32', size: 0x1000, regions: [] },
        { index: 3, space: 'io', size: 0x40, regions: [region(new Uint8Array(0x40), 0)] },
      ],
      capabilities: [
        powerManagement(noSoftReset),
        msix({ vectors: VECTORS, table: { bar: 2, offset: 0 }, pba: { bar: 2, offset: PBA } }),
        pciExpress(),
        ...extra,
      ],
      ...options,
    },
    {
      sendMessage: (low, high, data) => messages.push(`${hex(low)}/${hex(high)}=${hex(data)}`),
      setIntx: (asserted) => events.push(asserted ? 'intx on' : 'intx off'),
      barMoved: (bar, address) => events.push(`bar ${bar} ${address < 0 ? 'off' : hex(address)}`),
    },
    {
      reset: (kind) => events.push(`reset ${kind}`),
      masterChanged: (allowed) => events.push(`master ${allowed ? 'on' : 'off'}`),
      removed: () => events.push('removed'),
    },
  );
  const test: TestFunction = { pci, registers, accesses, messages, events, onAccess: () => {} };
  return test;
}

/** Power on as firmware does: BARs at fixed addresses, all decoding and bus mastering on. The events are dropped. */
export function started(change: Parameters<typeof testFunction>[0] = {}): TestFunction {
  const test = testFunction(change);
  test.pci.configWrite(0x10, 4, 0xfe00_0000);
  test.pci.configWrite(0x14, 4, 0x10);
  test.pci.configWrite(0x18, 4, 0xfd00_0000);
  test.pci.configWrite(0x1c, 4, 0xc040);
  test.pci.configWrite(COMMAND, 2, MEMORY_AND_MASTER | 1);
  test.events.length = 0;
  return test;
}
