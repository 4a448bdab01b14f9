import { describe, expect, test } from 'vitest';
import { jain } from './claim.js';
import { CLAIMS, formatClaim, lineRates, measureClaim, selectClaims } from './index.js';

describe('what is said of cards with SR-IOV', () => {
  test.each(CLAIMS.filter(({ isWallTime }) => !isWallTime))('F99 F100 F101 F102 F45, $name: $claim', async (claim) => {
    const { measured, holds } = await measureClaim(claim, true);
    expect(holds, measured).toBe(true);
  });

  test('claims by the clock are measured, and say so: whether they hold is the machine’s affair', async () => {
    for (const claim of selectClaims(/idle\/cost/)) {
      const figure = await measureClaim(claim, true);
      expect(figure.isWallTime).toBe(true);
      expect(figure.measured).toMatch(/^[\d.]+ ns .* alone, [\d.]+ beside 62: -?[\d.]+ %/);
    }
  });

  test('memory is that of a process of its own, in which every frame arrives', async () => {
    const [claim] = selectClaims(/memory/);
    const { measured } = await measureClaim(claim!, true);
    expect(measured).toMatch(/^\d+ MB; \d+ with the code of Node.*; 204800 of 204800 frames arrived$/);
  });

  test('F99: sizes from 64 B to 64 KiB are looked at, and no function sends more than the wire carries', () => {
    const rates = lineRates('virtio', { virtualMicroseconds: 100 });
    expect(rates.map(({ size }) => size)).toEqual([
      '64 B',
      '128 B',
      '256 B',
      '512 B',
      '1 KiB',
      '1518 B',
      '4 KiB',
      '16 KiB',
      '64 KiB',
    ]);
    for (const { virtual } of rates) expect(virtual).toBeLessThan(1.2);
  });

  test('F101: Jain’s index is 1 when all have as much, and 1 / n when one has it all', () => {
    expect([jain([5, 5, 5, 5]), jain([7, 0, 0, 0])]).toEqual([1, 0.25]);
  });

  test('a claim that does not hold says so', () => {
    const figure = {
      name: 'claims/x',
      claim: 'the moon is near',
      measured: '384400 km',
      holds: false,
      isWallTime: false,
    };
    expect(formatClaim(figure)).toBe(
      '  FAILS  claims/x                    the moon is near\n                                     384400 km\n',
    );
  });
});
