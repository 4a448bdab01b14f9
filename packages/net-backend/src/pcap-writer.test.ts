import { expect, test } from 'vitest';
import { DELIVERED } from './net-backend.js';
import { readPcap } from './pcap-reader.js';
import { PcapWriter } from './pcap-writer.js';
import { frameWith } from './testing/index.js';

/** Everything that a writer gave out. */
function collector(): { output: (bytes: Uint8Array) => void; file: () => Uint8Array } {
  const parts: number[] = [];
  return { output: (bytes) => parts.push(...bytes), file: () => Uint8Array.from(parts) };
}

test('draft-ietf-opsawg-pcap §4, §5: header and records by hand', () => {
  const { output, file } = collector();
  const writer = new PcapWriter(output, { clock: () => 1_500_000.25, startSeconds: 0x6500_0000, snapLength: 4 });
  expect(writer.receive(frameWith(Uint8Array.of(1, 2, 3)))).toBe(DELIVERED.ACCEPTED);
  expect(writer.receive(frameWith(Uint8Array.of(1, 2, 3, 4, 5, 6)))).toBe(DELIVERED.ACCEPTED);
  expect(Buffer.from(file()).toString('hex')).toBe(
    [
      '4d3cb2a1 0200 0400 00000000 00000000 04000000 01000000',
      '01000065 fa65cd1d 03000000 03000000 010203',
      '01000065 fa65cd1d 04000000 06000000 01020304',
    ]
      .join('')
      .replaceAll(' ', ''),
  );
  expect(writer.frames).toBe(2);
});

test('what is written is read again, whatever ranges the frame lies in', () => {
  const { output, file } = collector();
  let micros = 0;
  const writer = new PcapWriter(output, { clock: () => micros++ });
  const frame = frameWith(Uint8Array.from({ length: 200 }, (_, index) => index));
  frame.ranges.clear();
  for (const [offset, length] of [
    [10, 20],
    [0, 0],
    [100, 30],
    [5, 9],
  ] as const)
    frame.ranges.push(offset, length);
  Object.assign(frame, { end: 4, skip: 3, length: 50 });
  writer.receive(frame);
  writer.receive(frameWith(new Uint8Array(0)));
  const { frames, linkType, snapLength } = readPcap(file());
  expect({ linkType, snapLength }).toEqual({ linkType: 1, snapLength: 262_144 });
  const wanted = [...range(13, 30), ...range(100, 130), ...range(5, 8)];
  expect(frames).toEqual([
    { bytes: Uint8Array.from(wanted), wireLength: 50, seconds: 0, nanoseconds: 0 },
    { bytes: new Uint8Array(0), wireLength: 0, seconds: 0, nanoseconds: 1000 },
  ]);
});

function range(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, index) => from + index);
}
