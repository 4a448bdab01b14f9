import { FrameRun } from '@ringwire/net-backend';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unaccountedFrames } from './conservation.js';
import { dropName } from './drop-reason.js';
import type { FlowRule, Mirror } from './flow-rule.js';
import type { PortSettings } from './port-settings.js';
import { BROADCAST, CardStage, ethernet, station, vf } from './testing/card-stage.js';
import { type ReferenceOutcome, ReferenceSwitch } from './testing/reference-switch.js';

const FUNCTIONS = 3;
const PORTS = 2 + FUNCTIONS;
const GROUPS = [Uint8Array.of(1, 0, 0x5e, 0, 0, 1), Uint8Array.of(3, 0, 0, 0, 0, 9)];
const RESERVED = Uint8Array.of(1, 0x80, 0xc2, 0, 0, 14);

const port = fc.integer({ min: 0, max: PORTS - 1 });
const vlanId = fc.constantFrom(5, 6, 7);
const stationMac = fc.integer({ min: 1, max: 8 }).map(station);
const settings = fc.record<Partial<PortSettings>>(
  {
    portVlan: fc.option(
      fc.record({ id: vlanId, priority: fc.nat(7), protocol: fc.constantFrom(0x8100 as const, 0x88a8 as const) }),
      { nil: undefined },
    ),
    unicast: fc.array(stationMac, { maxLength: 2 }),
    multicast: fc.array(fc.constantFrom(...GROUPS), { maxLength: 2 }),
    promiscuous: fc.boolean(),
    allMulticast: fc.boolean(),
    broadcast: fc.boolean(),
    untagged: fc.boolean(),
    vlans: fc.oneof(
      fc.constant('all' as const),
      fc.array(vlanId).map((ids) => new Set(ids)),
    ),
    allowedVlans: fc.oneof(
      fc.constant('all' as const),
      fc.array(vlanId).map((ids) => new Set(ids)),
    ),
    checkMac: fc.boolean(),
    checkVlan: fc.boolean(),
    hairpin: fc.boolean(),
    longestFrame: fc.constantFrom(64, 70, 1518),
    link: fc.constantFrom('auto', 'auto', 'auto', 'enable', 'disable'),
  },
  { requiredKeys: [] },
);
const tag = fc.tuple(fc.constantFrom(0x8100, 0x8100, 0x88a8), fc.constantFrom(0, 5, 6, 7, 0xe000, 0x6005, 4095));
const frame = fc.record({
  from: port,
  to: fc.oneof(stationMac, stationMac, fc.constantFrom(BROADCAST, RESERVED, ...GROUPS)),
  source: fc.option(fc.oneof(stationMac, fc.constantFrom(GROUPS[0]!)), { freq: 2 }),
  tags: fc.array(tag, { maxLength: 2 }),
  rest: fc.constantFrom([0x08, 0x00, 1], [0x88, 0xb5], [0x88, 0x08, 0, 1], [0x88], new Array<number>(60).fill(8)),
  cuts: fc.constantFrom([], [], [6, 8], [13]),
  copies: fc.constantFrom(0, 0, 1, 2, 3),
});
const match = fc.record(
  {
    ports: fc.array(port, { minLength: 1, maxLength: 2 }),
    to: fc.record({ mac: stationMac }),
    vlan: fc.constantFrom(0, 5),
    etherType: fc.constantFrom(0x0800, 0x88b5),
  },
  { requiredKeys: [] },
);
const action = fc.oneof(
  fc.record({ kind: fc.constantFrom('allow' as const, 'drop' as const, 'count' as const) }),
  fc.record({ kind: fc.constantFrom('redirect' as const, 'mirror' as const), port }),
  fc.record({ kind: fc.constant('setVlan' as const), id: vlanId, priority: fc.nat(7) }),
);
const rule = fc
  .record({ match, action })
  .map((one): FlowRule => one)
  .filter((one) => !('port' in one.action && (one.match.ports?.includes(one.action.port) ?? false)));
const mirror = fc
  .record<Mirror>({ port, direction: fc.constantFrom('in', 'out', 'both'), to: port })
  .filter((one) => one.port !== one.to);
const config = fc.record({
  ports: fc.array(fc.option(settings, { freq: 2, nil: {} }), { minLength: PORTS, maxLength: PORTS }),
  unplugged: fc.array(port, { maxLength: 1 }),
  mode: fc.constantFrom('veb' as const, 'veb' as const, 'vepa' as const),
  learning: fc.boolean(),
  floating: fc.boolean(),
  defaultPort: fc.constantFrom(-1, -1, 1, 3),
  promiscuous: fc.constantFrom('unmatched' as const, 'everything' as const),
  rules: fc.oneof(fc.constant([]), fc.array(rule, { maxLength: 4 })),
  mirrors: fc.oneof(fc.constant([]), fc.array(mirror, { maxLength: 3 })),
});

function staged(wanted: typeof config extends fc.Arbitrary<infer T> ? T : never): CardStage {
  const { mode, learning, floating, defaultPort, promiscuous } = wanted;
  const stage = new CardStage(FUNCTIONS, { mode, learning, floating, defaultPort, promiscuous });
  for (const [index, changes] of wanted.ports.entries()) stage.card.ports[index]!.configure(changes);
  for (const index of wanted.unplugged) stage.card.ports[index]!.backend.attach(undefined);
  stage.card.setRules(wanted.rules);
  stage.card.setMirrors(wanted.mirrors);
  return stage;
}

