import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { frameOf, ServedCard, Tunnel } from './testing/served-card.js';

let card: ServedCard;

beforeEach(() => {
  card = new ServedCard();
});

afterEach(() => card.remove());

const RULES = [
  {
    name: 'all of it',
    match: {
      ports: ['vf0', 'wire'],
      to: '02:00:00:00:00:0b',
      from: '02:00:00:00:00:00/ff:ff:ff:ff:ff:00',
      vlan: 7,
      etherType: 2048,
      source: '192.0.2.0/24',
      destination: '198.51.100.1/32',
      protocol: 17,
      sourcePort: 53,
      destinationPort: '1024-2047',
    },
    action: { redirect: 'vf1' },
  },
  { match: { source: '2001:db8::/32' }, action: { setVlan: { id: 5, priority: 3 } } },
  { match: { ports: ['pf'] }, action: { mirror: 'vf0' } },
  { match: {}, action: 'count' },
];
const rules = async () => JSON.parse(await card.nic('rules', 'show', '--json'));
const counted = (frames: number, bytes: number) => ({ frames, bytes });

test('rules are set from a file, all at once, and shown as it has them', async () => {
  card.describe('rules:', '  - { name: no ARP, match: { etherType: 0x806 }, action: drop }');
  await card.serve();
  expect(await rules()).toEqual([{ name: 'no ARP', match: { etherType: 0x806 }, action: 'drop', ...counted(0, 0) }]);
  writeFileSync(card.at('rules.json'), JSON.stringify(RULES));
  await card.nic('rules', 'set', card.at('rules.json'));
  expect(await rules()).toEqual(RULES.map((rule) => ({ ...rule, ...counted(0, 0) })));
  for (const [content, reason] of [
    ['- { action: fly }', 'rules: [0].action'],
    ['- { action: { redirect: vf9 } }', 'No port is called vf9.'],
    ['action: drop', 'rules: '],
  ] as const) {
    writeFileSync(card.at('rules.yaml'), content);
    await expect(card.nic('rules', 'set', card.at('rules.yaml'))).rejects.toThrow(reason);
  }
  expect(await rules()).toHaveLength(4);
  writeFileSync(card.at('rules.yaml'), '');
  await card.nic('rules', 'set', card.at('rules.yaml'));
  expect(await card.nic('rules', 'show')).toBe('');
});

test('a rule says how often it matched', async () => {
  const tunnel = await Tunnel.open();
  card.describe('rules:', '  - { name: lost, match: { ports: [wire], etherType: 0x88b5 }, action: drop }');
  await card.serve('--uplink', tunnel.uplink);
  tunnel.send(frameOf('02000000000b', '020000000009'));
  for (let shown = await rules(); shown[0].frames === 0; ) shown = await rules();
  expect(await card.nic('rules', 'show')).toBe(
    '0: 1 frames, 60 bytes: {"name":"lost","match":{"etherType":34997,"ports":["wire"]},"action":"drop"}\n',
  );
  tunnel.close();
});

test('mirrors are set all at once, and shown as they are set', async () => {
  card.describe('mirrors:', '  - { port: wire, to: vf1 }');
  await card.serve();
  expect(await card.nic('mirrors', 'show')).toBe('wire,both,vf1\n');
  await card.nic('mirrors', 'set', 'vf0,in,vf1', 'pf,out,vf1');
  expect(JSON.parse(await card.nic('mirrors', 'show', '--json'))).toEqual([
    { port: 'vf0', direction: 'in', to: 'vf1' },
    { port: 'pf', direction: 'out', to: 'vf1' },
  ]);
  await expect(card.nic('mirrors', 'set', 'vf0,in')).rejects.toThrow('Want PORT,in|out|both,PORT');
  await expect(card.nic('mirrors', 'set', 'vf0,up,vf1')).rejects.toThrow('mirrors: [0].direction');
  await expect(card.nic('mirrors', 'set', 'vf0,in,vf0')).rejects.toThrow('mirror');
  expect(await card.nic('mirrors', 'show')).toBe('vf0,in,vf1\npf,out,vf1\n');
  await card.nic('mirrors', 'set');
  expect(await card.nic('mirrors', 'show')).toBe('');
});
