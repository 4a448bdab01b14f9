import { DELIVERED } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { jain, type SenderPlan, Senders } from './testing/senders.js';
import { type ArbiterOptions, TransmitArbiter } from './transmit-arbiter.js';
import { FRAME_KIND } from './transmit-gate.js';
import { VirtualClock } from './virtual-clock.js';
import { wireBytes } from './wire/wire-bytes.js';

const { ACCEPTED, DROPPED, FULL } = DELIVERED;
const { UNICAST, BROADCAST, UNKNOWN } = FRAME_KIND;
const NEVER = Number.POSITIVE_INFINITY;

function stageOf(plans: readonly SenderPlan[], options: Partial<ArbiterOptions> = {}) {
  const clock = new VirtualClock();
  const arbiter = new TransmitArbiter({ now: clock.now, ...options });
  return { clock, arbiter, senders: new Senders(arbiter, clock, plans) };
}

/** Of several, as many frames as there are. */
const backlogged = (...bytes: number[]): SenderPlan[] => bytes.map((length, port) => ({ port, bytes: length }));
const total = (shares: readonly number[]): number => shares.reduce((sum, share) => sum + share, 0);

test.each([
  [14, 84],
  [60, 84],
  [1514, 1538],
  [1518, 1542],
])('a frame of %d bytes takes %d byte times: preamble 7, SFD 1, at least 64 with FCS, gap 12', (bytes, wire) => {
  expect(wireBytes(1, bytes)).toBe(wire);
  expect(wireBytes(3, 3 * bytes)).toBe(3 * wire);
});

test('a rate that is raised, or taken away, counts at once for who waits for the one before', () => {
  const { arbiter, clock } = stageOf([], { lineRate: 0 });
  arbiter.setRates(0, 1, 0);
  while (arbiter.admit(0, 1, 1514, true, UNICAST) === ACCEPTED);
  expect(arbiter.deadline(0)).toBeGreaterThan(clock.now());
  arbiter.setRates(0, 0, 0);
  expect(arbiter.deadline(0)).toBe(clock.now());
  expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(ACCEPTED);
  // Nobody else waits: nobody is asked.
  expect(arbiter.deadline(1)).toBe(NEVER);
});

describe('the wire', () => {
  test.each([60, 124, 508, 1514])('10 Gbit/s carry 1,250,000 byte times per ms, of frames of %d bytes', (bytes) => {
    const { senders } = stageOf(backlogged(bytes));
    senders.run(1000);
    senders.take();
    senders.run(2000);
    // The buffer was full before and is, within a frame, behind.
    expect(Math.abs(total(senders.take()) - 1_250_000)).toBeLessThanOrEqual(16_384 / 2 + 1538);
  });

  test('lineRate 0: what comes leaves at once', () => {
    const { arbiter } = stageOf([], { lineRate: 0 });
    for (let i = 0; i < 10_000; i++) expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(ACCEPTED);
    expect(arbiter.deadline(0)).toBe(NEVER);
  });

  test('what does not leave by the wire does not wait for it', () => {
    const { arbiter } = stageOf([]);
    while (arbiter.admit(0, 1, 1514, true, UNICAST) === ACCEPTED);
    expect(arbiter.admit(1, 1, 1514, false, UNICAST)).toBe(ACCEPTED);
  });

  test('who was turned away is to come when half of the buffer was sent', () => {
    const { arbiter, clock } = stageOf([], { wireBuffer: 8000 });
    for (let i = 0; i < 6; i++) expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(ACCEPTED);
    expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(FULL);
    // 9228 bytes wait; 4000 are left 5228 bytes of 0.8 ns later.
    expect(arbiter.deadline(0)).toBe(4.183);
    clock.advanceTo(4.183);
    expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(ACCEPTED);
  });
});