/**
 * Send a frame, as a device does that sends several at once, or as one that does not.
 * @param copies of it in a run; 0: it comes by itself
 */
function send(stage: CardStage, from: number, bytes: Uint8Array, cuts: readonly number[], copies: number): void {
  const { backend } = stage.card.ports[from]!;
  const one = stage.frame(bytes, ...cuts);
  if (copies === 0) {
    backend.receive(one);
    return;
  }
  const [at] = one.ranges.offset;
  for (let copy = 1; copy < copies; copy++) one.ranges.push(at!, bytes.length);
  const run = new FrameRun(stage.memory);
  Object.assign(run, { ranges: one.ranges, count: copies, bytes: copies * bytes.length });
  for (let sent = backend.receiveRun!(run); sent < copies; sent++) backend.receive(one);
}

test('whatever is set and sent, everybody gets what a slow model says, drops have its reasons, and frames are conserved', () => {
  fc.assert(
    fc.property(config, fc.array(frame, { minLength: 1, maxLength: 12 }), (wanted, frames) => {
      const stage = staged(wanted);
      const ports = stage.card.ports.map((one, index) => ({
        settings: one.settings,
        isPlugged: !wanted.unplugged.includes(index),
      }));
      const reference = new ReferenceSwitch({ ...wanted, ports });
      for (const { from, to, source, tags, rest, cuts, copies } of frames) {
        const bytes = ethernet(to, source ?? station(from), tags, rest);
        const drops = stage.card.ports.map(({ counters }) => counters.drops.slice());
        const counts = stage.devices.map((device) => device.frames.length);
        const explanation = stage.card.explain(from, bytes);
        const together = cuts.length === 0 ? copies : 0;
        send(stage, from, bytes, cuts, together);
        const outcomes = Array.from({ length: Math.max(1, together) }, () => reference.send(from, bytes));
        const got = stage.devices.map((device, index) => device.bytes.slice(counts[index]).map((one) => [...one]));
        const lost = stage.card.ports.map(({ counters }, index) =>
          [...counters.drops].flatMap((count, reason) =>
            new Array<string>(count - drops[index]![reason]!).fill(dropName(reason)),
          ),
        );
        for (let index = 0; index < PORTS; index++) {
          const wants = outcomes.map(({ ports: each }) => each.get(index));
          expect(got[index]).toEqual(wants.filter((want) => typeof want === 'object'));
          const dropped = index === from ? outcomes.map(({ drop }) => drop) : [];
          const wantLost = [...dropped, ...wants.filter((want) => typeof want === 'string')];
          expect(lost[index]!.toSorted()).toEqual(wantLost.filter((want) => want !== undefined).toSorted());
        }
        const [{ drop, ports: wants }] = outcomes as [ReferenceOutcome];
        // What would have become of it was said beforehand.
        expect(explanation.drop).toBe(drop);
        const said = explanation.ports.map((one) => [one.port, one.drop] as const);
        const were = [...wants].map(([index, what]) => [index, typeof what === 'string' ? what : undefined] as const);
        expect(new Map(said)).toEqual(new Map(were));
        expect(unaccountedFrames(stage.card.ports)).toBe(0);
      }
    }),
    { numRuns: 1500 },
  );
});

test('SR-29 no byte of one tenant reaches another one, whatever tags and addresses it sends', () => {
  const tenants = [10, 10, 20, 20];
  const sends = fc.record({
    from: fc.nat(3),
    to: fc.oneof(fc.integer({ min: 1, max: 6 }).map(station), fc.constantFrom(BROADCAST, ...GROUPS)),
    source: fc.option(fc.integer({ min: 1, max: 6 }).map(station)),
    tags: fc.array(fc.tuple(fc.constantFrom(0x8100, 0x88a8), fc.constantFrom(0, 10, 20)), { maxLength: 3 }),
    length: fc.nat(80),
  });
  fc.assert(
    fc.property(fc.array(sends, { maxLength: 20 }), fc.boolean(), (frames, learning) => {
      const stage = new CardStage(4, { learning });
      for (const [index, one] of stage.card.virtual.entries()) {
        const portVlan = { id: tenants[index]!, priority: 0, protocol: 0x8100 } as const;
        one.configure({ portVlan, trusted: true, multicast: GROUPS });
        one.request({ promiscuous: true, allMulticast: true });
      }
      for (const { from, to, source, tags, length } of frames) {
        // Bytes that only this tenant's frames have, wherever they may lie: in the frame, and around it in memory.
        stage.memory.u8.fill(tenants[from]! | 0xc0, stage.memory.size - 0x1_0000);
        const rest = new Array<number>(2 + length).fill(tenants[from]! | 0xc0);
        stage.send(vf(from), ethernet(to, source ?? station(vf(from)), tags, rest));
      }
      for (const [index, tenant] of tenants.entries()) {
        const foreign = (tenant === 10 ? 20 : 10) | 0xc0;
        for (const bytes of stage.devices[vf(index)]!.bytes) expect(bytes.includes(foreign)).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});
