import { allOnes } from './register-block.js';

/** Reads and writes of 1 to 4 bytes that lie in one 4-byte register. */
export type ReadPart = (at: number, size: number) => number;
export type WritePart = (at: number, size: number, value: number) => void;

/** An access of 1 to 4 bytes anywhere, as parts that each lie in one register, lowest first. */
export function readParts(at: number, size: number, read: ReadPart): number {
  if (!isSize(size)) return allOnes(4);
  let value = 0;
  for (let done = 0; done < size; ) {
    const part = partSize(at + done, size - done);
    value += (read(at + done, part) % 2 ** (part * 8)) * 2 ** (done * 8);
    done += part;
  }
  return value;
}

export function writeParts(at: number, size: number, value: number, write: WritePart): void {
  if (!isSize(size)) return;
  for (let done = 0; done < size; ) {
    const part = partSize(at + done, size - done);
    write(at + done, part, ((value >>> (done * 8)) >>> 0) % 2 ** (part * 8));
    done += part;
  }
}

/** The same for any number of bytes. */
export function readBytes(at: number, into: Uint8Array, read: ReadPart): void {
  for (let done = 0; done < into.length; ) {
    const size = partSize(at + done, into.length - done);
    const value = read(at + done, size);
    for (let i = 0; i < size; i++) into[done + i] = value >>> (i * 8);
    done += size;
  }
}

export function writeBytes(at: number, bytes: Uint8Array, write: WritePart): void {
  for (let done = 0; done < bytes.length; ) {
    const size = partSize(at + done, bytes.length - done);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[done + i]!;
    write(at + done, size, value);
    done += size;
  }
}

/** Bytes up to the next multiple of 4; 1 where there is none, so that every loop above ends. */
function partSize(at: number, left: number): number {
  const size = 4 - (at % 4);
  return size >= 1 && size <= 4 && Number.isInteger(size) ? Math.min(size, left) : 1;
}

/** Whether an access is of 1 to 4 bytes. */
export const isSize = (size: number): boolean => size === 4 || size === 2 || size === 1 || size === 3;