describe('shares', () => {
  test.each([[1514, 1514, 1514, 1514], Array<number>(8).fill(60), [60, 1514, 508, 124], Array<number>(64).fill(1514)])(
    'equal backlog of frames of %d, %d, … bytes: equal shares of the bytes on the wire',
    (...bytes) => {
      const { senders } = stageOf(backlogged(...bytes));
      senders.run(10_000);
      const shares = senders.take();
      expect(jain(shares)).toBeGreaterThan(0.9995);
      expect(total(shares)).toBeGreaterThan(12_500_000);
    },
  );

  test('64 KiB frames to be segmented beside frames of 60 bytes: equal shares', () => {
    const { senders } = stageOf([
      { port: 0, bytes: 46 * 1514, frames: 46 },
      { port: 1, bytes: 60 },
    ]);
    senders.run(100_000);
    expect(jain(senders.take())).toBeGreaterThan(0.9999);
  });

  test('minTxRate weighs: 1000 to 3000 to 6000 are shares of 1 to 3 to 6', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 60, 508));
    arbiter.setRates(0, 0, 1000);
    arbiter.setRates(1, 0, 3000);
    arbiter.setRates(2, 0, 6000);
    senders.run(20_000);
    const shares = senders.take();
    const all = total(shares);
    [0.1, 0.3, 0.6].forEach((part, port) => {
      expect(Math.abs(shares[port]! / all / part - 1)).toBeLessThan(0.01);
    });
  });

  test('ports with nothing kept for them share what nobody reserved, and none of them gets more than who reserved least', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 1514, 1514));
    arbiter.setRates(0, 0, 9000);
    senders.run(20_000);
    expect(senders.take().map((bytes) => Math.round(bytes / 250_000))).toEqual([90, 5, 5]);
    arbiter.setRates(0, 0, 100);
    senders.run(40_000);
    expect(jain(senders.take())).toBeGreaterThan(0.9999);
  });

  test('a port that asks again and again in its turn, as one with many queues does, gets no more', () => {
    const { senders } = stageOf([
      { port: 0, bytes: 1514, asks: 16 },
      { port: 1, bytes: 1514 },
    ]);
    senders.run(10_000);
    expect(jain(senders.take())).toBeGreaterThan(0.9999);
  });

  test('a port that was turned away and is stepped no more holds nobody up', () => {
    const { senders } = stageOf(backlogged(1514, 1514, 1514));
    senders.run(1000);
    senders.senders[1]!.isStepped = false;
    senders.run(1100);
    senders.take();
    senders.run(11_100);
    const [first, gone, third] = senders.take();
    expect([gone, jain([first!, third!]) > 0.9999]).toEqual([0, true]);
    expect(first! + third!).toBeGreaterThan(12_480_000);
  });

  test('a port that was turned away and has nothing more to send holds nobody up', () => {
    const { senders } = stageOf([
      { port: 0, bytes: 1514 },
      { port: 1, bytes: 1514, count: 20 },
    ]);
    senders.run(10_000);
    const [first, second] = senders.take();
    expect(second).toBe(20 * 1538);
    expect(first! + second!).toBeGreaterThan(12_500_000);
  });

  test('who sends a large frame and pauses owes it when it comes back', () => {
    const { arbiter, clock } = stageOf([]);
    const large = (): number => arbiter.admit(1, 46, 46 * 1514, true, UNICAST);
    let bytes = 0;
    let large46 = 0;
    // Port 1 has a large frame in every third turn alone.
    for (let turn = 0; turn < 3000; turn++) {
      clock.advanceTo(turn * 4);
      while (arbiter.admit(0, 1, 1514, true, UNICAST) === ACCEPTED) bytes += 1538;
      arbiter.endTurn(0);
      if (turn % 3 === 0 && large() === ACCEPTED) large46++;
      arbiter.endTurn(1);
    }
    expect((large46 * 46 * 1538) / (bytes + large46 * 46 * 1538)).toBeLessThan(0.52);
  });
});

