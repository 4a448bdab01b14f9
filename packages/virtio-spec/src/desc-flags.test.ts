import { expect, test } from 'vitest';
import { VIRTQ_DESC_F } from './desc-flags.js';

test('virtio 1.4 §2.7.5, §2.8.1: each descriptor flag is its bit of the 16-bit flags', () => {
  expect(VIRTQ_DESC_F).toEqual({ NEXT: 0x0001, WRITE: 0x0002, INDIRECT: 0x0004, AVAIL: 0x0080, USED: 0x8000 });
});
