import { expect, test } from 'vitest';
import type { FrameKind } from './case-plan.js';
import { frameSet, meanLength, sumWithoutNumber } from './frame-set.js';
import { BUFFER_PITCH, MOST_BUFFERS } from './guest-layout.js';

const KINDS: readonly FrameKind[] = ['64', '256', '1500', 'imix', 'pcap'];

test.each(KINDS)('frames of %s fill a ring without sharing a buffer, and fit', (kind) => {
  const frames = frameSet(kind, 1024);
  expect(frames.length).toBeGreaterThanOrEqual(1024);
  expect(frames.length).toBeLessThanOrEqual(MOST_BUFFERS);
  for (const { length } of frames) expect(length).toBeLessThanOrEqual(BUFFER_PITCH);
});

test.each(KINDS)('frames of %s are the same in every thread and every run', (kind) => {
  expect(frameSet(kind, 1024)).toEqual(frameSet(kind, 1024));
});

test('imix is 7 of 60, 4 of 590 and 1 of 1514 bytes', () => {
  const lengths = frameSet('imix', 1024).map(({ length }) => length);
  const share = (length: number): number => lengths.filter((each) => each === length).length / lengths.length;
  expect([share(60), share(590), share(1514)]).toEqual([7 / 12, 4 / 12, 1 / 12]);
});

test('pcap is the capture: 1687 frames of 42 to 1514 bytes', () => {
  const frames = frameSet('pcap', 1024);
  const lengths = frames.map(({ length }) => length);
  expect([frames.length, Math.min(...lengths), Math.max(...lengths)]).toEqual([1687, 42, 1514]);
  expect(Math.round(meanLength(frames))).toBe(1032);
});

test('the sum leaves the number out, counts halfwords from the start and pads an odd byte', () => {
  expect(sumWithoutNumber(Uint8Array.of(9, 9, 9, 9, 0x01, 0x02, 0x03))).toBe(0x0201 + 0x03);
  expect(sumWithoutNumber(Uint8Array.of(0, 0, 0, 0, 0xff, 0xff, 0x02, 0x00))).toBe(2);
});