describe('maxTxRate', () => {
  test('F45: 1000 Mbit/s are 125,000,000 bytes on the wire in 1 s of virtual time, to 0.01 %', () => {
    const { arbiter, senders } = stageOf(backlogged(8000));
    arbiter.setRates(0, 1000, 0);
    senders.run(1_000_000);
    expect(Math.abs(total(senders.take()) / 125_000_000 - 1)).toBeLessThan(0.0001);
  });

  test('a limited port leaves the rest to the others', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 1514, 1514));
    arbiter.setRates(0, 1000, 0);
    senders.run(20_000);
    const [limited, ...others] = senders.take();
    expect(Math.abs(limited! / 2_500_000 - 1)).toBeLessThan(0.01);
    expect(jain(others)).toBeGreaterThan(0.9999);
    expect(total(others)).toBeGreaterThan(22_400_000);
  });

  test('SR-27: rates of 0 and 2^64 - 1, and a burst of one byte, let every frame through in the end', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 1514, 1514));
    arbiter.setRates(0, 0, 0);
    arbiter.setRates(1, 2 ** 64 - 1, 2 ** 64 - 1);
    arbiter.setPort(2, { maxRate: 1, burst: 1 });
    senders.run(100_000);
    const shares = senders.take();
    expect(shares.every((bytes) => bytes > 0)).toBe(true);
    expect(total(shares)).toBeGreaterThan(125_000_000);
    // 12,500 bytes in 0.1 s, and the one that went first.
    expect(shares[2]! / 1538).toBe(9);
  });

  test('a deadline is when the frame goes, and not before', () => {
    const { arbiter, clock } = stageOf([]);
    arbiter.setPort(0, { maxRate: 1000, burst: 1538 });
    expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(ACCEPTED);
    expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(FULL);
    expect(arbiter.deadline(0)).toBe(12.304);
    clock.advanceTo(12.303);
    expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(FULL);
    clock.advanceTo(12.304);
    expect(arbiter.admit(0, 1, 1514, true, UNICAST)).toBe(ACCEPTED);
  });
});

describe('groups', () => {
  test('ports of a group share its limit equally, and the wire with others as one', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 60, 1514));
    arbiter.addNode('tenant', { maxRate: 2000 });
    arbiter.setParent(0, 'tenant');
    arbiter.setParent(1, 'tenant');
    senders.run(20_000);
    const [first, second, other] = senders.take();
    expect(jain([first!, second!])).toBeGreaterThan(0.999);
    expect(Math.abs((first! + second!) / 5_000_000 - 1)).toBeLessThan(0.01);
    expect(Math.abs(other! / 20_000_000 - 1)).toBeLessThan(0.01);
  });

  test('tx_weight between groups, tx_share within one, tx_max of one in it', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 1514, 1514, 1514));
    arbiter.addNode('gold', { weight: 3 });
    arbiter.addNode('rest', { weight: 1 });
    arbiter.addNode('inner', {}, 'gold');
    arbiter.setParent(0, 'inner');
    arbiter.setParent(1, 'inner');
    arbiter.setParent(2, 'rest');
    arbiter.setParent(3, 'rest');
    arbiter.setRates(0, 0, 2000);
    arbiter.setRates(1, 0, 4000);
    arbiter.setRates(3, 500, 0);
    senders.run(20_000);
    const shares = senders.take().map((bytes) => (bytes * 8) / 20_000);
    [2500, 5000, 2000, 500].forEach((rate, port) => {
      expect(Math.abs(shares[port]! / rate - 1)).toBeLessThan(0.02);
    });
  });

  test('a group in which all are silent holds nobody up', () => {
    const { arbiter, senders } = stageOf(backlogged(1514, 1514, 1514));
    arbiter.addNode('gone', { weight: 9 });
    arbiter.setParent(1, 'gone');
    arbiter.setParent(2, 'gone');
    senders.run(1000);
    for (const sender of senders.senders.slice(1)) sender.isStepped = false;
    senders.run(1100);
    senders.take();
    senders.run(11_100);
    expect(senders.take()[0]!).toBeGreaterThan(12_480_000);
  });

  test('names, parents and rates that cannot be are refused, and nothing changes', () => {
    const { arbiter } = stageOf([]);
    arbiter.addNode('a');
    arbiter.addNode('b', {}, 'a');
    const mistakes: (() => void)[] = [
      () => arbiter.addNode('a'),
      () => arbiter.addNode('c', {}, 'none'),
      () => arbiter.addNode('c', { maxRate: -1 }),
      () => arbiter.addNode('c', { maxRate: 10, share: 11 }),
      () => arbiter.setNode('none', {}),
      () => arbiter.setNode('a', { weight: Number.NaN }),
      () => arbiter.setParent('a', 'b'),
      () => arbiter.setParent('a', 'a'),
      () => arbiter.removeNode('a'),
      () => arbiter.setRates(0, 10, 11),
    ];
    for (const mistake of mistakes) expect(mistake).toThrow(VirtioError);
    arbiter.removeNode('b');
    arbiter.removeNode('a');
    arbiter.addNode('0');
    for (let level = 1; level < 6; level++) arbiter.addNode(`${level}`, {}, `${level - 1}`);
    arbiter.setParent(0, '5');
    expect(() => arbiter.addNode('7', {}, '6')).toThrow(VirtioError);
  });
});

