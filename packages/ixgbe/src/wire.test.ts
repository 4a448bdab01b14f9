import { VirtualClock, WIRE_AREA_BYTES, WirePort } from '@ringwire/eswitch';
import { HostMemory } from '@ringwire/guest-memory';
import { PF_REG, PF_ROW, PF_STAT, rowAt } from '@ringwire/nic-spec/ixgbe';
import { describe, expect, test } from 'vitest';
import { DriverStage, frameTo, macOf } from './testing/driver-stage.js';

const MEMORY_BYTES = Math.ceil(WIRE_AREA_BYTES / 0x1_0000) * 0x1_0000;
const OUTSIDE = Uint8Array.of(2, 0, 0, 0, 0, 9);
const FLOW = { receive: true, send: true, high: 0x1_0000, low: 0x8000, time: 1000 };

/** A card whose wire takes time, and the wire. */
function staged() {
  const stage = new DriverStage();
  const clock = new VirtualClock();
  const wire = new WirePort({ memory: HostMemory.create(MEMORY_BYTES), at: 0, now: clock.now, mac: macOf(0) });
  wire.serve(stage.eswitch);
  wire.plug(stage.wire);
  stage.run();
  const run = (until: number): void => {
    clock.advanceTo(until);
    while (wire.step(64) > 0);
    stage.run();
  };
  return { stage, wire, run };
}

/** IEEE 802.3 annex 31B. */
const pause = (quanta: number): Uint8Array => {
  const frame = new Uint8Array(60);
  frame.set([0x01, 0x80, 0xc2, 0, 0, 1, ...OUTSIDE, 0x88, 0x08, 0, 1, quanta >>> 8, quanta & 0xff]);
  return frame;
};

describe('82599 datasheet §8.2.3.22: the wire', () => {
  test('F44: AUTOC sets its speed; functions see in LINKS and VFLINKS what it has', () => {
    const { stage, wire } = staged();
    const one = stage.open(0);
    stage.pf.driver.setLink(1000);
    stage.pass(100);
    expect(wire.link.speed).toBe(1000);
    expect([stage.pf.driver.speed, one.driver.speed, stage.eswitch.virtual[0]!.speed]).toEqual([1000, 1000, 1000]);
    // What both ends agreed on counts, not what one wants.
    wire.configure({ speed: 100 });
    stage.pass(100);
    expect([stage.pf.driver.speed, one.driver.speed]).toEqual([100, 100]);
    // And a limit is a part of that.
    stage.pf.driver.setVf(0, { maxTxRate: 50 });
    stage.run();
    expect(stage.eswitch.virtual[0]!.settings.maxTxRate).toBe(50);
  });

  test('F44: the drivers see the link go with the cable, and come back', () => {
    const { stage, wire } = staged();
    const one = stage.open(0);
    wire.plug(undefined);
    stage.pass(100);
    expect(one.driver.isLinkUp).toBe(false);
    wire.plug(stage.wire);
    stage.pass(100);
    expect(one.driver.isLinkUp).toBe(true);
    expect(one.told).toEqual(expect.arrayContaining(['down', 'up']));
  });

  test('MFLCN, FCCFG and the watermarks are flow control; a reset of the card keeps what the host set', () => {
    const { stage, wire } = staged();
    expect(wire.link).toMatchObject({ honoursPause: false, sendsPause: false });
    stage.pf.driver.setPause(FLOW);
    stage.run();
    expect(wire.settings).toMatchObject({ highWater: 0x1_0000, lowWater: 0x8000, pauseTime: 1000 });
    expect(wire.link).toMatchObject({ honoursPause: true, sendsPause: true });
    stage.pf.driver.setPause({ ...FLOW, receive: false });
    stage.run();
    expect(wire.link).toMatchObject({ honoursPause: false, sendsPause: true });
    stage.pf.driver.setPause({ ...FLOW, send: false });
    stage.run();
    expect(wire.link).toMatchObject({ honoursPause: true, sendsPause: false });
    stage.pf.driver.restart();
    stage.run();
    expect(wire.link).toMatchObject({ honoursPause: true, sendsPause: false });
    for (const change of [{ high: 0 }, { high: 33 }, { high: 0x8_0000 }, { low: 0x1_0000 }, { low: 1 }, { time: 0 }])
      expect(() => stage.pf.driver.setPause({ ...FLOW, ...change })).toThrow('§3.7.7');
  });

  test('PAUSE that comes is counted by LXOFFRXCNT and LXONRXCNT, and no function hears of it', () => {
    const { stage, run } = staged();
    const one = stage.open(0);
    stage.pf.driver.setPause(FLOW);
    run(1);
    for (const quanta of [10, 65_535, 0]) stage.wire.bring(pause(quanta));
    run(2);
    run(3);
    const read = (register: number): number => stage.pfRead(register);
    expect([read(PF_STAT.LXOFFRXCNT), read(PF_STAT.LXONRXCNT)]).toEqual([2, 1]);
    expect([read(PF_STAT.LXOFFRXCNT), read(PF_STAT.LXOFFTXC)]).toEqual([0, 0]);
    expect([stage.pf.heard, one.heard]).toEqual([[], []]);
  });

  test('SR-15: a PAUSE of a virtual function goes nowhere', () => {
    const { stage, wire, run } = staged();
    const one = stage.open(0);
    one.driver.sendBytes(frameTo(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 1), macOf(1), 60, [0x88, 0x08, 0, 1, 255, 255]));
    stage.run();
    run(10);
    expect(stage.onWire).toEqual([]);
    expect(wire.counters).toMatchObject({ fromCard: 0, pausesSent: 0 });
  });
});

test('82599 datasheet §7.10.3.4, PFDTXGSWC.LBE: without it what functions send one another goes out by the wire', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  const frame = frameTo(macOf(2), macOf(1));
  one.driver.sendBytes(frame);
  stage.run();
  expect([other.heard.length, stage.onWire.length]).toEqual([1, 0]);
  stage.pfWrite(PF_REG.PFDTXGSWC, 0);
  one.driver.sendBytes(frame);
  stage.run();
  expect([other.heard.length, stage.onWire]).toEqual([1, [frame]]);
  expect(stage.eswitch.physical.localSwitching).toBe(false);
  stage.pfWrite(PF_REG.PFDTXGSWC, 1);
  one.driver.sendBytes(frame);
  stage.run();
  expect([other.heard.length, stage.onWire.length]).toEqual([2, 1]);
});

test('82599 datasheet §8.2.3.27, PFVMTXSW: with its bit what a pool sends to itself comes back, once; without it goes nowhere', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  const own = frameTo(macOf(1), macOf(1));
  const all = frameTo(new Uint8Array(6).fill(0xff), macOf(1));
  const heard = (frame: Uint8Array): [number, number] => {
    const before = [one.heard.length, other.heard.length] as const;
    one.driver.sendBytes(frame);
    stage.run();
    return [one.heard.length - before[0], other.heard.length - before[1]];
  };
  expect([heard(own), heard(all)]).toEqual([
    [0, 0],
    [0, 1],
  ]);
  stage.pfWrite(rowAt(PF_ROW.PFVMTXSW, 0), 1);
  expect([heard(own), heard(all)]).toEqual([
    [1, 0],
    [1, 1],
  ]);
  expect(one.heard.slice(-2).map(({ bytes }) => bytes)).toEqual([own, all]);
  // Another pool's bit is not this one's.
  stage.pfWrite(rowAt(PF_ROW.PFVMTXSW, 0), 2);
  expect(heard(own)).toEqual([0, 0]);
});
