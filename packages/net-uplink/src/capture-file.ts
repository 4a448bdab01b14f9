import { closeSync, openSync, writeSync } from 'node:fs';

/** Bytes that are gathered before they are written. */
const GATHERED = 0x1_0000;

/**
 * A capture file that grows by whole records, so that it can be read at any time, and after the process was killed. What
 * cannot be written is lost, and so is all that follows.
 */
export class CaptureFile {
  /** Why nothing is written any more. */
  problem: string | undefined;
  private readonly fd: number;
  private buffer = Buffer.allocUnsafe(2 * GATHERED);
  /** Bytes in the buffer, and those of whole records among them. */
  private bytes = 0;
  private whole = 0;
  private isOpen = true;

  /** @throws an error of Node's, with its `code`, when there can be no such file */
  constructor(path: string) {
    this.fd = openSync(path, 'w');
  }

  /** A part of a record. */
  write(part: Uint8Array): void {
    if (this.problem !== undefined || !this.isOpen) return;
    const end = this.bytes + part.length;
    if (end > this.buffer.length) {
      const larger = Buffer.allocUnsafe(2 * end);
      this.buffer.copy(larger, 0, 0, this.bytes);
      this.buffer = larger;
    }
    this.buffer.set(part, this.bytes);
    this.bytes = end;
  }

  /** A record is complete. */
  endRecord(): void {
    this.whole = this.bytes;
    if (this.whole >= GATHERED) this.flush();
  }

  /** Write the records that are complete. */
  flush(): void {
    const { fd, buffer, whole } = this;
    if (!this.isOpen || whole === 0 || this.problem !== undefined) return;
    try {
      for (let done = 0; done < whole; ) done += writeSync(fd, buffer, done, whole - done);
    } catch (error) {
      this.problem = (error as NodeJS.ErrnoException).code ?? String(error);
    }
    buffer.copyWithin(0, whole, this.bytes);
    this.bytes -= whole;
    this.whole = 0;
  }

  close(): void {
    if (!this.isOpen) return;
    this.flush();
    this.isOpen = false;
    closeSync(this.fd);
  }
}
