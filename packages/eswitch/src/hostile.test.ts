import { copyFrame, DELIVERED, type Delivered, EVERY_OFFLOAD, type Frame } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import {
  BROADCAST,
  CardStage,
  ethernet,
  LARGE_TCP_FIELDS,
  largeTcp,
  PHYSICAL,
  station,
  vf,
  WIRE,
} from './testing/card-stage.js';
import { FRAME_KIND, OPEN_GATE } from './transmit-gate.js';

const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
const C_TAG = 0x8100;
const S_TAG = 0x88a8;

test('SR-11 a frame from a sibling’s address goes nowhere, and is counted at who sent it', () => {
  const stage = new CardStage(3);
  expect(stage.sent(vf(0), ethernet(station(4), station(3)))).toEqual([]);
  expect(stage.sent(vf(0), ethernet(BROADCAST, station(1)))).toEqual([]);
  expect(stage.sent(vf(0), ethernet(BROADCAST, new Uint8Array(6)))).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ MAC_SPOOF: 3 });
  // Without an address a function sends nothing, not even from none.
  stage.card.virtual[0]!.configure({ mac: new Uint8Array(6) });
  expect(stage.sent(vf(0), ethernet(BROADCAST, new Uint8Array(6)))).toEqual([]);
  // The host may.
  expect(stage.sent(PHYSICAL, ethernet(station(4), station(3)))).toEqual([vf(2)]);
});

test('SR-12 a frame from a group’s address goes nowhere, whoever sends it and whatever is checked', () => {
  const stage = new CardStage(2);
  stage.card.virtual[0]!.configure({ checkMac: false });
  for (const source of [GROUP, BROADCAST]) {
    for (const port of [vf(0), vf(1), PHYSICAL, WIRE]) {
      expect(stage.sent(port, ethernet(station(3), source))).toEqual([]);
      expect(stage.sent(port, ethernet(BROADCAST, source))).toEqual([]);
    }
  }
  expect(stage.drops(vf(0))).toEqual({ SOURCE_GROUP: 4 });
});

test('SR-13 a tag from a function with a port VLAN goes nowhere, be it another VLAN’s or the port’s own', () => {
  const stage = new CardStage(3);
  for (const port of [0, 1])
    stage.card.virtual[port]!.configure({ portVlan: { id: 100, priority: 3, protocol: C_TAG } });
  const plain = ethernet(station(3), station(2));
  expect(stage.sent(vf(0), plain)).toEqual([vf(1)]);
  expect(stage.last(vf(1))).toEqual(plain);
  expect(stage.sent(vf(0), ethernet(station(77), station(2)))).toEqual([WIRE]);
  expect(stage.last(WIRE)).toEqual(ethernet(station(77), station(2), [[C_TAG, 0x6064]]));
  for (const tag of [C_TAG, S_TAG])
    for (const id of [100, 200, 4095])
      expect(stage.sent(vf(0), ethernet(station(3), station(2), [[tag, id]]))).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ VLAN_NOT_ALLOWED: 6 });
});

test('SR-14 tags of no VLAN and second tags never lead a function with a port VLAN into another VLAN', () => {
  const stage = new CardStage(4);
  const [one, two, other] = stage.card.virtual;
  for (const port of [one!, two!]) port.configure({ portVlan: { id: 100, priority: 3, protocol: C_TAG } });
  other!.configure({ portVlan: { id: 200, priority: 0, protocol: C_TAG } });
  // The priority is the port's, not what the driver says.
  expect(stage.sent(vf(0), ethernet(station(77), station(2), [[C_TAG, 0xe000]]))).toEqual([WIRE]);
  expect(stage.last(WIRE)).toEqual(ethernet(station(77), station(2), [[C_TAG, 0x6064]]));
  expect(stage.sent(vf(0), ethernet(station(3), station(2), [[C_TAG, 0xe000]]))).toEqual([vf(1)]);
  expect(stage.last(vf(1))).toEqual(ethernet(station(3), station(2)));
  for (const first of [0, 100, 200])
    expect(
      stage.sent(
        vf(0),
        ethernet(BROADCAST, station(2), [
          [C_TAG, first],
          [C_TAG, 200],
        ]),
      ),
    ).toEqual([]);
  // One that sends to another VLAN's address does not reach it; nor does the other VLAN's broadcast from the wire.
  expect(stage.sent(vf(0), ethernet(station(4), station(2)))).toEqual([WIRE]);
  expect(stage.sent(WIRE, ethernet(BROADCAST, station(99), [[C_TAG, 100]]))).toEqual([PHYSICAL, vf(0), vf(1), vf(3)]);
  expect(stage.sent(WIRE, ethernet(BROADCAST, station(99)))).toEqual([PHYSICAL, vf(3)]);
});

