import { DELIVERED } from '@ringwire/net-backend';
import { describe, expect, test } from 'vitest';
import { ethernet, PHYSICAL, station, vf } from '../testing/card-stage.js';
import { FarEnd, padded, WireStage } from '../testing/wire-stage.js';
import { unaccountedWireFrames } from './wire-counters.js';
import type { WirePortOptions } from './wire-options.js';

const PAUSE_ADDRESS: Uint8Array = Uint8Array.of(0x01, 0x80, 0xc2, 0, 0, 1);
const FROM: Uint8Array = station(77);

/** IEEE 802.3 annex 31B: to 01-80-C2-00-00-01, type 88-08, opcode 00-01, time; zeros up to 60 bytes. */
const pause = (quanta: number, to = PAUSE_ADDRESS, from = FROM, opcode = 1): Uint8Array =>
  padded(ethernet(to, from, [], [0x88, 0x08, 0, opcode, quanta >>> 8, quanta & 0xff]), 60);

function plugged(options: Partial<WirePortOptions> = {}) {
  const stage = new WireStage({ honoursPause: true, sendsPause: true, ...options });
  const far = new FarEnd(stage.clock.now);
  stage.wire.plug(far);
  return { stage, far, wire: stage.wire };
}

describe('PAUSE that comes', () => {
  test.each([
    // Quanta of 512 bits: 51.2 ns at 10 Gbit/s, 512 ns at 1 Gbit/s.
    [10_000, 10, 0.512],
    [10_000, 1, 0.0512],
    [10_000, 65_535, 3355.392],
    [1000, 7, 3.584],
  ])('at %d Mbit/s, %d quanta: nothing begins for %d µs', (speed, quanta, time) => {
    const { stage, far, wire } = plugged({ speed });
    far.bring(pause(quanta));
    // It is here after 84 bytes; a frame that is sent then begins when the pause is over.
    const here = (84 * 8) / speed;
    stage.run(Math.ceil(here * 1000) / 1000);
    expect(wire.counters.pausesReceived).toBe(1);
    const began = stage.clock.now();
    stage.send(vf(0), 60);
    stage.run(began + time + 10);
    expect(far.times).toEqual([Math.ceil((began + time + here) * 1000 - 1e-6) / 1000]);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });

  test('a frame that has begun ends; the next one waits; 0 quanta let it go on at once', () => {
    const { stage, far } = plugged();
    far.bring(pause(65_535));
    for (let i = 0; i < 3; i++) stage.send(vf(0), 1514);
    // The PAUSE is here at 67.2 ns, in the middle of the first frame, which ends at 1230.4 ns.
    stage.run(50);
    expect(far.times).toEqual([1.231]);
    far.bring(pause(0));
    stage.run(60);
    // 50 µs + 67.2 ns, then 1230.4 ns each.
    expect(far.times).toEqual([1.231, 51.299, 52.529]);
  });

  test('a later PAUSE counts from its own time on, and takes the place of the one before', () => {
    const { stage, far } = plugged({ speed: 1000 });
    far.bring(pause(100));
    stage.run(10);
    stage.send(vf(0), 60);
    far.bring(pause(10));
    stage.run(100);
    // At 10.672 µs 10 quanta, 5.12 µs, and the frame's own 0.672 µs.
    expect(far.times).toEqual([16.464]);
  });

  test('the arbiter’s senders wait for the pause, and are told until when', () => {
    const { stage, far } = plugged();
    far.bring(pause(20_000));
    stage.flood(vf(0), 1514);
    stage.run(500);
    // What had begun, and no more: the pause is 1024 µs.
    expect(far.count).toBe(1);
    expect(stage.card.virtual[0]!.backend.deadline!()).toBeGreaterThan(1024);
    stage.run(2024.1);
    expect(far.count).toBeGreaterThan(800);
  });

  test('PAUSE never pauses what functions send one another', () => {
    const { stage, far } = plugged();
    far.bring(pause(65_535));
    stage.run(1);
    for (let i = 0; i < 100; i++) expect(stage.send(vf(0), 1514, station(vf(1)))).toBe(DELIVERED.ACCEPTED);
    expect(stage.devices[vf(1) - 1]!.frames.length).toBe(100);
  });

  test('to the port’s own address it is a PAUSE as well; to another it is lost; another opcode, too', () => {
    const { stage, far, wire } = plugged();
    far.bring(pause(1, station(500)));
    far.bring(pause(1, station(501)));
    far.bring(pause(1, PAUSE_ADDRESS, FROM, 2));
    far.bring(pause(1).subarray(0, 16));
    stage.run(10);
    expect(wire.counters).toMatchObject({ pausesReceived: 1, drops: { control: 3 } });
    expect(stage.card.wire.counters.inFrames).toBe(0);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });

  test.each([{ honoursPause: false }, { speed: 100, duplex: 'half' as const }])(
    'without flow control (%o) it is counted, and stops nothing',
    (options) => {
      const { stage, far, wire } = plugged(options);
      far.bring(pause(65_535));
      stage.run(10);
      stage.send(vf(0), 60);
      stage.run(20);
      expect(wire.counters).toMatchObject({ pausesReceived: 1, pausesIgnored: 1 });
      expect(far.count).toBe(1);
    },
  );

  test('flat out senders wait just as long', () => {
    const { stage, far } = plugged({ isPaced: false, speed: 1000 });
    far.bring(pause(100));
    stage.run(1);
    stage.flood(vf(0), 60);
    stage.run(51);
    expect(far.count).toBe(0);
    // 100 quanta are 51.2 µs from 0 on.
    stage.run(51.2);
    expect(far.count).toBeGreaterThan(0);
  });

  test('a PAUSE is over with the link', () => {
    const { stage, far, wire } = plugged();
    far.bring(pause(65_535));
    stage.run(1);
    wire.plug(undefined);
    wire.plug(far);
    stage.send(vf(0), 60);
    stage.run(2);
    expect(far.times).toEqual([1.068]);
  });
});

