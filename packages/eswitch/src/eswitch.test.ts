import { DELIVERED, type Delivered } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { BROADCAST, CardStage, ethernet, PHYSICAL, station, vf, WIRE } from './testing/card-stage.js';
import { FRAME_KIND, OPEN_GATE } from './transmit-gate.js';

const group = (last: number): Uint8Array => Uint8Array.of(1, 0, 0x5e, 0, 0, last);

test('a frame goes to the port whose address it is for, as it was sent, and nowhere else', () => {
  const stage = new CardStage(3);
  const bytes = ethernet(station(3), station(2));
  expect(stage.sent(vf(0), bytes)).toEqual([vf(1)]);
  expect(stage.last(vf(1))).toEqual(bytes);
  expect(stage.sent(WIRE, ethernet(station(4), station(100)))).toEqual([vf(2)]);
  expect(stage.sent(vf(0), ethernet(station(1), station(2)))).toEqual([PHYSICAL]);
  expect(stage.card.virtual[0]!.counters).toMatchObject({ inFrames: 2, inBytes: 36, outFrames: 0, copies: 0 });
  expect(stage.card.virtual[1]!.counters).toMatchObject({ inFrames: 0, outFrames: 1, outBytes: 18 });
});

test('what nobody has goes to the wire, and from the wire to nobody', () => {
  const stage = new CardStage(2);
  expect(stage.sent(vf(0), ethernet(station(77), station(2)))).toEqual([WIRE]);
  expect(stage.sent(WIRE, ethernet(station(77), station(78)))).toEqual([]);
  expect(stage.drops(WIRE)).toEqual({ NO_RECEIVER: 1 });
});

test('a default port gets what nobody has, from functions and from the wire', () => {
  const stage = new CardStage(2, { defaultPort: PHYSICAL });
  expect(stage.sent(vf(0), ethernet(station(77), station(2)))).toEqual([WIRE, PHYSICAL]);
  expect(stage.sent(WIRE, ethernet(station(77), station(78)))).toEqual([PHYSICAL]);
  expect(stage.sent(PHYSICAL, ethernet(station(77), station(1)))).toEqual([WIRE]);
});

test('a promiscuous port gets what nobody has, and what is for others only where the card says so', () => {
  for (const promiscuous of ['unmatched', 'everything'] as const) {
    const stage = new CardStage(3, { promiscuous });
    stage.card.virtual[2]!.configure({ trusted: true });
    expect(stage.card.virtual[2]!.request({ promiscuous: true })).toBeUndefined();
    expect(stage.sent(WIRE, ethernet(station(77), station(78)))).toEqual([vf(2)]);
    expect(stage.sent(vf(0), ethernet(group(1), station(2)))).toEqual([WIRE, vf(2)]);
    const seen = promiscuous === 'everything' ? [vf(1), vf(2)] : [vf(1)];
    expect(stage.sent(vf(0), ethernet(station(3), station(2)))).toEqual(seen);
    // With the trust goes what rested on it.
    stage.card.virtual[2]!.configure({ trusted: false });
    expect(stage.sent(WIRE, ethernet(station(77), station(78)))).toEqual([]);
  }
});

test('broadcast goes to all others that want it; groups to the wire and to those that are in them', () => {
  const stage = new CardStage(4);
  const table = new Uint32Array(128);
  // 01-00-5E-00-00-07: the last 16 bits of the address, 0x0700 with the last byte on top, without their lowest 4.
  table[0x070 >>> 5] = 1 << (0x070 & 31);
  expect(stage.card.virtual[1]!.request({ multicast: [group(7)] })).toBeUndefined();
  expect(stage.card.virtual[2]!.request({ multicastHash: { table, offset: 0 } })).toBeUndefined();
  expect(stage.card.virtual[3]!.request({ broadcast: false })).toBeUndefined();
  expect(stage.sent(vf(0), ethernet(BROADCAST, station(2)))).toEqual([WIRE, PHYSICAL, vf(1), vf(2)]);
  expect(stage.card.virtual[0]!.counters).toMatchObject({ inFrames: 1, copies: 3 });
  expect(stage.sent(vf(0), ethernet(group(7), station(2)))).toEqual([WIRE, vf(1), vf(2)]);
  expect(stage.sent(vf(1), ethernet(group(7), station(3)))).toEqual([WIRE, vf(2)]);
  expect(stage.sent(vf(0), ethernet(group(8), station(2)))).toEqual([WIRE]);
  expect(stage.sent(WIRE, ethernet(group(8), station(99)))).toEqual([]);
  stage.card.physical.configure({ allMulticast: true });
  expect(stage.sent(WIRE, ethernet(group(8), station(99)))).toEqual([PHYSICAL]);
});

