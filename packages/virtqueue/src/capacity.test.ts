import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { BufferList } from './buffer-list.js';
import { ChainBurst } from './chain-burst.js';
import { UsedBurst } from './used-burst.js';

test.each([ChainBurst, UsedBurst, BufferList])('a capacity that no queue has is refused: %o', (Kind) => {
  for (const capacity of [0, -1, 1.5, 32769, Number.NaN]) {
    expect(() => new Kind(capacity)).toThrow(VirtioError);
    expect(() => new Kind(capacity)).toThrow(`capacity is ${capacity}, want 1 to 32768`);
  }
  expect(() => new Kind(32768)).not.toThrow();
});