describe('PAUSE that is sent', () => {
  const WATER = { highWater: 100_000, lowWater: 50_000, hostRate: 5000 };

  test('above the high watermark the other end is told to pause, below the low one to go on, and nothing is lost', () => {
    const { stage, far, wire } = plugged(WATER);
    const frame = padded(ethernet(station(vf(1)), FROM), 1514);
    for (let i = 0; i < 4000; i++) far.bring(frame);
    // The other end does what it is told: it brings nothing while it pauses.
    const { pump } = far;
    let isHeld = false;
    far.pump = (budget) => {
      for (const { bytes } of far.got.splice(0)) isHeld = bytes[16] !== 0 || bytes[17] !== 0;
      return isHeld ? 0 : pump.call(far, budget);
    };
    stage.run(9000);
    expect(wire.counters.drops.buffer).toBe(0);
    expect(wire.counters.pausesSent).toBeGreaterThan(5);
    expect(Math.abs(wire.counters.pausesSent - 2 * wire.counters.resumesSent)).toBeLessThanOrEqual(1);
    // 5 Gbit/s of 1538 bytes on the wire, without a gap: 406.37 frames in a ms.
    expect(Math.abs(stage.devices[vf(1) - 1]!.frames.length - 9 * 406.37)).toBeLessThan(15);
  });

  test('its bytes: annex 31B.1, from the port’s own address', () => {
    const { stage, far } = plugged({ ...WATER, pauseTime: 0x1234 });
    for (let i = 0; i < 200; i++) far.bring(padded(ethernet(station(vf(1)), FROM), 1514));
    stage.run(300);
    expect(far.got[0]!.bytes).toEqual(pause(0x1234, PAUSE_ADDRESS, station(500)));
    stage.run(3000);
    expect(far.got.at(-1)!.bytes).toEqual(pause(0, PAUSE_ADDRESS, station(500)));
  });

  test('it goes before all that waits, and while others are paused', () => {
    const { stage, far } = plugged({ ...WATER, hostRate: 1000 });
    for (let i = 0; i < 8; i++) stage.send(vf(0), 1514);
    far.bring(pause(65_535));
    for (let i = 0; i < 150; i++) far.bring(padded(ethernet(station(vf(1)), FROM), 1514));
    stage.run(300);
    expect(far.got.map(({ bytes }) => bytes.length)).toEqual([1514, 60]);
  });

  test('it is said again before it is over, as long as the buffer is full', () => {
    const { stage, far, wire } = plugged({ ...WATER, hostRate: 100, pauseTime: 1000 });
    for (let i = 0; i < 150; i++) far.bring(padded(ethernet(station(vf(1)), FROM), 1514));
    stage.run(500);
    // 1000 quanta are 51.2 µs: again after 25.6 µs, from 66 frames or so on.
    expect(wire.counters.pausesSent).toBeGreaterThan(14);
    expect(wire.counters.pausesSent).toBeLessThan(18);
    expect(wire.counters.resumesSent).toBe(0);
  });

  test('without flow control none is sent', () => {
    const { stage, far, wire } = plugged({ ...WATER, sendsPause: false });
    for (let i = 0; i < 500; i++) far.bring(padded(ethernet(station(vf(1)), FROM), 1514));
    stage.run(700);
    expect(far.count).toBe(0);
    expect(wire.counters.pausesSent).toBe(0);
  });
});