test('82599 datasheet, MCSTCTRL.MO: which 12 bits of a group’s last two bytes are its bit of the table', () => {
  const last = group(0x5a);
  last[4] = 0x3c;
  for (const [offset, bit] of [0x5a3, 0xb47, 0x68f, 0xa3c].entries()) {
    const stage = new CardStage(1);
    const table = new Uint32Array(128);
    table[bit >>> 5] = 1 << (bit & 31);
    stage.card.virtual[0]!.configure({ multicastHash: { table, offset: offset as 0 | 1 | 2 | 3 } });
    expect(stage.sent(WIRE, ethernet(last, station(99)))).toEqual([vf(0)]);
  }
});

test('a VEPA sends all to the wire, and what comes back to all but its sender', () => {
  const stage = new CardStage(3, { mode: 'vepa' });
  const unicast = ethernet(station(3), station(2));
  expect(stage.sent(vf(0), unicast)).toEqual([WIRE]);
  expect(stage.sent(WIRE, unicast)).toEqual([vf(1)]);
  const broadcast = ethernet(BROADCAST, station(2));
  expect(stage.sent(vf(0), broadcast)).toEqual([WIRE]);
  expect(stage.sent(WIRE, broadcast)).toEqual([PHYSICAL, vf(1), vf(2)]);
});

test('a bridge on the wire that returns a frame at once finds it as it was sent', () => {
  const stage = new CardStage(2, { mode: 'vepa' });
  const { backend } = stage.card.wire;
  backend.attach({ offloads: 0, receive: (frame) => backend.receive(frame) });
  const bytes = ethernet(BROADCAST, station(2));
  expect(stage.sent(vf(0), bytes)).toEqual([PHYSICAL, vf(1)]);
  expect(stage.last(vf(1))).toEqual(bytes);
});

test('a cable that leads from one port to another does not go round for ever', () => {
  const stage = new CardStage(2);
  const [one, other] = stage.card.virtual;
  for (const port of [one!, other!]) port.configure({ checkMac: false });
  one!.backend.attach(other!.backend);
  other!.backend.attach(one!.backend);
  // In at the other port and again at this one, twice; the third time is once too often.
  stage.send(PHYSICAL, ethernet(BROADCAST, station(1)));
  expect(stage.drops(vf(0))).toEqual({ LOOP: 1, REFUSED: 1 });
});

test('links: auto follows the wire, unless the card floats; enable and disable do not', () => {
  const stage = new CardStage(3);
  const [auto, enabled, disabled] = stage.card.virtual;
  const told: boolean[] = [];
  auto!.onLink = (isUp) => void told.push(isUp);
  enabled!.configure({ link: 'enable' });
  disabled!.configure({ link: 'disable' });
  expect(stage.card.virtual.map(({ isUp }) => isUp)).toEqual([true, true, false]);
  stage.card.wire.configure({ link: 'disable' });
  expect(stage.card.virtual.map(({ isUp }) => isUp)).toEqual([false, true, false]);
  expect(stage.sent(vf(1), ethernet(station(2), station(3)))).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ RECEIVER_DOWN: 1 });
  expect(stage.sent(vf(0), ethernet(station(3), station(2)))).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ RECEIVER_DOWN: 1, SENDER_DOWN: 1 });
  stage.card.wire.configure({ link: 'auto' });
  expect(told).toEqual([false, true]);

  const floating = new CardStage(2, { floating: true });
  floating.card.wire.backend.attach(undefined);
  expect(floating.sent(vf(0), ethernet(station(3), station(2)))).toEqual([vf(1)]);
  expect(floating.sent(vf(0), ethernet(station(77), station(2)))).toEqual([]);
  expect(floating.drops(WIRE)).toEqual({ NO_DEVICE: 1 });
});

test('a gate that is closed leaves a frame with its sender, and is asked behind all checks', () => {
  const asked: unknown[] = [];
  let isOpen = false;
  const admit = (...what: unknown[]): Delivered => {
    asked.push(what);
    return isOpen ? DELIVERED.ACCEPTED : DELIVERED.FULL;
  };
  const stage = new CardStage(2, { gate: { ...OPEN_GATE, admit } });
  const bytes = ethernet(BROADCAST, station(2));
  expect(stage.send(vf(0), bytes)).toBe(DELIVERED.FULL);
  expect(stage.card.virtual[0]!.counters.inFrames).toBe(0);
  isOpen = true;
  expect(stage.send(vf(0), bytes)).toBe(DELIVERED.ACCEPTED);
  expect(stage.send(vf(0), ethernet(station(3), station(2)))).toBe(DELIVERED.ACCEPTED);
  expect(stage.send(vf(0), ethernet(station(3), station(9)))).toBe(DELIVERED.DROPPED);
  expect(stage.send(WIRE, ethernet(station(3), station(9)))).toBe(DELIVERED.ACCEPTED);
  expect(asked).toEqual([
    [vf(0), 1, 18, true, FRAME_KIND.BROADCAST],
    [vf(0), 1, 18, true, FRAME_KIND.BROADCAST],
    [vf(0), 1, 18, false, FRAME_KIND.UNICAST],
  ]);
});

