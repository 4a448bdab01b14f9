import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.js';

function bucketOf(rate: number, burst?: number): TokenBucket {
  const bucket = new TokenBucket(0);
  bucket.set(rate, burst, 0);
  return bucket;
}

test('1000 bytes at 3 Mbit/s take 2666.67 µs: the next may pass with the ns in which the last bit has come', () => {
  const bucket = bucketOf(3, 1000);
  expect(bucket.readyAt(1000, 0)).toBe(0);
  bucket.take(1000);
  expect(bucket.readyAt(1000, 0)).toBe(2_666_667);
  expect(bucket.readyAt(1000, 2_666_666)).toBe(2_666_667);
  expect(bucket.readyAt(1000, 2_666_667)).toBe(2_666_667);
});

test('what came beyond a ns is not lost: 3000 frames of 1000 bytes at 3 Mbit/s take 8 s to the ns', () => {
  const bucket = bucketOf(3, 1000);
  let now = 0;
  for (let frame = 0; frame < 3001; frame++) {
    now = bucket.readyAt(1000, now);
    bucket.take(1000);
  }
  expect(now).toBe(8_000_000_000);
});

test('an idle bucket holds its size and no more', () => {
  const bucket = bucketOf(1000, 5000);
  expect(bucket.readyAt(5000, 1e15)).toBe(1e15);
  bucket.take(5000);
  expect(bucket.readyAt(1, 1e15)).toBe(1e15 + 8);
});

test('SR-27 rate 0: unlimited, with nothing divided by it', () => {
  const bucket = bucketOf(0);
  for (let frame = 0; frame < 100; frame++) {
    expect(bucket.readyAt(65_000, 5)).toBe(5);
    bucket.take(65_000);
  }
  expect(bucket.isLimited).toBe(false);
});

test.each([2 ** 64 - 1, Number.MAX_VALUE, Number.POSITIVE_INFINITY])(
  'SR-27 rate %d: faster than anything, so nothing waits',
  (rate) => {
    const bucket = bucketOf(rate);
    for (let frame = 0; frame < 100; frame++) {
      expect(bucket.readyAt(65_000, 5)).toBe(5);
      bucket.take(65_000);
    }
  },
);

test('SR-27 burst smaller than a frame: it passes when the bucket is full, and what it was over is waited for behind it', () => {
  const bucket = bucketOf(8, 100);
  expect(bucket.readyAt(1500, 0)).toBe(0);
  bucket.take(1500);
  // 1400 bytes of debt and 100 to fill it, a byte per µs.
  expect(bucket.readyAt(1500, 0)).toBe(1_500_000);
  expect(bucket.readyAt(1, 0)).toBe(1_401_000);
});

test('a rate that changes holds from then on; a debt stays', () => {
  const bucket = bucketOf(8, 1000);
  bucket.take(2000);
  bucket.set(80, 1000, 500_000);
  // 500 of 1000 bytes of debt came in half a ms; 10 bytes come per µs now.
  expect(bucket.readyAt(1, 500_000)).toBe(500_000 + 50_100);
  bucket.set(0, undefined, 500_000);
  expect(bucket.readyAt(1, 500_000)).toBe(500_000);
});

test.each([-1, Number.NaN])('a rate of %d is a mistake of the caller', (rate) => {
  expect(() => bucketOf(rate)).toThrow(VirtioError);
});

test.each([0, -1, 0.5])('a bucket of %d bytes is a mistake of the caller', (burst) => {
  expect(() => bucketOf(1, burst)).toThrow(VirtioError);
});
