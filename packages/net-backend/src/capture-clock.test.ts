import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Timestamp } from './capture-clock.js';

test('a timestamp is exact to the nanosecond, in both forms', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(1_000_000), fc.nat(999_999), fc.nat(999), (start, second, micro, nano) => {
      const time = new Timestamp();
      // Up to 2^20 s a double still holds the nanosecond of a time in µs; it is rounded down, so half of one is added.
      time.set(start, second * 1e6 + micro + (nano + 0.5) / 1000);
      const nanoseconds = micro * 1000 + nano;
      expect([time.seconds, time.nanoseconds]).toEqual([start + second, nanoseconds]);
      const both = (BigInt(time.high) << 32n) | BigInt(time.low);
      expect(both).toBe(BigInt(start + second) * 1_000_000_000n + BigInt(nanoseconds));
    }),
    { numRuns: 1000 },
  );
});
