import { NullBackend } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import type { EswitchOptions } from './eswitch-options.js';
import type { FlowRule } from './flow-rule.js';
import { BROADCAST, CardStage, ethernet, station, vf } from './testing/card-stage.js';
import { OPEN_GATE } from './transmit-gate.js';

const ROUNDS = 10;
const FRAMES_PER_ROUND = 5000;
/** Compiling takes heap too. */
const WARM_ROUNDS = 4;
const C_TAG = 0x8100;
const TCP_RULE: FlowRule = {
  match: { protocol: 6, source: { address: Uint8Array.of(10, 0, 0, 0), bits: 8 }, destinationPort: [1, 1024] },
  action: { kind: 'drop' },
};

interface Case {
  readonly name: string;
  readonly bytes?: Uint8Array;
  readonly cuts?: readonly number[];
  readonly options?: Partial<EswitchOptions>;
  readonly setUp?: (stage: CardStage) => void;
}

const CASES: readonly Case[] = [
  { name: 'of one station to another' },
  { name: 'in two ranges', cuts: [8] },
  { name: 'to all', bytes: ethernet(BROADCAST, station(2)) },
  { name: 'with a tag', bytes: ethernet(station(3), station(2), [[C_TAG, 5]]) },
  { name: 'that is forged', bytes: ethernet(station(3), station(9)) },
  { name: 'past a gate', options: { gate: { ...OPEN_GATE } } },
  {
    name: 'into a port VLAN and out of it',
    setUp: ({ card }) => {
      for (const port of card.virtual) port.configure({ portVlan: { id: 5, priority: 1, protocol: C_TAG } });
    },
  },
  {
    name: 'by rules and mirrors',
    setUp: ({ card }) => {
      card.setRules([TCP_RULE, { match: { vlan: 0 }, action: { kind: 'mirror', port: 1 } }]);
      card.setMirrors([{ port: vf(1), direction: 'out', to: vf(2) }]);
    },
  },
];

test.each(CASES)('a frame $name passes the switch without an allocation', (one) => {
  const { bytes = ethernet(station(3), station(2)), cuts = [], options, setUp } = one;
  const stage = new CardStage(3, { learning: true, ...options });
  setUp?.(stage);
  for (const { backend } of stage.card.ports) backend.attach(new NullBackend());
  const frame = stage.frame(bytes, ...cuts);
  const { backend, counters } = stage.card.virtual[0]!;
  const round = (): void => {
    for (let count = 0; count < FRAMES_PER_ROUND; count++) backend.receive(frame);
    backend.flush?.();
  };
  for (let index = 0; index < WARM_ROUNDS; index++) round();
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let index = 0; index < ROUNDS; index++) {
    round();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  expect(counters.inFrames).toBe((ROUNDS + WARM_ROUNDS) * FRAMES_PER_ROUND);
  // The smallest object has 12 bytes.
  expect(taken / (ROUNDS * FRAMES_PER_ROUND)).toBeLessThan(8);
});
