import { describe, expect, test } from 'vitest';
import { station } from './testing/card-stage.js';
import { RateCard, type RateCardOptions, type RateGuest } from './testing/rate-card.js';
import { jain } from './testing/senders.js';

const OUTSIDE = station(999);
const MS = 1000;
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const send = (guest: RateGuest, bytes: number | 'TSO', to = OUTSIDE): void => {
  guest.load = { to, bytes };
};
const cardOf = (
  ring: RateCardOptions['ring'],
  virtualFunctions: number,
  options: Partial<RateCardOptions> = {},
): RateCard => new RateCard({ ring, virtualFunctions, ...options });

describe.each(['split', 'packed'] as const)(
  '%s rings: devices and drivers behind the arbiter, in virtual time',
  (ring) => {
    test.each([60, 508, 1514, 'TSO'] as const)(
      'F101: functions with equal backlog of frames of %s bytes share 10 Gbit/s equally',
      (bytes) => {
        const card = cardOf(ring, 3);
        for (const guest of card.guests) send(guest, bytes);
        card.measure(MS);
        const shares = card.measure(bytes === 'TSO' ? 20 * MS : 3 * MS);
        expect(jain(shares)).toBeGreaterThan(0.99);
        expect(sum(shares) / (bytes === 'TSO' ? 25_000_000 : 3_750_000)).toBeGreaterThan(0.99);
      },
    );

    test('F101: a function with tiny frames, one with large ones and one with frames to be segmented get as many bytes', () => {
      const card = cardOf(ring, 2);
      send(card.guests[0]!, 60);
      send(card.guests[1]!, 1514);
      send(card.guests[2]!, 'TSO');
      card.measure(MS);
      expect(jain(card.measure(10 * MS))).toBeGreaterThan(0.99);
    });

    test('minTxRate weighs: 1000 to 3000 to 6000, within 1 %', () => {
      const card = cardOf(ring, 3);
      const functions = card.guests.slice(1);
      [1000, 3000, 6000].forEach((minTxRate, index) => {
        card.card.virtual[index]!.configure({ minTxRate });
        send(functions[index]!, 1514);
      });
      card.measure(MS);
      const shares = card.measure(10 * MS).slice(1);
      [0.1, 0.3, 0.6].forEach((part, index) => {
        expect(Math.abs(shares[index]! / sum(shares) / part - 1)).toBeLessThan(0.01);
      });
    });

    test('F45: 1000 Mbit/s are 125,000,000 bytes in 1 s, within 0.01 %, beside a function without a limit', () => {
      const card = cardOf(ring, 1);
      card.card.virtual[0]!.configure({ maxTxRate: 1000 });
      send(card.guests[1]!, 1514);
      const [, capped] = card.measure(1000 * MS);
      expect(Math.abs(capped! / 125_000_000 - 1)).toBeLessThan(0.0001);
      send(card.guests[0]!, 1514);
      const [other, still] = card.measure(10 * MS);
      expect(Math.abs(still! / 1_250_000 - 1)).toBeLessThan(0.01);
      expect((other! + still!) / 12_500_000).toBeGreaterThan(0.99);
    });

    test('SR-23: a driver that notifies as fast as it can of empty queues leaves the others their share', () => {
      const card = cardOf(ring, 2);
      send(card.guests[0]!, 1514);
      send(card.guests[1]!, 1514);
      const alone = card.measure(5 * MS);
      const { step } = card;
      card.step = (budget) => {
        for (let kick = 0; kick < 8; kick++) card.guests[2]!.net.notified(1);
        return step.call(card, budget);
      };
      const [first, second, kicks] = card.measure(5 * MS);
      expect([jain([first!, second!]) > 0.99, kicks]).toEqual([true, 0]);
      expect((first! + second!) / sum(alone)).toBeGreaterThan(0.99);
      expect(card.arbiter.countersOf(3)).toMatchObject({ frames: 0, turnedAway: 0 });
    });

    test('SR-21: a function that floods broadcast and unknown addresses is held to its limit; its siblings keep their share', () => {
      const card = cardOf(ring, 3, { card: { learning: true }, arbiter: { hostRate: 32_000 } });
      card.arbiter.setStorm(2, { broadcast: 100_000, unknown: 100_000 });
      send(card.guests[0]!, 1514, station(1000));
      send(card.guests[1]!, 60, new Uint8Array(6).fill(0xff));
      send(card.guests[2]!, 1514, station(1001));
      card.measure(MS);
      const [first, flood, third] = card.measure(5 * MS);
      // 500 frames in 5 ms.
      expect(Math.abs(flood! / 84 - 500)).toBeLessThanOrEqual(1);
      expect(jain([first!, third!])).toBeGreaterThan(0.99);
      expect((first! + third!) / 6_250_000).toBeGreaterThan(0.98);
    });

    test('a function that is reset while it waits holds nobody up', () => {
      const card = cardOf(ring, 2);
      for (const guest of card.guests) send(guest, 1514);
      card.measure(MS);
      card.guests[1]!.driver.close();
      card.guests[1]!.turn = () => {};
      card.measure(MS);
      const [first, gone, third] = card.measure(5 * MS);
      expect([gone, jain([first!, third!]) > 0.99]).toEqual([0, true]);
      expect((first! + third!) / 6_250_000).toBeGreaterThan(0.99);
    });
  },
);

test('one function is let through as many frames beside 63 idle ones, and nobody asks for those', () => {
  const busy = (virtualFunctions: number): RateCard => {
    const card = cardOf('packed', virtualFunctions);
    send(card.guests[1]!, 60);
    card.measure(2 * MS);
    return card;
  };
  const [alone, among] = [busy(1), busy(64)];
  expect(among.arbiter.countersOf(2).frames).toBeGreaterThan(0);
  expect(among.arbiter.countersOf(2).frames).toBe(alone.arbiter.countersOf(2).frames);
  for (let port = 3; port <= 65; port++)
    expect(among.arbiter.countersOf(port)).toEqual({ frames: 0, wireBytes: 0, turnedAway: 0, stormDrops: 0 });
});
