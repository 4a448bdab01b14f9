import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { UnusableInput } from './terminal.js';

const FLUSH_BYTES = 0x1_0000;

/** A file that is written piece by piece, many small ones at a time. */
export class OutputFile {
  private readonly path: string;
  private readonly handle: number;
  private pieces: Uint8Array[] = [];
  private bytes = 0;

  /** @throws UnusableInput when there can be no such file */
  constructor(path: string) {
    this.path = path;
    this.handle = written(path, () => openSync(path, 'w'));
  }

  /** @param bytes copied */
  write(bytes: Uint8Array): void {
    this.pieces.push(bytes.slice());
    this.bytes += bytes.length;
    if (this.bytes >= FLUSH_BYTES) this.flush();
  }

  close(): void {
    this.flush();
    closeSync(this.handle);
  }

  private flush(): void {
    const all = Buffer.concat(this.pieces);
    this.pieces = [];
    this.bytes = 0;
    for (let done = 0; done < all.length; ) done += written(this.path, () => writeSync(this.handle, all, done));
  }
}

/** @throws UnusableInput when there can be no such folder */
export function makeFolder(path: string): void {
  written(path, () => mkdirSync(path, { recursive: true }));
}

function written<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new UnusableInput(`${path} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}
