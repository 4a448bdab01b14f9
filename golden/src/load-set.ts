import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MemoryPiece, type MemoryRange, SavedMemory } from '@ringwire/ring-oracle';
import type { z } from 'zod';
import { AnySet, OTHER_KINDS, PagesIndex, type Queue, RingSetExpectation } from './set-schema.js';

/** A ring set, read and validated. `pieces` are private copies: steps write into them. */
export interface RingSet {
  readonly layout: 'split' | 'packed';
  readonly expected: RingSetExpectation;
  /** With ring addresses as guest physical ones. */
  readonly queues: readonly Queue[];
  readonly pieces: readonly MemoryPiece[];
  /** All RAM there is, when the set says so. */
  readonly ram: readonly MemoryRange[] | undefined;
}

export type LoadedSet = { readonly ring: RingSet } | { readonly otherKind: string };

/** What is wrong with a set's files; the message names file and place. */
export class DamagedSet extends Error {
  override readonly name = 'DamagedSet';
}

/** @throws DamagedSet */
export function loadSet(folder: string): LoadedSet {
  const json = parseJson(folder, 'expected.json');
  const { kind } = checked('expected.json', AnySet, json);
  if (OTHER_KINDS.includes(kind)) return { otherKind: kind };
  const expected = checked('expected.json', RingSetExpectation, json);
  const layout = kind.endsWith('packed') ? 'packed' : 'split';
  const { pieces, ram } = loadPages(folder, expected);
  for (const [i, queue] of expected.queues.entries()) checkQueue(layout, queue, `expected.json: queues[${i}]`);
  const queues = expected.queues.map((queue) => guestPhysical(queue, expected));
  return { ring: { layout, expected, queues, pieces, ram } };
}

export const memoryOf = ({ pieces, ram }: RingSet): SavedMemory => new SavedMemory(pieces, ram);

function loadPages(folder: string, expected: RingSetExpectation): Pick<RingSet, 'pieces' | 'ram'> {
  const index = checked('pages.json', PagesIndex, parseJson(folder, 'pages.json'));
  const bytes = readBytes(folder, 'pages.bin');
  const size = index.page_size;
  const pieces: MemoryPiece[] = [];
  let end = 0n;
  for (const [i, { gpa, offset }] of index.pages.entries()) {
    const where = `pages.json: pages[${i}], gpa 0x${gpa.toString(16)}`;
    if (gpa < end) throw new DamagedSet(`${where}: want pages in ascending order without overlap`);
    if (offset + size > bytes.length) {
      throw new DamagedSet(
        `${where}: want bytes ${offset} to ${offset + size - 1} of pages.bin, which has ${bytes.length}`,
      );
    }
    pieces.push({ address: gpa, bytes: bytes.slice(offset, offset + size) });
    end = gpa + BigInt(size);
  }
  return { pieces, ram: ramOf(expected) };
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

function readBytes(folder: string, file: string): Uint8Array {
  try {
    return readFileSync(join(folder, file));
  } catch (error) {
    throw new DamagedSet(`${file}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

function parseJson(folder: string, file: string): unknown {
  const text = new TextDecoder().decode(readBytes(folder, file));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DamagedSet(`${file}: no valid JSON: ${error instanceof Error ? error.message : error}`);
  }
}

function checked<T>(file: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 3).map(({ path, message }) => `${pathName(path)}: ${message}`);
  throw new DamagedSet(`${file}: ${issues.join('; ')}`);
}

const pathName = (path: readonly PropertyKey[]): string =>
  path.length === 0
    ? 'the whole'
    : path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`)).join('');
