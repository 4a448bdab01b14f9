import { expect, test } from 'vitest';
import { VirtioError } from './virtio-error.js';

test('the message names the field, its value, what was wanted and the section', () => {
  const error = new VirtioError('queue_size', 300, 'a power of two ≤ 32768', 'virtio 1.4 §2.7');
  expect(error.message).toBe('queue_size is 300, want a power of two ≤ 32768 (virtio 1.4 §2.7)');
  expect(error).toMatchObject({ name: 'VirtioError', field: 'queue_size', value: 300 });
  expect(error).toBeInstanceOf(Error);
});

test('a bigint and a word are printed as they are', () => {
  expect(new VirtioError('queue_desc', 2n ** 63n, 'below 2^53', 'virtio 1.4 §2.7').message).toContain(
    'queue_desc is 9223372036854775808, want below 2^53',
  );
  expect(new VirtioError('ring', 'round', 'split or packed', 'virtio 1.4 §2.6').message).toContain('ring is round,');
});
