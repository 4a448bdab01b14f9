import { inspectRing } from '../inspect-ring.js';
import type { RingReport } from '../report.js';
import type { RingInput } from '../ring-input.js';
import type { RuleId } from '../rules.js';
import { SavedMemory } from '../saved-memory.js';

/** Bytes of a hex string; spaces are for the reader. */
function hexBytes(text: string): Uint8Array {
  const digits = text.replaceAll(' ', '');
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16));
}

/** [guest address, hex bytes]. */
export type Write = readonly [number, string];

/** RAM is 0 to 0x8fff and 0xa000 to 0xffff, with a hole between; and 16 GiB above 4 GiB whose bytes nobody saved. */
const RAM = [
  { address: 0n, size: 0x9000n },
  { address: 0xa000n, size: 0x6000n },
  { address: 0x1_0000_0000n, size: 0x4_0000_0000n },
];

export const SPLIT_AT = { desc: 0x1000n, driver: 0x2000n, device: 0x3000n } as const;

export function memoryWith(writes: readonly Write[]): SavedMemory {
  const bytes = new Uint8Array(0x10000);
  for (const [address, text] of writes) bytes.set(hexBytes(text), address);
  return new SavedMemory([{ address: 0n, bytes }], RAM);
}

/** A queue of 4 in the RAM above, with what the test writes. */
export function inspectWrites(
  layout: RingInput['layout'],
  writes: readonly Write[],
  more: Partial<RingInput> = {},
): RingReport {
  return inspectRing({ memory: memoryWith(writes), layout, size: 4, ...SPLIT_AT, ...more });
}

/** One way to break a rule, and its neighbour that is clean. */
export interface ViolationCase {
  readonly rule: RuleId;
  readonly what: string;
  /** Byte address of the finding; null when it is no memory. */
  readonly at: number | null;
  readonly bad: readonly Write[];
  readonly good: readonly Write[];
  readonly input?: Partial<RingInput>;
  /** The bad case alone is set up so. */
  readonly badInput?: Partial<RingInput>;
}

/** Sum of feature bits. */
export const featureBits = (...numbers: number[]): bigint =>
  numbers.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
