import type { PortSettings } from '@ringwire/eswitch';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stationMac } from '../claims/card-machine.js';
import type { FunctionKind } from '../claims/function-kind.js';
import { OUTSIDE } from '../claims/station.js';
import type { HostileFunction } from './hostile-function.js';
import { Random } from './random.js';
import { findTaint, taintFrame, taintMemory } from './taint.js';
import { SHORTEST, TaintCard } from './taint-card.js';

const KINDS: readonly FunctionKind[] = ['virtio', '82599', 'vendor-b'];
/** With the physical functions, each of which has an address, too. */
const STATIONS = KINDS.length + new Set(KINDS).size;
const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
const BROADCAST = new Uint8Array(6).fill(0xff);
const UNKNOWN = Uint8Array.of(2, 9, 9, 9, 9, 9);

test('taint says whose it is, at whatever offset it lies, and nothing else looks like it', () => {
  const bytes = new Uint8Array(400);
  taintMemory(bytes, 8, 64, 2, 0x4_0000);
  const frame = new Uint8Array(75);
  taintFrame(frame, 24, 3, 17);
  bytes.set(frame, 101);
  bytes.set(bytes.subarray(20, 40), 303);
  expect(findTaint(bytes, 0, bytes.length)).toEqual([
    { owner: 2, frame: -1, offset: 0x4_0000, at: 8, bytes: 64 },
    { owner: 3, frame: 17, offset: 0, at: 125, bytes: 48 },
    { owner: 2, frame: -1, offset: 0x4_000c, at: 303, bytes: 20 },
  ]);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 100, maxLength: 100 }), (noise) => findTaint(noise, 0, 100).length === 0),
  );
});

type Deed = (card: TaintCard, hostile: HostileFunction | undefined) => void;

const who = fc.integer({ min: -1, max: KINDS.length - 1 });
const to = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: STATIONS }).map(stationMac) },
  { weight: 1, arbitrary: fc.constantFrom(OUTSIDE, BROADCAST, GROUP, UNKNOWN) },
);
const tags = fc.constantFrom<readonly number[]>([], [], [], [0x81, 0, 0, 5], [0x81, 0, 0, 6], [0x81, 0, 0xe0, 0]);
const send = fc.record({
  from: who,
  source: fc.option(fc.integer({ min: 1, max: 9 }), { freq: 6 }),
  to,
  tags,
  type: fc.constantFrom([0x88, 0xb5], [0x88, 0xb5], [0x08, 0x00]),
  bytes: fc.constantFrom(SHORTEST, 45, 59, 60, 61, 64, 128, 590, 1514),
});
const settings = fc.record<Partial<PortSettings>>(
  {
    portVlan: fc.constantFrom(
      undefined,
      { id: 5, priority: 0, protocol: 0x8100 },
      { id: 6, priority: 3, protocol: 0x8100 },
    ),
    promiscuous: fc.boolean(),
    allMulticast: fc.boolean(),
    broadcast: fc.boolean(),
    multicast: fc.constantFrom([], [GROUP]),
    vlans: fc.constantFrom('all' as const, new Set([5])),
    checkMac: fc.boolean(),
    hairpin: fc.boolean(),
    longestFrame: fc.constantFrom(64, 1518),
  },
  { requiredKeys: [] },
);
const port = fc.integer({ min: 0, max: 1 + KINDS.length });
const mirror = fc
  .record({ port, direction: fc.constantFrom('in' as const, 'out' as const, 'both' as const), to: port })
  .filter((one) => one.port !== one.to);
const redirect = fc
  .record({ from: port, to: port })
  .filter((one) => one.from !== one.to)
  .map((one) => ({
    match: { ports: [one.from], to: { mac: UNKNOWN } },
    action: { kind: 'redirect' as const, port: one.to },
  }));

const sending: fc.Arbitrary<Deed> = fc.array(send, { minLength: 1, maxLength: 6 }).map((frames) => (card) => {
  for (const { from, source, to: mac, tags: tag, type, bytes } of frames) {
    const own = from < 0 ? OUTSIDE : stationMac(from + 1);
    const header = Uint8Array.of(...mac, ...(source === null ? own : stationMac(source)), ...tag, ...type);
    // Vendor B's driver sends nothing shorter.
    card.send(from, header, KINDS[from] === 'vendor-b' ? Math.max(60, bytes) : bytes);
  }
});
/** virtio functions and the 82599 cut up. No segment is too short for taint. */
const message: fc.Arbitrary<Deed> = fc.tuple(fc.nat(1), to, fc.constantFrom(40, 100, 1448, 1488, 5000, 16_000)).map(
  ([from, mac, payload]) =>
    (card) =>
      card.sendMessage(from, mac, payload),
);
const setting: fc.Arbitrary<Deed> = fc.oneof(
  fc.tuple(fc.nat(KINDS.length - 1), settings).map(
    ([vf, changes]): Deed =>
      (card) => {
        card.eswitch.virtual[vf]!.configure(changes);
      },
  ),
  fc.array(mirror, { maxLength: 2 }).map(
    (mirrors): Deed =>
      (card) =>
        card.eswitch.setMirrors(mirrors),
  ),
  fc.array(redirect, { maxLength: 2 }).map(
    (rules): Deed =>
      (card) =>
        card.eswitch.setRules(rules),
  ),
);
const harm: fc.Arbitrary<Deed> = fc.oneof(
  fc.constantFrom<Deed>(
    (_, hostile) => hostile?.kick(),
    (_, hostile) => hostile?.mail(),
    (_, hostile) => hostile?.mask(),
    (_, hostile) => hostile?.scribble(200),
    (_, hostile) => hostile?.misaddress(),
    (_, hostile) => hostile?.reset(),
    (_, hostile) => hostile?.revive(),
  ),
  fc.nat(30).map(
    (times): Deed =>
      (_, hostile) => {
        for (let n = 0; n < times; n++) hostile?.register();
      },
  ),
);
/** A short frame and a long one of each to each. */
const everybody: Deed = (card) => {
  for (const from of [-1, ...KINDS.keys()])
    for (let station = 1; station <= STATIONS; station++)
      for (const bytes of [KINDS[from] === 'vendor-b' ? 60 : SHORTEST, 200 + station])
        card.send(
          from,
          Uint8Array.of(...stationMac(station), ...(from < 0 ? OUTSIDE : stationMac(from + 1)), 0x88, 0xb5),
          bytes,
        );
};
const deed = fc.oneof(
  { weight: 6, arbitrary: sending },
  { weight: 2, arbitrary: message },
  { weight: 2, arbitrary: setting },
  { weight: 3, arbitrary: harm },
);

describe.each(['split', 'packed'] as const)('with virtio functions of %s rings', (rings) => {
  test('SR-29 SR-17: no byte of a guest reaches another one, its host or the wire outside of frames that are for it', () => {
    let received = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(-1, -1, 0, 1, 2),
        fc.nat(1000),
        fc.array(deed, { minLength: 5, maxLength: 25 }),
        (vf, seed, deeds) => {
          const card = new TaintCard(KINDS, rings);
          const hostile = vf < 0 ? undefined : card.turnHostile(vf, new Random(seed));
          for (const one of [everybody, ...deeds]) {
            one(card, hostile);
            card.work();
            if (hostile !== undefined) card.look(vf, hostile.registers(), 'its registers');
          }
          card.settle();
          card.lookAtStates();
          expect(card.judge.violations).toEqual([]);
          received += card.judge.received;
        },
      ),
      { numRuns: 30 },
    );
    expect(received).toBeGreaterThan(1000);
  });
});