describe('hostRate', () => {
  test('bounds what stays in the card too, shared equally, while the wire bounds what leaves', () => {
    const { senders } = stageOf(
      [
        { port: 0, bytes: 1514, toWire: false },
        { port: 1, bytes: 60, toWire: false },
        { port: 2, bytes: 1514 },
      ],
      {
        hostRate: 32_000,
      },
    );
    senders.run(10_000);
    const rates = senders.take().map((bytes) => (bytes * 8) / 10_000);
    expect(Math.abs(rates[2]! / 10_000 - 1)).toBeLessThan(0.01);
    expect(Math.abs(rates[0]! / 11_000 - 1)).toBeLessThan(0.01);
    expect(Math.abs(rates[1]! / 11_000 - 1)).toBeLessThan(0.01);
  });
});

describe('storm control', () => {
  test('SR-21: a port that floods broadcast and unknown unicast is held to its limit, and its siblings keep their share', () => {
    const { arbiter, senders } = stageOf(
      [
        { port: 0, bytes: 60, kind: BROADCAST },
        { port: 1, bytes: 60, kind: UNKNOWN },
        { port: 2, bytes: 1514 },
        { port: 3, bytes: 1514 },
      ],
      { hostRate: 32_000 },
    );
    arbiter.setStorm(0, { broadcast: 10_000 });
    arbiter.setStorm(1, { unknown: 5000 });
    senders.run(50_000);
    const [flood, unknown, ...siblings] = senders.take();
    // 500 in 50 ms and a burst of 100; 250 and 50.
    expect(Math.abs(flood! / 84 - 600)).toBeLessThanOrEqual(1);
    expect(Math.abs(unknown! / 84 - 300)).toBeLessThanOrEqual(1);
    expect(jain(siblings)).toBeGreaterThan(0.9999);
    expect(total(siblings) / 62_500_000).toBeGreaterThan(0.99);
  });

  test('other kinds of frames of such a port are not dropped', () => {
    const { arbiter } = stageOf([]);
    arbiter.setStorm(0, { broadcast: 1 });
    const kinds = [BROADCAST, BROADCAST, FRAME_KIND.MULTICAST, UNKNOWN, UNICAST];
    expect(kinds.map((kind) => arbiter.admit(0, 1, 60, true, kind))).toEqual([
      ACCEPTED,
      DROPPED,
      ACCEPTED,
      ACCEPTED,
      ACCEPTED,
    ]);
    expect(arbiter.countersOf(0)).toMatchObject({ frames: 4, wireBytes: 4 * 84, stormDrops: 1, turnedAway: 0 });
  });

  test.each([0, -1, 0.5])('a limit of %d frames per second is a mistake of the caller', (broadcast) => {
    const { arbiter } = stageOf([]);
    expect(() => arbiter.setStorm(0, { broadcast })).toThrow(VirtioError);
  });
});

test('SR-23: ports whose turns are empty, however often they come, cost the others nothing', () => {
  const alone = stageOf(backlogged(1514, 1514));
  alone.senders.run(10_000);
  const beside = stageOf([
    ...backlogged(1514, 1514),
    ...Array.from({ length: 62 }, (_, i) => ({ port: i + 2, bytes: 60, count: 0 })),
  ]);
  beside.senders.run(10_000);
  expect(beside.senders.sent).toEqual(alone.senders.sent);
});