test('SR-14 behind a service tag of the port, customer tags are the function’s own, and service tags are not', () => {
  const stage = new CardStage(3);
  for (const port of [0, 1]) stage.card.virtual[port]!.configure({ portVlan: { id: 9, priority: 0, protocol: S_TAG } });
  const inner = ethernet(station(3), station(2), [[C_TAG, 200]]);
  expect(stage.sent(vf(0), inner)).toEqual([vf(1)]);
  expect(stage.last(vf(1))).toEqual(inner);
  expect(stage.sent(vf(0), ethernet(station(77), station(2), [[C_TAG, 200]]))).toEqual([WIRE]);
  expect(stage.last(WIRE)).toEqual(
    ethernet(station(77), station(2), [
      [S_TAG, 9],
      [C_TAG, 200],
    ]),
  );
  expect(stage.sent(vf(0), ethernet(station(3), station(2), [[S_TAG, 10]]))).toEqual([]);
  // The same number in a customer tag is another VLAN.
  expect(stage.sent(WIRE, ethernet(station(3), station(99), [[C_TAG, 9]]))).toEqual([]);
});

test('SR-14 a trunk passes the VLANs that it may have, and those it is in, both ways', () => {
  const stage = new CardStage(2);
  const [port] = stage.card.virtual;
  port!.configure({ allowedVlans: new Set([5, 6]) });
  const to = (tags: [number, number][]): number[] => stage.sent(vf(0), ethernet(station(1), station(2), tags));
  expect(to([[C_TAG, 5]])).toEqual([PHYSICAL]);
  expect(to([[C_TAG, 7]])).toEqual([]);
  expect(to([[C_TAG, 0xe000]])).toEqual([PHYSICAL]);
  expect(
    to([
      [C_TAG, 0],
      [C_TAG, 7],
    ]),
  ).toEqual([]);
  expect(
    to([
      [C_TAG, 5],
      [C_TAG, 7],
    ]),
  ).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ VLAN_NOT_ALLOWED: 1, DOUBLE_TAGGED: 2 });
  expect(port!.request({ vlans: new Set([5]) })).toBeUndefined();
  expect(to([[C_TAG, 6]])).toEqual([]);
  expect(stage.drops(vf(0))).toMatchObject({ VLAN_SPOOF: 1 });
  const from = (id: number): number[] => stage.sent(WIRE, ethernet(station(2), station(99), [[C_TAG, id]]));
  expect([from(5), from(6), from(7)]).toEqual([[vf(0)], [], []]);
  expect(port!.request({ untagged: false })).toBeUndefined();
  expect(stage.sent(WIRE, ethernet(station(2), station(99)))).toEqual([]);
});

