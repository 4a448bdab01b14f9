import { DELIVERED, type Delivered, type Frame, frameBytes } from '@ringwire/net-backend';
import { describe, expect, test } from 'vitest';
import { ethernet, station, vf } from '../testing/card-stage.js';
import { FarEnd, padded, WireStage } from '../testing/wire-stage.js';
import { unaccountedWireFrames } from './wire-counters.js';
import type { WirePortOptions } from './wire-options.js';

const { ACCEPTED } = DELIVERED;
const FROM = station(77);

/** What is plugged in pulls itself out, or does anything else, while it gets the frame of a number (from 1). */
class Leaving extends FarEnd {
  readonly bytesAfter: Uint8Array[] = [];
  private readonly at: number;
  private readonly act: () => void;

  constructor(now: () => number, at: number, act: () => void) {
    super(now);
    this.at = at;
    this.act = act;
  }

  override receive(frame: Frame): Delivered {
    const answer = super.receive(frame);
    if (this.count === this.at) this.act();
    this.bytesAfter.push(frameBytes(frame));
    return answer;
  }
}

/** From a port to whoever is outside, and from there to the first function. */
const sentBy = (port: number): Uint8Array => padded(ethernet(station(999), station(port)), 1514);
const coming = (bytes: number): Uint8Array => padded(ethernet(station(vf(0)), FROM), bytes);

describe('who is plugged in pulls itself out while it gets a frame', () => {
  function leaving(at: number, options: Partial<WirePortOptions> = {}, again = false) {
    const stage = new WireStage(options);
    const { wire } = stage;
    const far: Leaving = new Leaving(stage.clock.now, at, () => {
      wire.plug(undefined);
      if (!again) return;
      wire.plug(far);
      // What is sent at once by the new link may lie where the frame in hand was.
      stage.sendBytes(vf(1), sentBy(vf(1)));
    });
    wire.plug(far);
    return { stage, wire, far };
  }

  test('that frame is sent, those behind it are lost, and each is counted once', () => {
    const { stage, wire, far } = leaving(2);
    for (let i = 0; i < 5; i++) expect(stage.send(vf(0), 60)).toBe(ACCEPTED);
    stage.run(10);
    expect(far.count).toBe(2);
    expect(wire.counters).toMatchObject({ fromCard: 5, sentFrames: 2, drops: { link: 3, otherEnd: 0 } });
    expect([wire.waiting, unaccountedWireFrames(wire)]).toEqual([0, 0]);
    // The next one to be plugged in gets what is sent from then on, whole.
    const next = new FarEnd(stage.clock.now);
    wire.plug(next);
    expect(stage.send(vf(0), 60)).toBe(ACCEPTED);
    expect(stage.send(vf(0), 1514)).toBe(ACCEPTED);
    stage.run(20);
    expect(next.got.map(({ bytes }) => bytes.length)).toEqual([60, 1514]);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });

  test('and plugs itself in again: its frame stays what it was until it has dealt with it', () => {
    const { stage, wire, far } = leaving(1, {}, true);
    expect(stage.send(vf(0), 60)).toBe(ACCEPTED);
    expect(stage.send(vf(0), 60)).toBe(ACCEPTED);
    stage.run(10);
    expect(far.count).toBe(2);
    expect(far.bytesAfter).toEqual(far.got.map(({ bytes }) => bytes));
    expect(far.got[1]!.bytes).toEqual(sentBy(vf(1)));
    expect(wire.counters).toMatchObject({ fromCard: 3, sentFrames: 2, drops: { link: 1 } });
    expect([wire.waiting, unaccountedWireFrames(wire)]).toEqual([0, 0]);
  });

  test('a PAUSE is a frame like any other', () => {
    const { stage, wire, far } = leaving(1, { sendsPause: true, hostRate: 1, highWater: 1000, lowWater: 500 });
    // What the way to the host holds is 16,384 bytes: the rest waits, and the other end is told.
    for (let i = 0; i < 14; i++) far.bring(coming(1514));
    stage.run(50);
    expect(wire.counters).toMatchObject({ pausesSent: 1, sentFrames: 1, drops: { otherEnd: 0 } });
    expect(far.count).toBe(1);
    expect([wire.waiting, unaccountedWireFrames(wire)]).toEqual([0, 0]);
    const next = new FarEnd(stage.clock.now);
    wire.plug(next);
    expect(stage.send(vf(0), 60)).toBe(ACCEPTED);
    stage.run(1000);
    expect(next.got.at(-1)!.bytes.length).toBe(60);
    expect(unaccountedWireFrames(wire)).toBe(0);
  });

  test('flat out there is nothing behind it', () => {
    const { stage, wire, far } = leaving(1, { isPaced: false });
    expect(stage.send(vf(0), 60)).toBe(ACCEPTED);
    expect(far.count).toBe(1);
    expect(wire.counters).toMatchObject({ fromCard: 1, sentFrames: 1, drops: { link: 0 } });
    expect(unaccountedWireFrames(wire)).toBe(0);
  });
});

describe('a receiver in the card has the cable pulled out while it gets a frame', () => {
  // 1538 bytes on the wire are 1.23 µs, and 123.04 µs at the host's rate: from frame 12 on they wait in the buffer.
  test.each([
    ['from the cable', 60, 2, {}, false],
    ['from the cable, plugged in again', 60, 2, {}, true],
    ['from the receive buffer', 1480, 14, { hostRate: 100 }, false],
    ['from the receive buffer, plugged in again', 1480, 14, { hostRate: 100 }, true],
    ['flat out, from the receive buffer', 1480, 14, { hostRate: 100, isPaced: false }, false],
  ])('%s: that frame is the card’s, those behind it are lost, each counted once', (_, bytes, at, options, again) => {
    const stage = new WireStage(options);
    const { wire, card } = stage;
    const far = new FarEnd(stage.clock.now);
    wire.plug(far);
    const receiver: Leaving = new Leaving(stage.clock.now, at, () => {
      wire.plug(undefined);
      if (again) wire.plug(far);
    });
    card.virtual[0]!.backend.attach(receiver);
    for (let i = 0; i < 20; i++) far.bring(coming(bytes + i));
    stage.run(1000);
    const taken = Array.from({ length: at }, (_, i) => coming(bytes + i));
    expect(receiver.got.map(({ bytes }) => bytes)).toEqual(taken);
    expect(receiver.bytesAfter).toEqual(taken);
    expect(wire.counters).toMatchObject({
      receivedFrames: 20,
      toCard: at,
      drops: { link: 20 - at, card: 0, buffer: 0 },
    });
    expect([wire.waiting, unaccountedWireFrames(wire)]).toEqual([0, 0]);
    // What comes afterwards comes as ever.
    const next = new FarEnd(stage.clock.now);
    wire.plug(next);
    next.bring(coming(70));
    stage.run(5000);
    expect(receiver.got.at(-1)!.bytes).toEqual(coming(70));
    expect(unaccountedWireFrames(wire)).toBe(0);
  });
});
