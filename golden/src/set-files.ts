import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hex, type MemoryPiece } from '@ringwire/ring-oracle';
import { readStrictJson } from '@ringwire/virtio-spec/json';
import type { z } from 'zod';
import { PagesIndex } from './set-schema.js';

/** What is wrong with a set's files; the message names file and place. */
export class DamagedSet extends Error {
  override readonly name = 'DamagedSet';
}

/** One page of pages.bin: a copy. */
export interface SavedPage extends MemoryPiece {
  /** Where it lies in pages.bin. */
  readonly offset: number;
}

export interface LoadedPages {
  /** Bytes of a page. */
  readonly size: number;
  /** All of pages.bin. */
  readonly bytes: Uint8Array;
  readonly pages: readonly SavedPage[];
}

/** @throws DamagedSet */
export function loadPages(folder: string): LoadedPages {
  const index = checked('pages.json', PagesIndex, parseJson(folder, 'pages.json'));
  const bytes = readBytes(folder, 'pages.bin');
  const size = index.page_size;
  const pages: SavedPage[] = [];
  let end = 0n;
  for (const [i, { gpa, offset }] of index.pages.entries()) {
    const where = `pages.json: pages[${i}], gpa ${hex(gpa)}`;
    if (gpa < end) throw new DamagedSet(`${where}: want pages in ascending order without overlap`);
    if (offset + size > bytes.length) {
      throw new DamagedSet(
        `${where}: want bytes ${offset} to ${offset + size - 1} of pages.bin, which has ${bytes.length}`,
      );
    }
    pages.push({ address: gpa, bytes: bytes.slice(offset, offset + size), offset });
    end = gpa + BigInt(size);
  }
  return { size, bytes, pages };
}

/** @throws DamagedSet */
export function readBytes(folder: string, file: string): Uint8Array {
  try {
    return readFileSync(join(folder, file));
  } catch (error) {
    throw new DamagedSet(`${file}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

/** @throws DamagedSet */
export function parseJson(folder: string, file: string): unknown {
  const text = new TextDecoder().decode(readBytes(folder, file));
  const outcome = readStrictJson(text);
  if ('problem' in outcome) throw new DamagedSet(`${file}: no valid JSON: ${outcome.problem}`);
  return outcome.value;
}

/** @throws DamagedSet */
export function checked<T>(file: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 3).map(({ path, message }) => `${pathName(path)}: ${message}`);
  throw new DamagedSet(`${file}: ${issues.join('; ')}`);
}

const pathName = (path: readonly PropertyKey[]): string =>
  path.length === 0
    ? 'the whole'
    : path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`)).join('');
