import { type VtdSetFiles, vtdMemory, vtdRegisterValues, vtdUnitOf } from '@ringwire/iommu/testing';
import { hex, type MemoryPiece, type MemoryRange, SavedMemory } from '@ringwire/ring-oracle';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { type DeviceMemory, directMemory, IommuMemory } from './device-memory.js';
import { loadPciSet, type PciFunctionSet } from './load-pci.js';
import { checked, DamagedSet, loadPages, parseJson, type SavedPage } from './set-files.js';
import { AnySet, PCI_KIND, type Queue, RingSetExpectation, TABLE_KINDS } from './set-schema.js';
import { VtdSetExpectation } from './vtd-schema.js';

/** A ring set, read and validated. `pieces` are private copies: steps write into them. */
export interface RingSet {
  readonly layout: 'split' | 'packed';
  readonly expected: RingSetExpectation;
  /** With ring addresses as `memory` has them. */
  readonly queues: readonly Queue[];
  /** Saved pages by physical address. */
  readonly pieces: readonly MemoryPiece[];
  /** The same pages, and all RAM there is when the set says so, as the device reaches them. */
  readonly memory: DeviceMemory;
  /** What the device stands behind, if anything. */
  readonly tables: VtdSetFiles | undefined;
}

/** VT-d tables, rings, or rings behind tables; or PCI functions. */
export interface LoadedSet {
  readonly ring?: RingSet;
  readonly tables?: VtdSetFiles;
  readonly functions?: readonly PciFunctionSet[];
}

/** @throws DamagedSet */
export function loadSet(folder: string): LoadedSet {
  const json = parseJson(folder, 'expected.json');
  const { kind } = checked('expected.json', AnySet, json);
  if (kind === PCI_KIND) return { functions: loadPciSet(folder, json) };
  if (!TABLE_KINDS.includes(kind)) {
    const expected = checked('expected.json', RingSetExpectation, json);
    const { pages } = loadPages(folder);
    const memory = directMemory(new SavedMemory(pages, ramOf(expected)));
    return { ring: ringSet(expected, pages, memory, undefined) };
  }
  const expected = checked('expected.json', VtdSetExpectation, json);
  const { size, bytes, pages } = loadPages(folder);
  const index = { page_size: size, pages: pages.map(({ address, offset }) => ({ gpa: hex(address), offset })) };
  const tables = { expected, pages: index, bytes };
  if (kind !== 'vtd') return { tables };
  return { ring: ringBehindTables(checked('expected.json', RingSetExpectation, json), tables, pages), tables };
}

/** The unit's memory and the pieces are the same bytes: what a device's step changes, the unit sees. */
function ringBehindTables(expected: RingSetExpectation, tables: VtdSetFiles, pages: readonly SavedPage[]): RingSet {
  if (expected.source_id === undefined) throw new DamagedSet('expected.json: source_id: want the device of the rings');
  const memory = vtdMemory(tables);
  const unit = vtdUnitOf(tables, memory);
  unit.load(vtdRegisterValues(tables.expected));
  const { u8 } = memory.memory;
  const shared = pages.map(({ address, bytes: { length }, offset }) => ({
    address,
    bytes: u8.subarray(offset, offset + length),
  }));
  const physical = new SavedMemory(shared, ramOf(expected));
  return ringSet(expected, shared, new IommuMemory(unit, expected.source_id, physical), tables);
}

function ringSet(
  expected: RingSetExpectation,
  pieces: readonly MemoryPiece[],
  memory: DeviceMemory,
  tables: VtdSetFiles | undefined,
): RingSet {
  const { kind, features } = expected;
  const packed = kind === 'vtd' ? ((features >> BigInt(VIRTIO_F.RING_PACKED)) & 1n) === 1n : kind.endsWith('packed');
  const layout = packed ? 'packed' : 'split';
  for (const [i, queue] of expected.queues.entries()) checkQueue(layout, queue, `expected.json: queues[${i}]`);
  const queues = expected.queues.map((queue) => guestPhysical(queue, expected));
  return { layout, expected, queues, pieces, memory, tables };
}

const MIB = 0x10_0000n;
const GIB4 = 0x1_0000_0000n;

/** vhost-user names its regions; QEMU's q35 machine puts RAM that reaches its PCI hole in two places. */
function ramOf({ memory_table: table, capture }: RingSetExpectation): MemoryRange[] | undefined {
  if (table !== undefined) return table.map(({ guest_phys_addr: address, size }) => ({ address, size }));
  if (capture?.machine !== 'q35' || capture.memory_mib === undefined) return undefined;
  const size = BigInt(capture.memory_mib) * MIB;
  const low = size < 2816n * MIB ? size : 2048n * MIB;
  return [
    { address: 0n, size: low },
    { address: GIB4, size: size - low },
  ];
}

/** What the schema cannot say of a queue, because it depends on the layout. */
function checkQueue(layout: RingSet['layout'], queue: Queue, where: string): void {
  if (layout === 'split') return;
  if (queue.last_avail_wrap_counter === undefined) throw new DamagedSet(`${where}.last_avail_wrap_counter is missing`);
  if (queue.last_avail_idx >= queue.num) {
    throw new DamagedSet(`${where}.last_avail_idx is ${queue.last_avail_idx}, want a slot below num ${queue.num}`);
  }
  if (queue.used_idx !== undefined && queue.used_idx >= queue.num) {
    throw new DamagedSet(`${where}.used_idx is ${queue.used_idx}, want a slot below num ${queue.num}`);
  }
}

/** vhost-user gives ring addresses in the front-end's own address space; the memory table says where that is. */
function guestPhysical(queue: Queue, { ring_addresses_are: kind, memory_table: table }: RingSetExpectation): Queue {
  if (table === undefined || kind?.startsWith('addresses of the driver process') !== true) return queue;
  const translate = (address: bigint): bigint => {
    const region = table.find(({ userspace_addr: at, size }) => at <= address && address < at + size);
    return region === undefined ? address : address - region.userspace_addr + region.guest_phys_addr;
  };
  return { ...queue, desc: translate(queue.desc), driver: translate(queue.driver), device: translate(queue.device) };
}
