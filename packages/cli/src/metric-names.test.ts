import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { METRICS } from './serve-metrics.js';
import { frameOf, ServedCard, Tunnel } from './testing/served-card.js';

let card: ServedCard;
let tunnel: Tunnel;

beforeEach(async () => {
  card = new ServedCard();
  tunnel = await Tunnel.open();
});

afterEach(async () => {
  await card.remove();
  tunnel.close();
});

test('the README has each metric that there may be, with its labels and what it means, and no other', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const rows = readme
    .split('\n')
    .filter((line) => /^\| `(ringwire|process)_/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  expect(rows).toEqual(
    METRICS.map(({ name, labels, help }) => [`\`${name}\``, labels.map((label) => `\`${label}\``).join(', '), help]),
  );
});

test('of a card that is served: functions, drops by reason, the wire and PAUSE, rules; each with its labels', async () => {
  card.describe('wire: { pause: rx }', 'rules:', '  - { name: lost, match: { etherType: 0x806 }, action: drop }');
  await card.serve('--uplink', tunnel.uplink, '--metrics', '0');
  const url = /metrics at (http:\S+)/.exec(card.err)![1]!;
  const page = async () => (await (await fetch(`${url}/metrics`)).text()).split('\n');
  tunnel.send(frameOf('02000000000b', '020000000009'));
  tunnel.send(frameOf('02000000000b', '020000000009', '0806'));
  tunnel.send(frameOf('0180c2000001', '020000000009', '88080001ffff'));
  let lines = await page();
  while (!lines.includes('ringwire_wire_pauses_total{direction="received"} 1')) lines = await page();
  for (const line of [
    'ringwire_function_link_up{function="vf0"} 1',
    'ringwire_function_frames_total{function="vf1",direction="rx"} 0',
    'ringwire_function_bytes_total{function="pf",direction="tx"} 0',
    'ringwire_function_drops_total{function="vf1",reason="REFUSED"} 1',
    'ringwire_function_held_back_total{function="vf0"} 0',
    'ringwire_wire_link_up 1',
    'ringwire_wire_speed_bits_per_second 10000000000',
    'ringwire_wire_full_duplex 1',
    'ringwire_wire_frames_total{direction="received"} 3',
    'ringwire_wire_bytes_total{direction="received"} 180',
    'ringwire_wire_resumes_total{direction="received"} 0',
    'ringwire_wire_pauses_ignored_total 0',
    'ringwire_wire_drops_total{reason="RULE"} 1',
    'ringwire_wire_drops_total{reason="buffer"} 0',
    'ringwire_wire_waiting_frames 0',
    'ringwire_rule_frames_total{rule="0",name="lost"} 1',
    'ringwire_rule_bytes_total{rule="0",name="lost"} 60',
  ])
    expect(lines).toContain(line);
  const labels = new Map(METRICS.map(({ name, labels: those }) => [name, [...those].sort().join()]));
  for (const line of lines.filter((text) => text !== '' && !text.startsWith('#'))) {
    const [, name, inside = ''] = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line)!;
    const found = Array.from(inside.matchAll(/(\w+)="/g), ([, label]) => label!);
    expect([name, found.sort().join()]).toEqual([name, labels.get(name!)]);
  }
});
