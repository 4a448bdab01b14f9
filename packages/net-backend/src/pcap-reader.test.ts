import { describe, expect, test } from 'vitest';
import { PcapError } from './pcap-error.js';
import { readPcap } from './pcap-reader.js';

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function problem(file: Uint8Array): PcapError {
  try {
    readPcap(file);
  } catch (error) {
    if (error instanceof PcapError) return error;
    throw error;
  }
  throw new Error('the file was read');
}

/** Little-endian, microseconds, version 2.4, snaplen 65535, Ethernet. */
const HEADER = 'd4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000';
/** 0x65000000 s, 123,456 µs; 4 bytes of 4. */
const RECORD = '00000065 40e20100 04000000 04000000 deadbeef';

describe('a file is read in', () => {
  const frame = { bytes: hex('deadbeef'), wireLength: 4, seconds: 0x65000000 };

  test('little-endian microseconds', () => {
    expect(readPcap(hex(HEADER + RECORD))).toEqual({
      linkType: 1,
      snapLength: 65535,
      frames: [{ ...frame, nanoseconds: 123_456_000 }],
    });
  });

  test('big-endian microseconds', () => {
    const file = hex(
      'a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001 65000000 0001e240 00000004 00000004 deadbeef',
    );
    expect(readPcap(file)).toEqual({
      linkType: 1,
      snapLength: 65535,
      frames: [{ ...frame, nanoseconds: 123_456_000 }],
    });
  });

  test('little-endian nanoseconds', () => {
    const file = hex(
      '4d3cb2a1 0200 0400 00000000 00000000 ffff0000 01000000 00000065 ffc99a3b 04000000 04000000 deadbeef',
    );
    expect(readPcap(file).frames).toEqual([{ ...frame, nanoseconds: 999_999_999 }]);
  });

  test('big-endian nanoseconds', () => {
    const file = hex(
      'a1b23c4d 0002 0004 00000000 00000000 0000ffff 00000001 65000000 00000001 00000004 00000004 deadbeef',
    );
    expect(readPcap(file).frames).toEqual([{ ...frame, nanoseconds: 1 }]);
  });
});

test('records follow each other without padding, and an empty one is a frame', () => {
  const file = hex(`${HEADER} 01000000 00000000 01000000 01000000 aa 02000000 00000000 00000000 00000000 ${RECORD}`);
  expect(readPcap(file).frames.map(({ bytes, seconds }) => [seconds, bytes])).toEqual([
    [1, hex('aa')],
    [2, hex('')],
    [0x65000000, hex('deadbeef')],
  ]);
});

test('a frame that the capture cut keeps its length on the wire', () => {
  const file = hex(`${HEADER} 00000000 00000000 02000000 ea050000 beef`);
  expect(readPcap(file).frames).toEqual([{ bytes: hex('beef'), wireLength: 1514, seconds: 0, nanoseconds: 0 }]);
});

test('a file without records has no frames', () => {
  expect(readPcap(hex(HEADER)).frames).toEqual([]);
});

test('a snaplen of 0 is no limit, and the link type is without the flags above it', () => {
  const file = hex(`d4c3b2a1 0200 0400 00000000 00000000 00000000 71000014 ${RECORD}`);
  expect(readPcap(file)).toMatchObject({ linkType: 113, snapLength: 0, frames: [{ wireLength: 4 }] });
});

test('a frame longer than snaplen is read: some writers make them', () => {
  const file = hex(`d4c3b2a1 0200 0400 00000000 00000000 02000000 01000000 ${RECORD}`);
  expect(readPcap(file).frames[0]!.bytes).toEqual(hex('deadbeef'));
});

test('frames are views of the file, wherever it lies in its buffer', () => {
  const buffer = new Uint8Array(100);
  const file = hex(HEADER + RECORD);
  buffer.set(file, 7);
  const { frames } = readPcap(buffer.subarray(7, 7 + file.length));
  expect(frames[0]!.bytes.buffer).toBe(buffer.buffer);
  expect(frames[0]!.bytes.byteOffset).toBe(7 + 24 + 16);
});

describe('what is wrong is named with its offset:', () => {
  test.each([
    ['an empty file', '', 'file header', 0],
    ['a cut file header', HEADER.slice(0, 40), 'file header', 0],
    ['pcapng', `0a0d0d0a ${HEADER.slice(8)}`, 'magic', 0],
    ['an unknown magic', `a1b2cd34 ${HEADER.slice(8)}`, 'magic', 0],
    ['version 2.3', 'd4c3b2a1 0200 0300 00000000 00000000 ffff0000 01000000', 'version', 4],
    ['version 4.2 of the other byte order', 'd4c3b2a1 0002 0004 00000000 00000000 ffff0000 01000000', 'version', 4],
    ['a cut record header', `${HEADER}${RECORD} 00000065 40e20100 04000000 040000`, 'packet record', 44],
    ['cut frame data', `${HEADER}${RECORD}${RECORD.slice(0, -2)}`, 'incl_len', 52],
    ['a length of 4 GiB', `${HEADER} 00000065 40e20100 ffffffff ffffffff deadbeef`, 'incl_len', 32],
    ['a second of 1,000,000 µs', `${HEADER} 00000065 40420f00 04000000 04000000 deadbeef`, 'ts_frac', 28],
    ['fewer bytes on the wire than captured', `${HEADER} 00000065 40e20100 04000000 03000000 deadbeef`, 'orig_len', 36],
  ])('%s', (_, text, field, offset) => {
    const error = problem(hex(text));
    expect({ field: error.field, offset: error.offset }).toEqual({ field, offset });
    expect(error.message).toContain(`${field} at offset ${offset} is `);
  });

  test('the message says what was found and what was wanted', () => {
    expect(problem(hex(`0a0d0d0a ${HEADER.slice(8)}`)).message).toBe(
      'magic at offset 0 is 0x0a0d0d0a (pcapng), want 0xa1b2c3d4 or 0xa1b23c4d in either byte order',
    );
  });
});

test('a file cut at any byte is either refused or read up to a record that is whole', () => {
  const file = hex(HEADER + RECORD + RECORD);
  for (let length = 0; length < file.length; length++) {
    const whole = length === 24 ? 0 : length === 44 ? 1 : undefined;
    if (whole === undefined) problem(file.subarray(0, length));
    else expect(readPcap(file.subarray(0, length)).frames).toHaveLength(whole);
  }
});
