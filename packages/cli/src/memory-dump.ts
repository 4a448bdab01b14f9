import { basename, dirname, join } from 'node:path';
import { hex, type MemoryPiece, type MemoryRange } from '@ringwire/ring-oracle';
import { z } from 'zod';
import { readBytes, readJson } from './input-file.js';
import { UnusableInput } from './terminal.js';

/** Guest memory from files. */
export interface MemoryDump {
  readonly pieces: readonly MemoryPiece[];
  /** What the pieces cover. */
  readonly ranges: readonly MemoryRange[];
  /** `pages.bin+0x3010`; null where the dump has no such byte. */
  readonly place: (address: bigint) => string | null;
  /** Offset in the file that holds the bytes. */
  readonly offset: (address: bigint) => number | null;
  /** Why a byte is not there, for messages. */
  readonly missing: (address: bigint) => string;
}

const Address = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/i, 'want a hex address such as 0x5452000')
  .transform((text) => BigInt(text));
const Offset = z.number().int().min(0);
const PagesIndex = z.object({
  page_size: Offset.min(1),
  pages: z.array(z.object({ gpa: Address, offset: Offset })),
});

/** `pages.json` with `pages.bin` beside it, or a raw dump of memory from `base` on; `-` is a raw dump from stdin. */
export function readDump(path: string, base: bigint): MemoryDump {
  return path.endsWith('.json') ? readPages(path) : readRaw(path, base);
}

function readRaw(path: string, base: bigint): MemoryDump {
  const bytes = readBytes(path === '-' ? 0 : path, path);
  const end = base + BigInt(bytes.length);
  if (bytes.length === 0) throw new UnusableInput(`${path} is empty`);
  if (end > 1n << 64n) throw new UnusableInput(`${path} from --base ${hex(base)} on would pass the end of 2^64`);
  const name = path === '-' ? 'stdin' : basename(path);
  const missing = (): string =>
    `${name} has ${bytes.length} bytes from ${hex(base)} on, so it ends at offset ${bytes.length}, address ${hex(end)}`;
  return dumpOf(name, [{ address: base, bytes, offset: 0 }], missing);
}

function readPages(path: string): MemoryDump {
  const index = readJson(path, PagesIndex);
  const binPath = join(dirname(path), 'pages.bin');
  const bin = readBytes(binPath, binPath);
  const { page_size: size, pages } = index;
  const pieces = pages.map(({ gpa, offset }, i) => {
    if (offset + size > bin.length) {
      const want = `pages[${i}] (gpa ${hex(gpa)}) wants bytes ${offset} to ${offset + size - 1}`;
      throw new UnusableInput(`${binPath} ends at offset ${bin.length}, and ${want}`);
    }
    if (gpa + BigInt(size) > 1n << 64n)
      throw new UnusableInput(`${path}: pages[${i}] at ${hex(gpa)} passes the end of 2^64`);
    return { address: gpa, bytes: bin.subarray(offset, offset + size), offset };
  });
  pieces.sort((a, b) => (a.address < b.address ? -1 : 1));
  for (const [i, piece] of pieces.entries()) {
    const before = pieces[i - 1];
    if (before !== undefined && piece.address < before.address + BigInt(size)) {
      throw new UnusableInput(`${path}: the pages at ${hex(before.address)} and ${hex(piece.address)} overlap`);
    }
  }
  return dumpOf('pages.bin', pieces, (address) => `${basename(path)} lists no page with ${hex(address)}`);
}

interface FilePiece extends MemoryPiece {
  readonly offset: number;
}

function dumpOf(name: string, pieces: readonly FilePiece[], missing: MemoryDump['missing']): MemoryDump {
  const offset = (address: bigint): number | null => {
    const piece = pieces.find(
      ({ address: start, bytes }) => start <= address && address < start + BigInt(bytes.length),
    );
    return piece === undefined ? null : piece.offset + Number(address - piece.address);
  };
  return {
    pieces,
    ranges: pieces.map(({ address, bytes }) => ({ address, size: BigInt(bytes.length) })),
    offset,
    place: (address) => {
      const at = offset(address);
      return at === null ? null : `${name}+${hex(at)}`;
    },
    missing,
  };
}
