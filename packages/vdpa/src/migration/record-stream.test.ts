import { expect, test } from 'vitest';
import { RECORD_TYPE } from './record-layout.js';
import { RecordReader, RecordWriter } from './record-stream.js';

/** A stream of three records, and what is in them. */
function stream(): { bytes: Uint8Array; contents: Uint8Array[] } {
  const writer = new RecordWriter();
  const contents = [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.from({ length: 300 }, (_, at) => at & 0xff)];
  const records = contents.map((content) => writer.write(RECORD_TYPE.ZEROS, content));
  return { bytes: Uint8Array.from(records.flatMap((record) => [...record])), contents };
}

// A Buffer of Node's is a Uint8Array whose slice() is no copy, and lies somewhere in memory that others use too.
test.each([1, 3, 16, 17, 1000])(
  'F68: a stream in pieces of %i bytes, as sockets of Node give them, is read and left alone',
  (piece) => {
    const { bytes, contents } = stream();
    const pool = Buffer.alloc(bytes.length + 64, 0xee);
    pool.set(bytes, 40);
    const before = Buffer.from(pool);
    const reader = new RecordReader();
    const got: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += piece) {
      const end = Math.min(bytes.length, at + piece);
      const scratch = Buffer.from(pool.subarray(40 + at, 40 + end));
      for (const { content } of reader.read(scratch)) got.push(Uint8Array.from(content));
      // The caller's memory is the caller's again.
      scratch.fill(0);
    }
    expect(reader.problem).toBeUndefined();
    expect(got).toEqual(contents);
    for (const { content } of new RecordReader().read(pool.subarray(40, 40 + bytes.length)))
      expect(content).toBeDefined();
    expect(pool.equals(before)).toBe(true);
  },
);
