import { DELIVERED } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { ethernet, station, vf } from '../testing/card-stage.js';
import { padded, together, WireStage } from '../testing/wire-stage.js';
import { runUntil, VirtualClock } from '../virtual-clock.js';
import { joinWires } from './wire-cable.js';
import { unaccountedWireFrames } from './wire-counters.js';
import type { WirePortOptions } from './wire-options.js';

/** Two cards; the second one's functions have other addresses than the first one's. */
function pair(first: Partial<WirePortOptions> = {}, second: Partial<WirePortOptions> = {}) {
  const clock = new VirtualClock();
  const one = new WireStage(first, clock);
  const other = new WireStage({ mac: station(501), ...second }, clock);
  for (const [index, port] of other.card.virtual.entries()) port.configure({ mac: station(102 + index) });
  const unplug = joinWires(one.wire, other.wire);
  const both = together(one, other);
  return { one, other, unplug, run: (until: number) => runUntil(both, clock, until) };
}

const got = (stage: WireStage, port: number): number => stage.devices[port - 1]!.frames.length;

test('what one sends the other gets, after the time that it takes on one cable', () => {
  const { one, other, run } = pair();
  one.send(vf(0), 1514, station(102));
  run(1.23);
  expect(got(other, vf(0))).toBe(0);
  run(1.231);
  expect(got(other, vf(0))).toBe(1);
  expect(one.wire.counters).toMatchObject({ fromCard: 1, sentFrames: 1, sentBytes: 1514 });
  expect(other.wire.counters).toMatchObject({ receivedFrames: 1, receivedBytes: 1514, toCard: 1 });
});

test('a cable between two cards has its length, in either direction, and takes it along when it is pulled out', () => {
  const { one, other, run, unplug } = pair();
  unplug();
  expect(() => joinWires(one.wire, other.wire, 30_000)).toThrow('cable is 30000, want 0 to 20971 m');
  const away = joinWires(one.wire, other.wire, 200);
  one.send(vf(0), 1514, station(102));
  other.sendBytes(vf(0), padded(ethernet(station(2), station(102)), 1514));
  // 1230.4 ns and 1000 ns.
  run(2.23);
  expect([got(other, vf(0)), got(one, vf(0))]).toEqual([0, 0]);
  run(2.231);
  expect([got(other, vf(0)), got(one, vf(0))]).toEqual([1, 1]);
  away();
  joinWires(one.wire, other.wire);
  one.send(vf(0), 1514, station(102));
  run(3.462);
  expect(got(other, vf(0))).toBe(2);
});

test('both ends have the slower one’s speed, and follow it', () => {
  const { one, other, run } = pair({ speed: 40_000 }, { speed: 1000 });
  expect([one.wire.link.speed, other.card.virtual[0]!.speed, one.card.virtual[1]!.speed]).toEqual([1000, 1000, 1000]);
  one.flood(vf(0), 1514, station(102));
  run(1000);
  // 1538 bytes are 12.304 µs.
  expect(got(other, vf(0))).toBe(81);
  other.wire.configure({ speed: 10_000 });
  run(2000);
  expect(one.card.physical.speed).toBe(10_000);
  // 1.2304 µs: 812.7 in the second ms.
  expect(Math.abs(got(other, vf(0)) - 81 - 812)).toBeLessThanOrEqual(1);
});

test('PAUSE is agreed on where one sends it and the other honours it, in each direction by itself', () => {
  const { one, other } = pair({ sendsPause: true, honoursPause: false }, { sendsPause: true, honoursPause: true });
  expect(one.wire.link).toMatchObject({ sendsPause: true, honoursPause: false });
  expect(other.wire.link).toMatchObject({ sendsPause: false, honoursPause: true });
});

test('a receiving card that is slower than its cable makes the sending one wait: nothing is lost, not even in between', () => {
  const { one, other, run } = pair(
    { honoursPause: true },
    { sendsPause: true, hostRate: 2000, highWater: 100_000, lowWater: 60_000 },
  );
  one.flood(vf(0), 1514, station(102));
  run(20_000);
  expect(other.wire.counters.pausesSent).toBeGreaterThan(10);
  expect(one.wire.counters.pausesReceived).toBe(other.wire.counters.pausesSent);
  expect(other.wire.counters.drops.buffer).toBe(0);
  // 2 Gbit/s of 1538 bytes on the wire: 162.55 frames in a ms.
  expect(Math.abs(got(other, vf(0)) - 20 * 162.55)).toBeLessThan(15);
  for (const { wire } of [one, other]) expect(unaccountedWireFrames(wire)).toBe(0);
});

test('with half duplex at one end both directions share the cable', () => {
  const { one, other, run } = pair({ speed: 100, duplex: 'half' }, { speed: 1000 });
  expect(other.wire.link).toMatchObject({ speed: 100, duplex: 'half' });
  one.flood(vf(0), 1514, station(102));
  other.flood(vf(0), 1514, station(2));
  for (const port of other.card.virtual) port.configure({ checkMac: false });
  run(10_000);
  // 123.04 µs each: 81 in 10 ms.
  expect(got(one, vf(0)) + got(other, vf(0))).toBe(81);
  expect(Math.abs(got(one, vf(0)) - got(other, vf(0)))).toBeLessThanOrEqual(1);
});

test('unplugged, both links go; what was on its way is lost at its sender', () => {
  const { one, other, unplug, run } = pair();
  for (let i = 0; i < 3; i++) one.send(vf(0), 1514, station(102));
  run(2);
  unplug();
  expect([one.card.wire.isUp, other.card.wire.isUp]).toEqual([false, false]);
  expect(one.wire.counters.drops.link).toBe(2);
  for (const { wire } of [one, other]) expect(unaccountedWireFrames(wire)).toBe(0);
  joinWires(other.wire, one.wire);
  one.send(vf(0), 60, station(102));
  run(10);
  expect(got(other, vf(0))).toBe(2);
});

test('who gets a frame at its other end pulls the cable out: that one is sent and received, those behind it are lost', () => {
  const { one, other, unplug, run } = pair();
  const { backend } = other.card.virtual[0]!;
  let count = 0;
  const receive = (): typeof DELIVERED.ACCEPTED => {
    if (++count === 2) unplug();
    return DELIVERED.ACCEPTED;
  };
  backend.attach({ offloads: 0, receive });
  for (let i = 0; i < 5; i++) one.send(vf(0), 60, station(102));
  run(10);
  expect(count).toBe(2);
  expect(one.wire.counters).toMatchObject({ fromCard: 5, sentFrames: 2, drops: { link: 3 } });
  expect(other.wire.counters).toMatchObject({ receivedFrames: 2, toCard: 2, drops: { link: 0 } });
  for (const { wire } of [one, other]) expect([wire.waiting, unaccountedWireFrames(wire)]).toEqual([0, 0]);
});

test('a cable has two ends: a card is not its own neighbour', () => {
  const { wire } = new WireStage();
  expect(() => joinWires(wire, wire)).toThrow('other is the same wire');
  expect(wire.link.isUp).toBe(false);
});

test('flat out, two cards are one hop: what is sent is there', () => {
  const { one, other } = pair({ isPaced: false }, { isPaced: false });
  one.send(vf(0), 1514, station(102));
  expect(got(other, vf(0))).toBe(1);
});
