import { DELIVERED } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { explanationText } from './explanation.js';
import type { FlowMatch, FlowRule } from './flow-rule.js';
import { BROADCAST, CardStage, ethernet, largeTcp, PHYSICAL, station, vf, WIRE } from './testing/card-stage.js';

const C_TAG = 0x8100;
const REPRESENTOR = (index: number, functions: number): number => 2 + functions + index;
const plain = ethernet(station(3), station(2));
/** 10.0.0.1 port 0x1000 to 10.0.0.2 port 0x2000, TCP. */
const tcp = largeTcp(station(3), station(2), 10);
const udp6 = ethernet(
  station(3),
  station(2),
  [],
  [
    ...[0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 17, 64],
    ...[0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ...[0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ...[0, 53, 0x30, 0x39, 0, 8, 0, 0],
  ],
);

function matches(match: FlowMatch, bytes: Uint8Array): boolean {
  const stage = new CardStage(2);
  stage.card.setRules([{ match, action: { kind: 'drop' } }]);
  return stage.sent(vf(0), bytes).length === 0;
}

test('a rule matches by every field that it names, and not by what a frame does not have', () => {
  const yes: [FlowMatch, Uint8Array][] = [
    [{}, plain],
    [{ ports: [vf(0)] }, plain],
    [{ to: { mac: station(3) }, from: { mac: station(2) } }, plain],
    [{ to: { mac: station(0x300), mask: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0) } }, plain],
    [{ vlan: 0, etherType: 0x88b5 }, plain],
    [{ vlan: 7, etherType: 0x88b5 }, ethernet(station(3), station(2), [[C_TAG, 7]])],
    [{ protocol: 6, source: { address: Uint8Array.of(10, 0, 0, 1), bits: 32 } }, tcp],
    [{ destination: { address: Uint8Array.of(10, 0, 0, 0), bits: 30 } }, tcp],
    [{ sourcePort: [0x1000, 0x1000], destinationPort: [0x1fff, 0x2001] }, tcp],
    [{ protocol: 17, source: { address: Uint8Array.of(0xfd, 1, ...new Array<number>(14).fill(0)), bits: 120 } }, udp6],
    [{ sourcePort: [53, 53] }, udp6],
  ];
  for (const [match, bytes] of yes) expect([match, matches(match, bytes)]).toEqual([match, true]);
  const no: [FlowMatch, Uint8Array][] = [
    [{ ports: [vf(1)] }, plain],
    [{ to: { mac: station(4) } }, plain],
    [{ to: { mac: station(4), mask: Uint8Array.of(0, 0, 0, 0, 0, 4) } }, plain],
    [{ vlan: 7 }, plain],
    [{ etherType: 0x0800 }, udp6],
    [{ protocol: 17 }, plain],
    [{ source: { address: Uint8Array.of(10, 0, 0, 2), bits: 31 } }, tcp],
    [{ source: { address: new Uint8Array(16), bits: 0 } }, tcp],
    [{ destinationPort: [0x2001, 0xffff] }, tcp],
    [{ sourcePort: [0, 0xffff] }, tcp.subarray(0, 40)],
  ];
  for (const [match, bytes] of no) expect([match, matches(match, bytes)]).toEqual([match, false]);
});

test('rules are asked in order: the first that says where a frame goes is the last, and each one counts', () => {
  const stage = new CardStage(4);
  const rules: FlowRule[] = [
    { name: 'all', match: {}, action: { kind: 'count' } },
    { match: { etherType: 0x0800 }, action: { kind: 'allow' } },
    { match: { ports: [vf(0)] }, action: { kind: 'redirect', port: vf(3) } },
    { match: {}, action: { kind: 'drop' } },
  ];
  stage.card.setRules(rules);
  expect(stage.sent(vf(0), tcp)).toEqual([vf(1)]);
  expect(stage.sent(vf(0), plain)).toEqual([vf(3)]);
  expect(stage.send(vf(1), ethernet(station(2), station(3)))).toBe(DELIVERED.DROPPED);
  expect(stage.card.rules.map(({ frames }) => frames)).toEqual([3, 1, 1, 1]);
  expect(stage.card.rules[1]!.bytes).toBe(64);
  expect(stage.drops(vf(1))).toEqual({ RULE: 1 });
  // Policies come before rules: no rule lets a forged frame through.
  stage.card.setRules([{ match: {}, action: { kind: 'redirect', port: WIRE } }]);
  expect(stage.sent(vf(0), ethernet(station(4), station(3)))).toEqual([]);
  stage.card.setRules([]);
  expect(stage.sent(vf(0), plain)).toEqual([vf(1)]);
});

test('a rule moves frames to another VLAN, where they are that VLAN’s', () => {
  const stage = new CardStage(3);
  stage.card.virtual[1]!.configure({ portVlan: { id: 30, priority: 0, protocol: C_TAG } });
  expect(stage.sent(vf(0), plain)).toEqual([WIRE]);
  stage.card.setRules([{ match: { ports: [vf(0)] }, action: { kind: 'setVlan', id: 30, priority: 5 } }]);
  expect(stage.sent(vf(0), plain)).toEqual([vf(1)]);
  expect(stage.last(vf(1))).toEqual(plain);
  expect(stage.sent(vf(0), ethernet(station(77), station(2), [[C_TAG, 9]]))).toEqual([WIRE]);
  expect(stage.last(WIRE)).toEqual(ethernet(station(77), station(2), [[C_TAG, 0xa01e]]));
});

test('SR-24 a mirror or a redirection of a port to itself is refused, and one that meets itself is one copy', () => {
  const stage = new CardStage(3);
  const { card } = stage;
  const itself = { match: { ports: [vf(0)] }, action: { kind: 'redirect', port: vf(0) } } as const;
  expect(() => card.setRules([itself])).toThrow('rules[0].action.port is 2, want another port');
  const mirror = { ...itself, action: { kind: 'mirror', port: vf(0) } } as const;
  expect(() => card.setRules([mirror])).toThrow('rules[0].action.port is 2, want another port');
  expect(() => card.setMirrors([{ port: vf(0), direction: 'both', to: vf(0) }])).toThrow('mirrors[0].to is 2');
  // From any port, so from this one too.
  card.setRules([{ match: {}, action: { kind: 'redirect', port: vf(0) } }]);
  expect(stage.sent(vf(0), plain)).toEqual([]);
  expect(stage.sent(vf(1), ethernet(station(4), station(3)))).toEqual([vf(0)]);
  card.setRules([]);
  // Round in a ring: each frame is copied once, and copies are not mirrored.
  card.setMirrors([
    { port: vf(0), direction: 'both', to: vf(1) },
    { port: vf(1), direction: 'both', to: vf(2) },
    { port: vf(2), direction: 'both', to: vf(0) },
  ]);
  expect(stage.sent(vf(0), ethernet(station(1), station(2)))).toEqual([PHYSICAL, vf(1)]);
  expect(stage.sent(vf(0), plain)).toEqual([vf(1), vf(2)]);
  expect(stage.sent(vf(0), ethernet(BROADCAST, station(2)))).toEqual([WIRE, PHYSICAL, vf(1), vf(2)]);
});

test('a mirror shows what comes in and what goes out, as it is in the switch, and keeps nothing up', () => {
  const stage = new CardStage(3);
  stage.card.virtual[0]!.configure({ portVlan: { id: 30, priority: 0, protocol: C_TAG } });
  stage.card.setMirrors([
    { port: vf(0), direction: 'in', to: PHYSICAL },
    { port: vf(1), direction: 'out', to: vf(2) },
  ]);
  expect(stage.sent(vf(0), ethernet(station(77), station(2)))).toEqual([WIRE, PHYSICAL]);
  expect(stage.last(PHYSICAL)).toEqual(ethernet(station(77), station(2), [[C_TAG, 30]]));
  expect(stage.sent(WIRE, ethernet(station(2), station(99), [[C_TAG, 30]]))).toEqual([vf(0)]);
  stage.devices[vf(2)]!.answers.push(DELIVERED.FULL);
  expect(stage.sent(WIRE, ethernet(station(3), station(99)))).toEqual([vf(1)]);
  expect(stage.drops(vf(2))).toEqual({ NO_ROOM: 1 });
  expect(stage.sent(WIRE, ethernet(station(3), station(99)))).toEqual([vf(1), vf(2)]);
  // What a rule drops is seen nevertheless, and counts as dropped.
  stage.card.setRules([
    { match: { from: { mac: station(2) } }, action: { kind: 'mirror', port: vf(2) } },
    { match: {}, action: { kind: 'drop' } },
  ]);
  expect(stage.sent(vf(0), ethernet(station(77), station(2)))).toEqual([PHYSICAL, vf(2)]);
  expect(stage.drops(vf(0))).toEqual({ RULE: 1 });
});

test('rules that cannot be are refused by name, and the rules are as before', () => {
  const stage = new CardStage(2);
  stage.card.setRules([{ match: {}, action: { kind: 'drop' } }]);
  const drop = { kind: 'drop' } as const;
  const mistakes: [FlowRule, string][] = [
    [{ match: { ports: [4] }, action: drop }, 'rules[0].match.ports is 4, want an integer from 0 to 3'],
    [{ match: { vlan: 4095 }, action: drop }, 'rules[0].match.vlan is 4095'],
    [{ match: { to: { mac: new Uint8Array(5) } }, action: drop }, 'rules[0].match.to'],
    [{ match: { source: { address: new Uint8Array(4), bits: 33 } }, action: drop }, 'rules[0].match.source.bits is 33'],
    [{ match: { source: { address: new Uint8Array(5), bits: 3 } }, action: drop }, 'rules[0].match.source'],
    [{ match: { sourcePort: [5, 4] }, action: drop }, 'rules[0].match.sourcePort is 4'],
    [{ match: {}, action: { kind: 'mirror', port: -1 } }, 'rules[0].action.port is -1'],
    [{ match: {}, action: { kind: 'setVlan', id: 0, priority: 0 } }, 'rules[0].action.id is 0'],
    [{ match: {}, action: { kind: 'loop' } as never }, 'rules[0].action.kind is loop'],
  ];
  for (const [rule, message] of mistakes) expect(() => stage.card.setRules([rule])).toThrow(message);
  expect(() => stage.card.setRules(new Array<FlowRule>(1025).fill({ match: {}, action: drop }))).toThrow(
    'at most 1024',
  );
  expect(stage.sent(vf(0), plain)).toEqual([]);
});

test('SR-28 a rule or a mirror about ports that there are not leaves everything as it was', () => {
  const stage = new CardStage(1);
  expect(() => stage.card.setMirrors([{ port: 0, direction: 'in', to: 3 }])).toThrow('mirrors[0].to is 3');
  expect(() => stage.card.setMirrors([{ port: 0, direction: 'up' as 'in', to: 1 }])).toThrow(
    'mirrors[0].direction is up',
  );
  expect(stage.sent(WIRE, ethernet(station(2), station(99)))).toEqual([vf(0)]);
});

test('switchdev: what no rule knows goes by the representors, what a rule knows does not, and functions count the same', () => {
  const stage = new CardStage(2, { switchdev: true });
  const { card } = stage;
  // Software that forwards between representors.
  const [one, other] = card.representors;
  let slow = 0;
  for (const [from, to] of [
    [one!, other!],
    [other!, one!],
  ] as const) {
    from.backend.attach({
      offloads: 0,
      receive: (frame) => {
        slow++;
        return to.backend.receive(frame);
      },
    });
  }
  const back = ethernet(station(2), station(3));
  const counters = (): unknown => structuredClone(card.virtual.map((port) => port.counters));
  expect(stage.sent(vf(0), plain)).toEqual([vf(1)]);
  expect(stage.sent(vf(1), back)).toEqual([vf(0)]);
  expect(slow).toBe(2);
  const bySoftware = counters();
  const fresh = new CardStage(2, { switchdev: true });
  fresh.card.setRules([
    { match: { to: { mac: station(3) } }, action: { kind: 'allow' } },
    { match: { ports: [vf(1)] }, action: { kind: 'redirect', port: vf(0) } },
  ]);
  expect(fresh.sent(vf(0), plain)).toEqual([vf(1)]);
  expect(fresh.sent(vf(1), back)).toEqual([vf(0)]);
  expect(fresh.card.virtual.map((port) => port.counters)).toEqual(bySoftware);
  expect(fresh.devices[REPRESENTOR(0, 2)]!.frames).toHaveLength(0);
  // A forged frame reaches not even the representor.
  expect(fresh.sent(vf(0), ethernet(station(3), station(1)))).toEqual([]);
  // Wire and host are each other's.
  expect(fresh.sent(WIRE, ethernet(station(2), station(99)))).toEqual([PHYSICAL]);
  expect(fresh.sent(PHYSICAL, ethernet(station(2), station(1)))).toEqual([WIRE]);
  expect(fresh.sent(vf(0), ethernet(BROADCAST, station(2)))).toEqual([REPRESENTOR(0, 2)]);
  expect(fresh.sent(REPRESENTOR(1, 2), ethernet(BROADCAST, station(2)))).toEqual([vf(1)]);
});

test('explain: which rules were looked at and who gets the frame, in words and as data, with nothing changed', () => {
  const stage = new CardStage(3, { learning: true });
  stage.card.virtual[0]!.configure({ portVlan: { id: 30, priority: 1, protocol: C_TAG } });
  stage.card.virtual[1]!.configure({ portVlan: { id: 30, priority: 1, protocol: C_TAG }, longestFrame: 100 });
  stage.card.setRules([{ name: 'web', match: { protocol: 6 }, action: { kind: 'count' } }]);
  const before = JSON.stringify(stage.card.ports.map(({ counters }) => counters));
  const explanation = stage.card.explain(vf(0), ethernet(BROADCAST, station(2), [], new Array<number>(95).fill(8)));
  expect(explanationText(explanation).split('\n')).toEqual([
    'frame from port 2',
    'port 2: port VLAN: tag of VLAN 30, priority 1, in front of what is there',
    'port 2: ingress: passes',
    'port 2: rule 0, web: does not match',
    'port 0: broadcast: delivered',
    'port 1: broadcast: delivered',
    'port 3: broadcast: TOO_LONG',
    'port 4: broadcast: delivered',
    'delivered to 0, 1, 4',
  ]);
  expect(explanation.ports[2]).toEqual({ port: vf(1), rule: 'broadcast', drop: 'TOO_LONG', withoutTag: true });
  expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);
  expect(stage.card.explain(vf(0), ethernet(station(3), station(9)))).toMatchObject({ drop: 'MAC_SPOOF', ports: [] });
  expect(JSON.stringify(stage.card.ports.map(({ counters }) => counters))).toBe(before);
  expect(stage.card.rules[0]!.frames).toBe(0);
  expect(stage.card.learnedOf(vf(0)).known).toBe(0);
  expect(() => stage.card.explain(9, plain)).toThrow('port is 9, want an integer from 0 to 4');
  expect(stage.card.explain(0, new Uint8Array(13))).toMatchObject({ drop: 'LENGTH', ports: [] });
});