test('SR-15 what is between a station and its bridge leaves no function, and stops no port', () => {
  const stage = new CardStage(2);
  for (let last = 0; last < 16; last++) {
    const reserved = Uint8Array.of(1, 0x80, 0xc2, 0, 0, last);
    expect(stage.sent(vf(0), ethernet(reserved, station(2)))).toEqual([]);
    // The host speaks with the bridge at the other end of the wire, and nobody hears.
    expect(stage.sent(PHYSICAL, ethernet(reserved, station(1)))).toEqual([WIRE]);
    expect(stage.sent(WIRE, ethernet(reserved, station(99)))).toEqual([PHYSICAL]);
  }
  const pause = [0x88, 0x08, 0, 1, 0xff, 0xff];
  for (const to of [Uint8Array.of(1, 0x80, 0xc2, 0, 0, 1), station(3), BROADCAST])
    for (const from of [vf(0), PHYSICAL, WIRE])
      expect(stage.sent(from, ethernet(to, station(from), [], pause))).toEqual([]);
  expect(stage.sent(vf(0), ethernet(station(3), station(2), [[C_TAG, 0]], pause))).toEqual([]);
  expect(stage.drops(vf(0))).toEqual({ RESERVED: 16, MAC_CONTROL: 4 });
  expect(stage.sent(vf(0), ethernet(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 0x10), station(2)))).toEqual([WIRE]);
});

test('SR-16 a frame to be cut up is checked before: not one segment of a forged one leaves', () => {
  const stage = new CardStage(2);
  const send = (source: number): number => {
    const frame = stage.frame(largeTcp(station(77), station(source), 2500), 20, 30);
    return stage.card.virtual[0]!.backend.receive(Object.assign(frame, LARGE_TCP_FIELDS));
  };
  expect(send(3)).toBe(DELIVERED.DROPPED);
  expect(stage.devices[WIRE]!.frames).toHaveLength(0);
  expect(send(2)).toBe(DELIVERED.ACCEPTED);
  const segments = stage.devices[WIRE]!.frames;
  expect(segments.map(({ bytes }) => bytes.length)).toEqual([1054, 1054, 554]);
  for (const { bytes } of segments) expect(bytes.subarray(6, 12)).toEqual(station(2));
});

test('SR-16 with a port VLAN, every segment has its tag, and a receiver that takes large frames gets it whole without', () => {
  const asked: unknown[] = [];
  const admit = (...what: unknown[]): Delivered => {
    asked.push(what);
    return DELIVERED.ACCEPTED;
  };
  const stage = new CardStage(3, { gate: { ...OPEN_GATE, admit } }, EVERY_OFFLOAD);
  stage.card.wire.backend.attach(stage.devices[vf(2)]);
  stage.devices[vf(2)] = Object.assign(stage.devices[vf(2)]!, { offloads: 0 });
  stage.card.virtual[2]!.backend.attach(undefined);
  for (const port of [0, 1])
    stage.card.virtual[port]!.configure({ portVlan: { id: 100, priority: 0, protocol: C_TAG } });
  const bytes = largeTcp(BROADCAST, station(2), 2500);
  const frame = Object.assign(stage.frame(bytes), LARGE_TCP_FIELDS);
  expect(stage.card.virtual[0]!.backend.receive(frame)).toBe(DELIVERED.ACCEPTED);
  const [whole] = stage.devices[vf(1)]!.frames;
  expect(whole).toMatchObject(LARGE_TCP_FIELDS);
  expect(whole!.bytes).toEqual(bytes);
  const segments = stage.devices[vf(2)]!.bytes;
  expect(segments.map(({ length }) => length)).toEqual([1058, 1058, 558]);
  for (const segment of segments) expect(segment.subarray(12, 18)).toEqual(Uint8Array.of(0x81, 0, 0, 100, 8, 0));
  expect(asked).toEqual([[vf(0), 3, 2554 + 2 * 54, true, FRAME_KIND.BROADCAST]]);
});

test('SR-16 a frame to be cut up behind one tag more than can be looked behind is lost to those that want it cut up', () => {
  const stage = new CardStage(2);
  stage.card.virtual[0]!.configure({ portVlan: { id: 9, priority: 0, protocol: S_TAG } });
  const tags = [5, 6].flatMap((id) => [0x81, 0, 0, id]);
  const bytes = largeTcp(station(77), station(2), 2500);
  const tagged = Uint8Array.of(...bytes.subarray(0, 12), ...tags, ...bytes.subarray(12));
  const fields = { ...LARGE_TCP_FIELDS, hdrLen: 62, csumStart: 42 };
  const send = (): number => stage.card.virtual[0]!.backend.receive(Object.assign(stage.frame(tagged), fields));
  expect(send()).toBe(DELIVERED.ACCEPTED);
  expect(stage.drops(WIRE)).toEqual({ REFUSED: 1 });
  expect(stage.devices[WIRE]!.frames).toHaveLength(0);
  stage.card.virtual[0]!.configure({ portVlan: undefined });
  expect(send()).toBe(DELIVERED.ACCEPTED);
  expect(stage.devices[WIRE]!.bytes.map(({ length }) => length)).toEqual([1062, 1062, 562]);
});