test('a wire without room holds a frame for it alone up, and loses one for others as well', () => {
  const stage = new CardStage(2);
  stage.devices[WIRE]!.answers.push(DELIVERED.FULL, DELIVERED.FULL);
  expect(stage.send(vf(0), ethernet(station(77), station(2)))).toBe(DELIVERED.FULL);
  expect(stage.send(vf(0), ethernet(BROADCAST, station(2)))).toBe(DELIVERED.ACCEPTED);
  expect(stage.drops(WIRE)).toEqual({ NO_ROOM: 1 });
});

test('frames shorter than a header, and longer than any, are lost', () => {
  const stage = new CardStage(1);
  expect(stage.send(vf(0), new Uint8Array(13))).toBe(DELIVERED.DROPPED);
  expect(stage.send(vf(0), new Uint8Array(65_554))).toBe(DELIVERED.DROPPED);
  // Cut off within a tag.
  expect(stage.send(vf(0), ethernet(station(1), station(2), [[0x8100, 5]], [8]))).toBe(DELIVERED.DROPPED);
  expect(stage.drops(vf(0))).toEqual({ LENGTH: 3 });
});

test('what was received becomes visible at the end of the burst, to those that received something', () => {
  const stage = new CardStage(2);
  const flushed: number[] = [];
  for (const [index, device] of stage.devices.entries())
    Object.assign(device, { flush: () => void flushed.push(index) });
  stage.send(vf(0), ethernet(station(3), station(2)));
  stage.send(vf(0), ethernet(station(3), station(2)));
  stage.card.virtual[0]!.backend.flush?.();
  stage.card.virtual[0]!.backend.flush?.();
  expect(flushed).toEqual([vf(1)]);
});

test('a device that refused all that it was handed hears of the end of the burst, too: it may have begun one of its own', () => {
  const stage = new CardStage(2);
  const flushed: number[] = [];
  for (const [index, device] of stage.devices.entries())
    Object.assign(device, { receive: () => DELIVERED.DROPPED, flush: () => void flushed.push(index) });
  stage.send(vf(0), ethernet(station(3), station(2)));
  stage.card.virtual[0]!.backend.flush?.();
  expect(flushed).toEqual([vf(1)]);
});

test('F53: 1024 functions reach one another, and a broadcast reaches all of them', () => {
  const stage = new CardStage(1024);
  expect(stage.sent(vf(0), ethernet(station(vf(1023)), station(vf(0))))).toEqual([vf(1023)]);
  expect(stage.sent(vf(1023), ethernet(BROADCAST, station(vf(1023))))).toHaveLength(1025);
  expect(() => new CardStage(1024, { macTableEntries: 1000 })).toThrow('addresses is 1, want at most 0 more');
});

test('SR-24: what a port sends to itself goes nowhere, or comes back once where it is a hairpin', () => {
  const stage = new CardStage(3);
  const [port] = stage.card.virtual;
  const own = ethernet(station(2), station(2));
  const group = ethernet(BROADCAST, station(2));
  expect(stage.sent(vf(0), own)).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ NO_RECEIVER: 1 });
  expect(stage.sent(vf(0), group)).toEqual([0, 1, vf(1), vf(2)]);
  port!.configure({ hairpin: true });
  expect(stage.sent(vf(0), own)).toEqual([vf(0)]);
  expect(stage.sent(vf(0), group)).toEqual([0, 1, vf(0), vf(1), vf(2)]);
  // In its VLAN alone, and under its checks.
  port!.configure({ portVlan: { id: 5, priority: 0, protocol: 0x8100 } });
  expect(stage.sent(vf(0), own)).toEqual([vf(0)]);
  expect(stage.last(vf(0))).toEqual(own);
  expect(stage.sent(vf(0), ethernet(station(2), station(3)))).toEqual([]);
  // A bridge beyond sends back what a VEPA sent.
  stage.card.localSwitching = false;
  expect(stage.sent(vf(0), own)).toEqual([0]);
});

test('options that cannot be are refused', () => {
  expect(() => new CardStage(1025)).toThrow('virtualFunctions is 1025, want an integer from 0 to 1024');
  expect(() => new CardStage(1, { at: 4 })).toThrow('at is 4, want a multiple of 8');
  expect(() => new CardStage(1, { defaultPort: 3 })).toThrow('defaultPort is 3');
  expect(() => new CardStage(1, { macTableEntries: 0 })).toThrow('macTableEntries is 0');
});
