import { expect, test } from 'vitest';
import { VIRTIO_ID } from './device-ids.js';

test('virtio 1.4 §5: ids 1 to 49, without 14, 15 and 37, each once and in order', () => {
  const ids = Object.values(VIRTIO_ID);
  const want = Array.from({ length: 49 }, (_, i) => i + 1).filter((id) => ![14, 15, 37].includes(id));
  expect(ids).toEqual(want);
});

test('virtio 1.4 §5: the ids that a wrong row above would shift', () => {
  const { NET, BLOCK, RNG, MEMORY_BALLOON, GPU, IOMMU, FS, CAN, PARAM_SERV, USB } = VIRTIO_ID;
  expect([NET, BLOCK, RNG, MEMORY_BALLOON, GPU, IOMMU, FS, CAN, PARAM_SERV, USB]).toEqual([
    1, 2, 4, 13, 16, 23, 26, 36, 38, 49,
  ]);
  expect(VIRTIO_ID['9P']).toBe(9);
});