test('SR-17 a driver that changes the addresses after they were checked changes nothing that is delivered', () => {
  const bytes = ethernet(BROADCAST, station(2));
  const forged = ethernet(BROADCAST, station(1), [[C_TAG, 200]]);
  for (const cuts of [[], [3, 5, 7], [12]]) {
    const stage = new CardStage(3, { gate: { ...OPEN_GATE, admit: () => forge() } });
    const frame = stage.frame(bytes, ...cuts);
    const at = frame.ranges.offset[0]!;
    const forge = (): Delivered => {
      stage.memory.u8.set(forged.subarray(0, 18), at);
      return DELIVERED.ACCEPTED;
    };
    expect(stage.card.virtual[0]!.backend.receive(frame)).toBe(DELIVERED.ACCEPTED);
    for (const port of [WIRE, PHYSICAL, vf(1), vf(2)]) expect(stage.last(port)).toEqual(bytes);
  }
});

test('SR-20 a function that sends from 100 000 addresses has its share of the table, and the others keep theirs', () => {
  const stage = new CardStage(3, { learning: true, macTableEntries: 1024, learnedPerPort: 32 });
  for (const port of [0, 1]) stage.card.virtual[port]!.configure({ checkMac: false });
  stage.send(vf(1), ethernet(station(0x7777), station(0x5555)));
  const frame = stage.frame(ethernet(station(0x7777), station(0)));
  const at = frame.ranges.offset[0]!;
  for (let number = 0; number < 100_000; number++) {
    stage.memory.u8[at + 9] = number >>> 16;
    stage.memory.u8[at + 10] = number >>> 8;
    stage.memory.u8[at + 11] = number;
    stage.card.virtual[0]!.backend.receive(frame);
    if (stage.devices[WIRE]!.frames.length > 1000) stage.devices[WIRE]!.frames.length = 0;
  }
  expect(stage.card.learnedOf(vf(0)).known).toBe(32);
  // It named its sibling's address as well, which stays where it was: there is no room for it here.
  expect(stage.sent(vf(2), ethernet(station(0x5555), station(4)))).toEqual([vf(1)]);
  // What settings name is never learnt.
  stage.send(vf(1), ethernet(station(0x7777), station(4)));
  expect(stage.sent(PHYSICAL, ethernet(station(4), station(1)))).toEqual([vf(2)]);
  stage.time += 300_000_001;
  expect(stage.sent(vf(2), ethernet(station(0x5555), station(4)))).toEqual([WIRE]);
});

test('SR-21 broadcasts and unknown addresses of one function go where they go, and no receiver is held up', () => {
  const stage = new CardStage(3);
  stage.devices[vf(2)]!.answers.push(...new Array<typeof DELIVERED.FULL>(100).fill(DELIVERED.FULL));
  for (let i = 0; i < 100; i++) expect(stage.send(vf(0), ethernet(BROADCAST, station(2)))).toBe(DELIVERED.ACCEPTED);
  expect(stage.drops(vf(2))).toEqual({ NO_ROOM: 100 });
  expect(stage.sent(vf(1), ethernet(station(4), station(3)))).toEqual([vf(2)]);
});

test('SR-22 a function without receive buffers loses what is sent to it; its sender and the others are not held up', () => {
  const stage = new CardStage(3);
  const deaf = stage.devices[vf(1)]!;
  for (let i = 0; i < 100; i++) {
    deaf.answers.push(DELIVERED.FULL, DELIVERED.FULL);
    expect(stage.send(vf(0), ethernet(station(3), station(2)))).toBe(DELIVERED.ACCEPTED);
    expect(stage.sent(vf(0), ethernet(BROADCAST, station(2)))).toEqual([WIRE, PHYSICAL, vf(2)]);
  }
  expect(stage.drops(vf(1))).toEqual({ NO_ROOM: 200 });
  expect(stage.drops(vf(0))).toEqual({});
});