describe('SR-15, CVE-2015-1142857: no function sends a PAUSE, or brings one about', () => {
  const ways: readonly [string, Uint8Array][] = [
    ['as it is', pause(65_535, PAUSE_ADDRESS, station(vf(0)))],
    ['to a station', pause(65_535, station(999), station(vf(0)))],
    ['in a VLAN', padded(ethernet(PAUSE_ADDRESS, station(vf(0)), [[0x8100, 5]], [0x88, 0x08, 0, 1, 255, 255]), 60)],
    [
      'behind two tags',
      padded(
        ethernet(
          station(999),
          station(vf(0)),
          [
            [0x88a8, 5],
            [0x8100, 6],
          ],
          [0x88, 0x08, 0, 1, 255, 255],
        ),
        60,
      ),
    ],
  ];

  test.each(ways)(
    '%s: it does not leave by the wire, nor reaches a sibling, whatever mirrors and rules say',
    (_, bytes) => {
      const { stage, far, wire } = plugged();
      stage.card.virtual[0]!.configure({ checkMac: false, checkVlan: false, trusted: true });
      stage.card.setMirrors([{ port: vf(0), direction: 'both', to: 0 }]);
      stage.card.setRules([{ match: {}, action: { kind: 'redirect', port: 0 } }]);
      expect(stage.sendBytes(vf(0), bytes)).toBe(DELIVERED.DROPPED);
      stage.run(10);
      expect(far.count).toBe(0);
      expect(stage.devices.map(({ frames }) => frames.length)).toEqual([0, 0, 0]);
      expect(wire.counters).toMatchObject({ pausesReceived: 0, pausesSent: 0 });
    },
  );

  test('functions that take nothing of a flood that comes for them lose it, and the wire sends no PAUSE', () => {
    const { stage, far, wire } = plugged({ highWater: 3000, lowWater: 100 });
    for (const device of stage.devices) device.receive = () => DELIVERED.FULL;
    for (let i = 0; i < 2000; i++) far.bring(padded(ethernet(station(2 + (i % 2)), FROM), 1514));
    stage.run(2500);
    expect(wire.counters).toMatchObject({ receivedFrames: 2000, pausesSent: 0 });
    expect(far.count).toBe(0);
  });

  test('a function that floods its siblings and the wire brings no PAUSE about', () => {
    const { stage, wire } = plugged({ highWater: 3000, lowWater: 100 });
    for (let i = 0; i < 5000; i++) stage.send(vf(0), 60, station(vf(1)));
    stage.flood(PHYSICAL, 60);
    stage.flood(vf(1), 1514);
    stage.run(100);
    expect(wire.counters.pausesSent).toBe(0);
  });
});
