import { DELIVERED } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { BROADCAST, ethernet, LARGE_TCP_FIELDS, largeTcp, PHYSICAL, station, vf } from '../testing/card-stage.js';
import { FarEnd, OUTSIDE, padded, WireStage } from '../testing/wire-stage.js';
import { unaccountedWireFrames } from './wire-counters.js';
import type { WirePortOptions } from './wire-options.js';

const { ACCEPTED } = DELIVERED;
const SECOND = 1_000_000;

function plugged(options: Partial<WirePortOptions> = {}, keeps = true) {
  const stage = new WireStage(options);
  const far = new FarEnd(stage.clock.now, keeps);
  stage.wire.plug(far);
  return { stage, far, wire: stage.wire, clock: stage.clock };
}

describe('what is sent', () => {
  test('IEEE 802.3 §4.4.2: 64 bytes with FCS at 10 Gbit/s are 14,880,952 frames in a second, and not one more', () => {
    const { stage, far } = plugged({}, false);
    stage.flood(vf(0), 60);
    // A tenth of it: 1,488,095.2 frames of 67.2 ns.
    stage.run(SECOND / 10);
    expect(far.count).toBe(1_488_095);
  });

  test.each([
    // Mbit/s, bytes without FCS, frames that end in 1 s, of which a part is run: 1 / 10^n s.
    [10_000, 1514, 812_743, 1],
    [1000, 60, 1_488_095, 1],
    [1000, 1514, 81_274, 0],
    [100, 60, 148_809, 0],
    [10, 1514, 812, 0],
    [25_000, 1514, 2_031_859, 1],
  ])('%d Mbit/s, frames of %d bytes: %d in a second', (speed, bytes, frames, part) => {
    const { stage, far } = plugged({ speed }, false);
    stage.flood(vf(0), bytes);
    stage.run(SECOND / 10 ** part);
    expect(far.count).toBe(Math.floor(frames / 10 ** part));
  });

  test('a frame is there when its last bit is: one behind the other, without drift', () => {
    const { stage, far, clock } = plugged();
    clock.advanceTo(3);
    for (const bytes of [60, 60, 1514]) expect(stage.send(vf(0), bytes)).toBe(ACCEPTED);
    stage.run(100);
    // 67.2 ns each, then 1230.4 ns: seen in the next whole ns.
    expect(far.times).toEqual([3.068, 3.135, 4.365]);
    expect(stage.wire.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test('what the arbiter shares is what passes: two functions, equal parts, and the wire is never idle', () => {
    const { stage, far } = plugged();
    stage.flood(vf(0), 1514);
    stage.flood(vf(1), 60);
    stage.run(1000);
    far.got.length = 0;
    stage.run(11_000);
    const bytes = [0, 0];
    for (const frame of far.got) bytes[frame.bytes[11]! - 2]! += Math.max(frame.bytes.length, 60) + 24;
    expect(bytes[0]! + bytes[1]!).toBeGreaterThan(12_500_000 - 1538);
    expect(Math.abs(bytes[0]! / bytes[1]! - 1)).toBeLessThan(0.01);
  });

  test('large frames are cut up on the way, and each segment takes its time', () => {
    const { stage, far } = plugged({ speed: 1000 });
    const frame = largeTcp(OUTSIDE, station(PHYSICAL), 2500);
    expect(stage.sendBytes(PHYSICAL, frame, LARGE_TCP_FIELDS)).toBe(ACCEPTED);
    stage.run(100);
    // Segments of 1000, 1000 and 500 bytes with 54 of headers and 24 around: 1078, 1078 and 578 bytes of 8 ns.
    expect(far.times).toEqual([8.624, 17.248, 21.872]);
  });

  test('nobody is at the other end: functions have no link, and nothing is sent', () => {
    const stage = new WireStage();
    expect(stage.card.wire.isUp).toBe(false);
    expect(stage.card.virtual[0]!.isUp).toBe(false);
    stage.send(vf(0), 60);
    stage.run(10);
    expect(stage.wire.counters).toMatchObject({ fromCard: 0, sentFrames: 0 });
  });

  test('what was on its way when the cable was pulled out is lost, and counted', () => {
    const { stage, far, wire } = plugged();
    for (let i = 0; i < 4; i++) stage.send(vf(0), 1514);
    stage.run(2);
    wire.plug(undefined);
    expect(far.count).toBe(1);
    expect(wire.counters.drops.link).toBe(3);
    expect(unaccountedWireFrames(wire)).toBe(0);
    wire.plug(far);
    stage.send(vf(0), 1514);
    stage.run(20);
    expect(far.count).toBe(2);
  });

  test('what the other end does not take is lost there', () => {
    const { stage, far, wire } = plugged();
    far.receive = () => DELIVERED.FULL;
    stage.send(vf(0), 60);
    stage.run(1);
    expect(wire.counters).toMatchObject({ fromCard: 1, sentFrames: 0, drops: { otherEnd: 1 } });
    expect(unaccountedWireFrames(wire)).toBe(0);
  });
});

describe('what comes', () => {
  test('64 bytes at 10 Gbit/s: 14,880 frames in a ms, however fast they are offered', () => {
    const { stage, far, wire } = plugged();
    const frame = padded(ethernet(station(vf(1)), station(77)), 60);
    for (let i = 0; i < 20_000; i++) far.bring(frame);
    stage.run(1000);
    // 1,000,000 / 67.2 = 14,880.95
    expect(stage.devices[vf(1) - 1]!.frames.length).toBe(14_880);
    expect(wire.counters).toMatchObject({ receivedFrames: 14_880, toCard: 14_880 });
    expect(unaccountedWireFrames(wire)).toBe(0);
  });

  test('both directions at once have the whole rate each, with full duplex', () => {
    const { stage, far } = plugged({ speed: 1000 });
    stage.flood(vf(0), 1514);
    for (let i = 0; i < 1000; i++) far.bring(padded(ethernet(station(vf(1)), station(77)), 1514));
    stage.run(1000);
    // 1538 bytes are 12.304 µs: 81.27 frames.
    expect([far.count, stage.devices[vf(1) - 1]!.frames.length]).toEqual([81, 81]);
  });

  test('with half duplex they share it, in turns', () => {
    const { stage, far } = plugged({ speed: 1000, duplex: 'half' });
    stage.flood(vf(0), 1514);
    for (let i = 0; i < 1000; i++) far.bring(padded(ethernet(station(vf(1)), station(77)), 1514));
    stage.run(1000);
    const both = [far.count, stage.devices[vf(1) - 1]!.frames.length];
    expect(both[0]! + both[1]!).toBe(81);
    expect(Math.abs(both[0]! - both[1]!)).toBeLessThanOrEqual(1);
  });

  test('the card writes to its host at its own rate; what does not fit its buffer is lost there', () => {
    const { stage, far, wire } = plugged({ hostRate: 1000 });
    const frame = padded(ethernet(station(vf(1)), station(77)), 1514);
    for (let i = 0; i < 2000; i++) far.bring(frame);
    // 10 Gbit/s come, 1 Gbit/s goes on: 524,288 bytes of buffer are full after 346 frames more than went on.
    stage.run(2461);
    const { receivedFrames, drops } = wire.counters;
    expect(receivedFrames).toBe(2000);
    const went = stage.devices[vf(1) - 1]!.frames.length;
    expect(went + drops.buffer + wire.waiting).toBe(2000);
    // 2461 µs are 200 frames of 12.304 µs, and what the way to the host holds: 16,384 bytes, 11 frames begun.
    expect(Math.abs(went - 211)).toBeLessThanOrEqual(1);
    expect(Math.abs(wire.waiting - 346)).toBeLessThanOrEqual(1);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });
});

describe('a cable of some length', () => {
  // 5 ns a metre; 60 bytes are 67.2 ns at 10 Gbit/s, and the clock knows whole ns.
  test.each([
    [0, 0.068],
    [100, 0.568],
    [10_000, 50.068],
  ])('%d m: a frame is at the other end after %d µs, in either direction, and the next one behind it', (cable, at) => {
    const { stage, far, wire } = plugged({ cable });
    const receiver = new FarEnd(stage.clock.now);
    stage.card.virtual[1]!.backend.attach(receiver);
    for (let i = 0; i < 3; i++) {
      stage.send(vf(0), 60);
      far.bring(padded(ethernet(station(vf(1)), station(77)), 60));
    }
    stage.run(100);
    const times = [at, at + 0.067, at + 0.134].map((time) => Math.round(time * 1000) / 1000);
    expect(far.times).toEqual(times);
    expect(receiver.times).toEqual(times);
    expect([wire.waiting, unaccountedWireFrames(wire), wire.deadline()]).toEqual([0, 0, Number.POSITIVE_INFINITY]);
  });

  test('a long one is as fast as a short one, and what is on it is lost with it', () => {
    const { stage, far, wire } = plugged({ cable: 20_971 }, false);
    stage.flood(vf(0), 60);
    stage.run(1000);
    // 104.855 µs later than without: 895.145 µs of 67.2 ns.
    expect(far.count).toBe(13_320);
    const { waiting } = wire;
    wire.plug(undefined);
    expect(wire.counters.drops.link).toBe(waiting);
    expect(waiting).toBeGreaterThan(1560);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });

  test('one that holds more than a wire has room for is refused', () => {
    expect(() => new WireStage({ cable: 20_972 })).toThrow('cable is 20972, want 0 to 20971 m at 10000 Mbit/s');
    expect(() => new WireStage({ cable: -1 })).toThrow(VirtioError);
    const { wire } = new WireStage({ cable: 20_971 });
    expect(() => wire.configure({ speed: 25_000 })).toThrow('cable is 20971, want 0 to 8388 m at 25000 Mbit/s');
    expect(wire.settings.speed).toBe(10_000);
  });
});

describe('flat out', () => {
  test('frames pass when they come, from the sender’s memory, in either direction', () => {
    const { stage, far, wire } = plugged({ isPaced: false });
    for (let i = 0; i < 100; i++) expect(stage.send(vf(0), 1514)).toBe(ACCEPTED);
    expect(far.times).toEqual(Array<number>(100).fill(0));
    far.bring(padded(ethernet(station(vf(1)), station(77)), 60));
    stage.run(0);
    expect(stage.devices[vf(1) - 1]!.frames.length).toBe(1);
    expect(wire.rate).toBe(0);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });
});

describe('speed and duplex', () => {
  test('F44: the physical function’s port sets them; every function sees its link go, and come back with them', () => {
    const { stage } = plugged();
    const events: string[] = [];
    for (const port of stage.card.ports)
      port.onLink = (isUp) => events.push(`${port.number} ${isUp ? `${port.speed} ${port.duplex}` : 'down'}`);
    expect(stage.card.virtual[0]!.wire).toBeUndefined();
    expect(stage.card.wire.wire).toBeUndefined();
    stage.card.physical.wire!.configure({ speed: 1000, duplex: 'half' });
    expect(events).toEqual([
      ...['0 down', '1 down', '2 down', '3 down'],
      ...['0 1000 half', '1 1000 half', '2 1000 half', '3 1000 half'],
    ]);
  });

  test('F44: functions that have a link whatever the wire does see the new speed as well', () => {
    const { stage } = plugged();
    const [one] = stage.card.virtual;
    one!.configure({ link: 'enable' });
    const events: string[] = [];
    one!.onLink = (isUp) => events.push(isUp ? `up ${one!.speed}` : 'down');
    stage.wire.configure({ speed: 100 });
    expect(events).toEqual(['down', 'up 100']);
    stage.wire.plug(undefined);
    stage.wire.configure({ speed: 1000, duplex: 'half' });
    expect(events).toEqual(['down', 'up 100', 'down', 'up 1000']);
    expect(new WireStage({ speed: 25_000 }, undefined, { floating: true }).card.virtual[0]).toMatchObject({
      isUp: true,
      speed: 25_000,
    });
  });

  test('what is the same changes nothing; what cannot be is refused, and everything is as before', () => {
    const { stage, wire } = plugged();
    let events = 0;
    stage.card.virtual[0]!.onLink = () => events++;
    wire.configure({ speed: 10_000 });
    for (const changes of [
      { speed: 0 },
      { speed: 1.5 },
      { duplex: 'half' },
      { duplex: 'both' },
      { highWater: 0 },
      { lowWater: 600_000 },
      { pauseTime: 65_536 },
    ])
      expect(() => wire.configure(changes as never)).toThrow(VirtioError);
    expect(() => new WireStage({ hostRate: -1 })).toThrow(VirtioError);
    expect(() => new WireStage({ at: 4 })).toThrow(VirtioError);
    expect(() => new WireStage({ mac: new Uint8Array(5) })).toThrow(VirtioError);
    expect(events).toBe(0);
    expect(wire.settings.speed).toBe(10_000);
  });

  test('who waits for the wire may ask at once when it is faster', () => {
    const { stage, far } = plugged({ speed: 10 });
    stage.flood(vf(0), 1514);
    stage.run(100);
    stage.wire.configure({ speed: 10_000 });
    stage.run(200);
    expect(far.count).toBe(81);
  });
});

test('F44: who watches is told of each frame that is lost at the wire, and why', () => {
  const { stage, far, wire } = plugged({ hostRate: 100 });
  const lost: string[] = [];
  wire.dropWatcher = { lost: (reason, isSent, { length }) => lost.push(`${reason} ${isSent} ${length}`) };
  far.receive = () => DELIVERED.DROPPED;
  stage.send(vf(0), 61);
  // MAC control that is no PAUSE.
  far.bring(padded(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 1, ...station(77), 0x88, 0x08, 0, 2), 60));
  stage.run(1);
  expect(lost).toEqual(['otherEnd true 61', 'control false 60']);
  // 524,288 bytes of buffer are full after 346 frames, beside what the way to the host holds.
  for (let i = 0; i < 400; i++) far.bring(padded(ethernet(station(vf(1)), station(77)), 1514));
  stage.run(500);
  expect(lost.length - 2).toBe(wire.counters.drops.buffer);
  expect(lost.at(-1)).toBe('buffer false 1514');
});

test('conservation: functions, wire and cable under random traffic: everything is somewhere', () => {
  const { stage, far, wire } = plugged({ hostRate: 3000 });
  stage.flood(vf(0), 700);
  stage.flood(PHYSICAL, 1514);
  for (let i = 0; i < 3000; i++)
    far.bring(padded(ethernet(i % 7 === 0 ? BROADCAST : station(2 + (i % 3)), station(77)), 60 + ((i * 37) % 1400)));
  for (let at = 100; at < 2000; at += 100) {
    stage.run(at);
    expect(unaccountedWireFrames(wire)).toBe(0);
    expect(stage.card.wire.counters.outFrames).toBe(wire.counters.fromCard);
    expect(stage.card.wire.counters.inFrames).toBe(wire.counters.toCard + wire.counters.drops.card);
  }
});