test('SR-25 a group’s frame that is longer than one of five receivers takes is lost for that one alone', () => {
  const stage = new CardStage(6);
  for (const [index, port] of stage.card.virtual.entries())
    port.configure({ multicast: [GROUP], longestFrame: index === 3 ? 1518 : 9018 });
  const rest = [0x88, 0xb5, ...new Array<number>(1505).fill(7)];
  expect(stage.sent(vf(0), ethernet(GROUP, station(2), [], rest))).toEqual([WIRE, vf(1), vf(2), vf(4), vf(5)]);
  expect(stage.drops(vf(3))).toEqual({ TOO_LONG: 1 });
  // A tag counts; without it the frame fits.
  expect(stage.sent(vf(0), ethernet(GROUP, station(2), [], rest.slice(3)))).toEqual([
    WIRE,
    vf(1),
    vf(2),
    vf(3),
    vf(4),
    vf(5),
  ]);
  expect(stage.sent(vf(0), ethernet(GROUP, station(2), [[C_TAG, 5]], rest.slice(3)))).toHaveLength(5);
});

test('SR-26 a group’s frame to 64 functions, one of which is being reset, arrives 63 times', () => {
  const stage = new CardStage(65);
  for (const port of stage.card.virtual) port.configure({ multicast: [GROUP] });
  const reset = stage.card.virtual[20]!;
  reset.request({ multicast: [GROUP] });
  reset.forgetWishes();
  // As a device answers that does not run.
  stage.devices[vf(20)]!.answers.push(DELIVERED.DROPPED);
  expect(stage.sent(vf(0), ethernet(GROUP, station(2))).filter((port) => port !== WIRE)).toHaveLength(63);
  expect(stage.drops(vf(20))).toEqual({ REFUSED: 1 });
  // Gone altogether in the middle of it: taken away by what the receiver before it does.
  stage.card.virtual[19]!.backend.attach({
    offloads: 0,
    receive: () => {
      reset.backend.attach(undefined);
      return DELIVERED.ACCEPTED;
    },
  });
  expect(stage.sent(vf(0), ethernet(GROUP, station(2))).filter((port) => port !== WIRE)).toHaveLength(62);
  expect(stage.drops(vf(20))).toEqual({ REFUSED: 1, NO_DEVICE: 1 });
});

test('SR-29 of a longer frame before, nothing is seen by whoever gets a shorter one', () => {
  const stage = new CardStage(3);
  const at = stage.memory.size - 4096;
  const buffer = stage.memory.u8.subarray(at, at + 2048);
  // A receiver as a device is: it copies what the frame has into a buffer, and no more.
  const receive = (frame: Frame): typeof DELIVERED.ACCEPTED => {
    buffer.fill(0xcc);
    copyFrame(frame, 0, stage.memory, at, frame.length);
    return DELIVERED.ACCEPTED;
  };
  stage.card.virtual[1]!.backend.attach({ offloads: 0, receive });
  stage.card.virtual[1]!.configure({ portVlan: { id: 5, priority: 0, protocol: C_TAG } });
  stage.card.virtual[2]!.configure({ portVlan: { id: 5, priority: 0, protocol: C_TAG } });
  const secret = new Array<number>(1000).fill(0xaa);
  stage.send(vf(0), ethernet(station(77), station(2), [], [8, 0, ...secret]));
  for (let length = 0; length < 30; length++) {
    const rest = [0x88, 0xb5, ...new Array<number>(length).fill(0xbb)];
    stage.send(vf(2), ethernet(station(3), station(4), [], rest));
    expect(buffer.subarray(0, 14 + length)).toEqual(ethernet(station(3), station(4), [], rest));
    expect(buffer.subarray(14 + length).every((byte) => byte === 0xcc)).toBe(true);
  }
});
