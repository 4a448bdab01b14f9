import { featureWords } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import type { IndirectTables } from '../driver-indirect.js';
import type { QueueConfig } from '../queue-layout.js';
import type { Arena } from './arena.js';
import { F } from './driver-bench.js';

/** What a random queue is like. */
export interface Kind {
  readonly packed: boolean;
  readonly size: number;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly inOrder: boolean;
  /** Entries of an indirect table. */
  readonly entries: number;
  /** The rings lie above 4 GiB. */
  readonly highRings: boolean;
  /** Capacity of the bursts on both sides. */
  readonly capacity: number;
}

const MOST = 33;

/** Split rings of 1 to 32, packed ones of 1 to 33 descriptors, with every set of features. */
export const anyKind: fc.Arbitrary<Kind> = fc
  .record({
    packed: fc.boolean(),
    size: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: MOST })),
    indirect: fc.boolean(),
    eventIdx: fc.boolean(),
    inOrder: fc.boolean(),
    entries: fc.integer({ min: 1, max: 6 }),
    highRings: fc.boolean(),
    capacity: fc.integer({ min: 1, max: MOST }),
  })
  .map((kind) => {
    const size = kind.packed ? kind.size : 2 ** Math.floor(Math.log2(kind.size));
    return { ...kind, size, entries: Math.min(kind.entries, size) };
  });

/** Where a random queue lies in an arena. */
export function placeQueue(kind: Kind, arena: Arena): { config: QueueConfig; tables: IndirectTables } {
  const bits = [
    ...(kind.packed ? [F.RING_PACKED] : []),
    ...(kind.indirect ? [F.INDIRECT_DESC] : []),
    ...(kind.eventIdx ? [F.EVENT_IDX] : []),
    ...(kind.inOrder ? [F.IN_ORDER] : []),
  ];
  const config = {
    space: arena.guest.space,
    size: kind.size,
    desc: arena.rings,
    driver: arena.rings + 0x400,
    device: arena.rings + 0x600,
    features: featureWords(bits),
  };
  return { config, tables: { address: arena.rings + 0x1000, entries: kind.entries } };
}

/** A queue's parts and tables as ranges of guest memory. */
export function partsOf(kind: Kind, config: QueueConfig, tables: IndirectTables): { gpa: number; length: number }[] {
  const { size, packed } = kind;
  return [
    { gpa: config.desc, length: 16 * size },
    { gpa: config.driver, length: packed ? 4 : 6 + 2 * size },
    { gpa: config.device, length: packed ? 4 : 6 + 8 * size },
    { gpa: tables.address, length: kind.indirect ? 16 * size * kind.entries : 0 },
  ];
}
