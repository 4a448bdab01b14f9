import { crc32 } from '@ringwire/guest-memory';
import { RECORD, RECORD_TYPE } from './record-layout.js';

const TYPES: readonly number[] = Object.values(RECORD_TYPE);

/** One record of a move. */
export interface MoveRecord {
  readonly type: number;
  /** Good until the reader gets more. */
  readonly content: Uint8Array;
}

/** Writes the records of one direction. */
export class RecordWriter {
  private number = 0;

  /** @param parts of the content, one behind the other */
  write(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const bytes = new Uint8Array(RECORD.SIZE + length);
    const view = new DataView(bytes.buffer);
    view.setUint16(RECORD.type, type, true);
    view.setUint32(RECORD.number, this.number++, true);
    view.setUint32(RECORD.bytes, length, true);
    let at: number = RECORD.SIZE;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    view.setUint32(RECORD.crc, crc32(bytes), true);
    return bytes;
  }
}

/**
 * Takes a foreign stream apart, however it is cut into pieces. Nothing is made whose size the stream chooses beyond one record, and
 * the first mistake ends it.
 */
export class RecordReader {
  /** Why the stream is no stream of records; nothing is read any more then. */
  problem: string | undefined = undefined;
  private waiting: Uint8Array = new Uint8Array(0);
  private number = 0;

  /** More bytes came. @returns the next record for each call of the iterator */
  *read(bytes: Uint8Array): Generator<MoveRecord> {
    if (this.problem !== undefined) return;
    // Plain bytes, whatever the caller has: a Buffer of Node's has a slice() that is no copy.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.waiting = this.waiting.length === 0 ? plain : joined(this.waiting, plain);
    for (;;) {
      const record = this.next();
      if (record === undefined) break;
      yield record;
    }
    // Kept bytes are this reader's own.
    this.waiting = this.waiting.slice();
  }

  /** Bytes of a record that has begun. */
  get pending(): number {
    return this.waiting.length;
  }

  private next(): MoveRecord | undefined {
    const { waiting } = this;
    if (this.problem !== undefined || waiting.length < RECORD.SIZE) return undefined;
    const view = new DataView(waiting.buffer, waiting.byteOffset, waiting.length);
    const type = view.getUint16(RECORD.type, true);
    const bytes = view.getUint32(RECORD.bytes, true);
    this.problem = this.headProblem(type, view, bytes);
    if (this.problem !== undefined || waiting.length < RECORD.SIZE + bytes) return undefined;
    const found = view.getUint32(RECORD.crc, true);
    const whole = waiting.slice(0, RECORD.SIZE + bytes);
    new DataView(whole.buffer).setUint32(RECORD.crc, 0, true);
    const wanted = crc32(whole);
    if (found !== wanted) {
      this.problem = `the checksum of record ${this.number} is 0x${found.toString(16)}, want 0x${wanted.toString(16)}`;
      return undefined;
    }
    this.number++;
    this.waiting = waiting.subarray(RECORD.SIZE + bytes);
    return { type, content: whole.subarray(RECORD.SIZE) };
  }

  private headProblem(type: number, view: DataView, bytes: number): string | undefined {
    if (!TYPES.includes(type)) return `record ${this.number} has type ${type}, want one that is known`;
    if (view.getUint16(RECORD.zero, true) !== 0) return `record ${this.number} has flags, want none`;
    const number = view.getUint32(RECORD.number, true);
    if (number !== this.number) return `record ${number} follows where ${this.number} should`;
    return bytes > RECORD.BYTES_MAX
      ? `record ${number} has ${bytes} bytes, want at most ${RECORD.BYTES_MAX}`
      : undefined;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
