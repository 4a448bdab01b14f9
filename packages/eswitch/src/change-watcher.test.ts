import { HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SwitchChange } from './change-watcher.js';
import { ESWITCH_AREA_BYTES, Eswitch } from './eswitch.js';
import { station, vf } from './testing/card-stage.js';
import { WireStage } from './testing/wire-stage.js';

function watched() {
  const { card, wire } = new WireStage();
  const changes: SwitchChange[] = [];
  card.watchChanges({ changed: (change) => changes.push(change) });
  return { card, wire, changes, one: card.virtual[0]! };
}

test('the host sets a port: what is other than before is told, with what it was', () => {
  const { card, changes, one } = watched();
  one.configure({ mac: station(9), trusted: true, maxTxRate: 0, allowedVlans: new Set([1, 2]) });
  expect(changes).toEqual([
    {
      by: 'host',
      port: vf(0),
      before: { mac: station(vf(0)), trusted: false, allowedVlans: 'all' },
      after: { mac: station(9), trusted: true, allowedVlans: new Set([1, 2]) },
    },
  ]);
  one.configure({ mac: station(9), allowedVlans: new Set([1, 2]), portVlan: undefined });
  expect(() => one.configure({ maxTxRate: -1 })).toThrow();
  expect(changes).toHaveLength(1);
  card.watchChanges(undefined);
  one.configure({ trusted: false });
  expect(changes).toHaveLength(1);
});

test('what a function asks for is its own doing, granted or refused, and so is its reset', () => {
  const { changes, one } = watched();
  one.request({ multicast: [Uint8Array.of(1, 0, 0, 0, 0, 1)] });
  one.request({ promiscuous: true });
  one.forgetWishes();
  const groups = [Uint8Array.of(1, 0, 0, 0, 0, 1)];
  const refused = 'promiscuous: the function is not trusted';
  expect(changes).toEqual([
    { by: 'function', port: vf(0), before: { multicast: [] }, after: { multicast: groups } },
    { by: 'function', port: vf(0), before: { promiscuous: false }, after: { promiscuous: true }, refused },
    { by: 'function', port: vf(0), before: { multicast: groups }, after: { multicast: [] } },
  ]);
});

test('the wire, as its function sets it, and what is the whole switch’s', () => {
  const { card, wire, changes } = watched();
  card.physical.wire!.configure({ speed: 25_000, duplex: 'full' });
  expect(wire.settings.speed).toBe(25_000);
  card.physical.localSwitching = false;
  card.setRules([{ match: { etherType: 0x806 }, action: { kind: 'drop' } }]);
  card.setMirrors([{ port: vf(0), direction: 'in', to: vf(1) }]);
  card.setMirrors([{ port: vf(0), direction: 'in', to: vf(1) }]);
  const rules = [{ match: { etherType: 0x806 }, action: { kind: 'drop' } }];
  const mirrors = [{ port: vf(0), direction: 'in', to: vf(1) }];
  expect(changes).toEqual([
    { by: 'host', port: 1, before: { speed: 10_000 }, after: { speed: 25_000 } },
    { by: 'host', port: 1, before: { localSwitching: true }, after: { localSwitching: false } },
    { by: 'host', port: undefined, before: { rules: [] }, after: { rules } },
    { by: 'host', port: undefined, before: { mirrors: [] }, after: { mirrors } },
  ]);
  expect([card.flowRules, card.mirrors]).toEqual([rules, mirrors]);
});

const anyChange = fc.oneof(
  fc.record({
    set: fc.record(
      {
        mac: fc.integer({ min: 20, max: 23 }).map(station),
        trusted: fc.boolean(),
        promiscuous: fc.boolean(),
        maxTxRate: fc.constantFrom(0, 100, 1000),
        portVlan: fc.constantFrom(undefined, { id: 7, priority: 1, protocol: 0x8100 } as const),
        allowedVlans: fc.constantFrom('all' as const, new Set([7, 8])),
        link: fc.constantFrom('auto' as const, 'disable' as const),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ wish: fc.record({ promiscuous: fc.boolean(), mac: fc.constant(station(30)) }, { requiredKeys: [] }) }),
  fc.constant('reset' as const),
  fc.record({ speed: fc.constantFrom(1000, 10_000) }),
  fc.record({
    rules: fc.array(fc.constant({ match: { vlan: 7 }, action: { kind: 'count' as const } }), { maxLength: 2 }),
  }),
);

test('F96: what was told, done again to a new switch, makes it what the first one is', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1), anyChange), { maxLength: 30 }), (steps) => {
      const { card, wire, changes } = watched();
      for (const [at, what] of steps) {
        const port = card.virtual[at]!;
        if (what === 'reset') port.forgetWishes();
        else if ('set' in what) attempt(() => port.configure(what.set));
        else if ('wish' in what) port.request(what.wish);
        else if ('speed' in what) card.physical.wire!.configure(what);
        else card.setRules(what.rules);
      }
      const other = new WireStage();
      for (const { port, after, refused } of changes) {
        if (refused !== undefined) continue;
        if (port === undefined) other.card.setRules(after.rules!);
        else if (after.speed !== undefined) other.wire.configure({ speed: after.speed });
        else other.card.ports[port]!.configure(after);
      }
      expect(other.card.ports.map(({ settings }) => settings)).toEqual(card.ports.map(({ settings }) => settings));
      expect([other.card.flowRules, other.wire.settings]).toEqual([card.flowRules, wire.settings]);
    }),
    { numRuns: 60 },
  );
});

/** The host's own mistake, such as an address that another port has. */
function attempt(act: () => void): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(VirtioError);
  }
}

test('what is shown of rules is a copy: whoever has them set does not change them later', () => {
  const memory = HostMemory.create(ESWITCH_AREA_BYTES);
  const card = new Eswitch({ memory, at: 0, virtualFunctions: 1, now: () => 0 });
  const mac = station(1);
  card.setRules([{ match: { to: { mac } }, action: { kind: 'drop' } }]);
  mac[5] = 99;
  expect(card.flowRules).toEqual([{ match: { to: { mac: station(1) } }, action: { kind: 'drop' } }]);
});
