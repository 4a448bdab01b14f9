import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ringwire } from './testing/command.js';
import { frameOf, ServedCard, Tunnel, until } from './testing/served-card.js';

const TSHARK = 'tshark';

let card: ServedCard;

beforeEach(() => {
  card = new ServedCard();
});

afterEach(() => card.remove());

test('--drops: tshark reads each frame that was dropped, at which port, and why', async ({ skip }) => {
  if (spawnSync(TSHARK, ['-v']).error !== undefined) return skip('skipped, because tshark is not installed');
  const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'frame.comment', 'eth.dst'];
  const read = (): string =>
    spawnSync(TSHARK, ['-r', card.at('drops.pcapng'), '-T', 'fields', ...fields.flatMap((field) => ['-e', field])], {
      encoding: 'utf8',
    }).stdout ?? '';
  const tunnel = await Tunnel.open();
  card.describe('rules:', '  - { match: { etherType: 0x806 }, action: drop }');
  await card.serve('--uplink', tunnel.uplink, '--drops', card.at('drops.pcapng'));
  tunnel.send(frameOf('02000000000b', '020000000009'));
  tunnel.send(frameOf('02000000000a', '030000000009'));
  tunnel.send(frameOf('02000000000a', '020000000009', '0806'));
  // MAC control that is no PAUSE ends at the wire.
  tunnel.send(frameOf('0180c2000001', '020000000009', '88080002'));
  const rows = [
    // Nobody is connected to its socket: it takes nothing.
    ['vf1', '0x00000002', 'dropped, REFUSED: its receiver does not want it', '02:00:00:00:00:0b'],
    ['wire', '0x00000001', "dropped, SOURCE_GROUP: from a group's address", '02:00:00:00:00:0a'],
    ['wire', '0x00000001', 'dropped, RULE: a flow rule says so', '02:00:00:00:00:0a'],
    [
      'wire',
      '0x00000001',
      'dropped, control: MAC control that is not known, or not for this station',
      '01:80:c2:00:00:01',
    ],
  ];
  const text = rows.map((row) => `${row.join('\t')}\n`).join('');
  await until(() => read() === text);
  expect(await card.end()).toBe(0);
  expect(read()).toBe(text);
  tunnel.close();
});

test('--audit: a line for each change, with who made it, what it was and what it is', async () => {
  card.describe('rules:', '  - { name: no ARP, match: { etherType: 0x806 }, action: drop }');
  await card.serve('--audit', card.at('audit.jsonl'));
  expect(statSync(card.at('audit.jsonl')).mode & 0o777).toBe(0o600);
  const told = () => card.lines('audit.jsonl').map(({ time: _, ...line }) => line);
  // All that the file says was set by the program itself.
  expect(new Set(told().map(({ who }) => who))).toEqual(new Set(['ringwire serve']));
  expect(told()).toContainEqual({
    who: 'ringwire serve',
    what: 'card',
    before: { rules: [] },
    after: { rules: [{ name: 'no ARP', match: { etherType: 0x806 }, action: 'drop' }] },
  });
  const count = told().length;
  await card.nic('set', '', 'vf', '1', 'mac', '02:00:00:00:00:0c', 'vlan', '7', 'trust', 'on', 'max_tx_rate', '100');
  await card.nic('set', '', 'vf', '1', 'trust', 'on');
  await card.nic('wire', 'set', 'speed', '25000');
  await card.nic('mirrors', 'set', 'vf0,in,vf1');
  await card.nic('rate', 'add', 'tenant', 'tx_max', '1gbit');
  await card.nic('rate', 'set', 'vf0', 'parent', 'tenant', 'tx_weight', '2');
  await expect(card.nic('set', '', 'vf', '1', 'mac', '01:00:00:00:00:01')).rejects.toThrow('mac');
  const who = 'management socket';
  const vlan = { id: 7, priority: 0, protocol: 0x8100 };
  expect(told().slice(count)).toEqual([
    {
      who,
      what: 'vf1',
      before: { mac: '02:00:00:00:00:0b', portVlan: null, trusted: false, maxTxRate: 0 },
      after: { mac: '02:00:00:00:00:0c', portVlan: vlan, trusted: true, maxTxRate: 100 },
    },
    { who, what: 'pf', before: { speed: 10_000 }, after: { speed: 25_000 } },
    {
      who,
      what: 'card',
      before: { mirrors: [] },
      after: { mirrors: [{ port: 'vf0', direction: 'in', to: 'vf1' }] },
    },
    { who, what: 'rate tenant', before: null, after: { type: 'node', tx_max: 125_000_000 } },
    {
      who,
      what: 'rate vf0',
      before: { type: 'leaf' },
      after: { type: 'leaf', tx_weight: 2, parent: 'tenant' },
    },
    {
      who,
      what: 'vf1',
      before: null,
      after: { mac: '01:00:00:00:00:01' },
      refused: expect.stringContaining('mac'),
    },
  ]);
  for (const { time } of card.lines('audit.jsonl')) expect(new Date(time as string).toISOString()).toBe(time);
  const all = told().length;
  await card.end();
  // The next one goes on in the same file.
  await card.serve('--audit', card.at('audit.jsonl'));
  expect(told().length).toBeGreaterThan(all);
});

test('what is for a card wants one, and a file that cannot be is refused', async () => {
  for (const option of ['--drops', '--audit', '--control'])
    expect((await ringwire('serve', '--port', card.at('a.sock'), option, card.at('x'))).err).toBe(
      `ringwire: ${option} is for a card: want --nic FILE\n`,
    );
  card.describe();
  for (const option of ['--drops', '--audit']) {
    const { code, err } = await ringwire('serve', '--nic', card.file, option, card.at('none/x'));
    expect([code, err]).toEqual([2, `ringwire: ${card.at('none/x')} cannot be written: ENOENT\n`]);
  }
});

test('the physical function has a socket if it is given one, and is a port like any other', async () => {
  const tunnel = await Tunnel.open();
  card.describe(`pf: { socket: ${card.at('pf.sock')}, mac: 02:00:00:00:00:aa, mtu: 9000 }`);
  await card.serve('--uplink', tunnel.uplink, '--json');
  expect(card.err).toBe('3 ports are served\n');
  expect(JSON.parse(card.out.split('\n')[2]!)).toEqual({
    event: 'listening',
    socket: card.at('pf.sock'),
    mac: '02:00:00:00:00:aa',
  });
  const [shown] = JSON.parse(await card.nic('show', '', '--json'));
  expect(shown).toMatchObject({ ifname: 'pf', address: '02:00:00:00:00:aa', mtu: 9000 });
  const why = async (frame: string) => (await ringwire('why', '--control', card.control, '--from', 'wire', frame)).out;
  expect(await why(frameOf('0200000000aa', '020000000009'))).toContain('delivered to pf');
  expect(await why(frameOf('ffffffffffff', '020000000009'))).toMatch(/delivered to pf, vf0, vf1\n$/);
  tunnel.close();
});
