import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ringwire } from './testing/command.js';
import { ServedCard } from './testing/served-card.js';

const IP = 'ip';

let card: ServedCard;

beforeEach(() => {
  card = new ServedCard();
});

afterEach(() => card.remove());

/** From function 0 to function 1, or as the other arguments say. */
const frame = (to = '02000000000b', from = '02000000000a', rest = '88b5'): string => to + from + rest;

describe('a card that is served', () => {
  beforeEach(async () => {
    card.describe();
    await card.serve();
    expect(card.err).toBe('2 ports are served\n');
  });

  test('is shown as ip link shows one, and set with the words of ip link set … vf', async () => {
    expect((await ringwire('nic', 'show', card.control)).out).toBe(
      [
        'pf: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 state DOWN',
        '    link/ether 02:00:00:00:00:03 brd ff:ff:ff:ff:ff:ff',
        '    vf 0     link/ether 02:00:00:00:00:0a brd ff:ff:ff:ff:ff:ff, spoof checking on, link-state auto, trust off',
        '       RX: 0 packets 0 bytes  TX: 0 packets 0 bytes',
        '    vf 1     link/ether 02:00:00:00:00:0b brd ff:ff:ff:ff:ff:ff, spoof checking on, link-state auto, trust off',
        '       RX: 0 packets 0 bytes  TX: 0 packets 0 bytes',
        '',
      ].join('\n'),
    );
    const words =
      'mac 02:00:00:00:00:0c vlan 100 qos 3 proto 802.1ad spoofchk off trust on max_tx_rate 1000 min_tx_rate 10';
    expect(
      await ringwire('nic', 'set', card.control, 'vf', '1', ...words.split(' '), 'state', 'disable'),
    ).toMatchObject({
      code: 0,
      err: '',
    });
    const [{ vfinfo_list: vfs }] = JSON.parse((await ringwire('nic', 'show', card.control, '--json')).out);
    expect(vfs[1]).toMatchObject({
      vf: 1,
      address: '02:00:00:00:00:0c',
      vlan_list: [{ vlan: 100, qos: 3, protocol: '802.1ad' }],
      tx_rate: 1000,
      rate: { max_tx: 1000, min_tx: 10 },
      spoofchk: false,
      link_state: 'disable',
      trust: true,
    });
    expect((await ringwire('nic', 'show', card.control)).out).toContain(
      'vlan 100, qos 3, vlan protocol 802.1ad, tx rate 1000 (Mbps), max_tx_rate 1000Mbps, min_tx_rate 10Mbps, spoof checking off',
    );
    await ringwire('nic', 'set', card.control, 'vf', '1', 'vlan', '0');
    expect(JSON.parse((await ringwire('nic', 'show', card.control, '--json')).out)[0].vfinfo_list[1].vlan_list).toEqual(
      [{}],
    );
  });

  test('has no field that ip has not, and those that both have are of one kind', async ({ skip }) => {
    const { stdout, error } = spawnSync(IP, ['-j', 'link', 'show', 'lo'], { encoding: 'utf8' });
    if (error !== undefined) return skip('skipped, because ip is not installed');
    const [real] = JSON.parse(stdout);
    const [{ vfinfo_list: _, ...ours }] = JSON.parse((await ringwire('nic', 'show', card.control, '--json')).out);
    for (const [name, value] of Object.entries(ours))
      expect([name, typeof real[name], Array.isArray(real[name])]).toEqual([name, typeof value, Array.isArray(value)]);
  });

  test('SR-28: what is out of range is refused with the reason, and the card is as before', async () => {
    const before = (await ringwire('nic', 'show', card.control, '--json')).out;
    const refused = async (...words: string[]): Promise<string> => {
      const { code, err } = await ringwire('nic', 'set', card.control, ...words);
      expect(code).toBe(2);
      return err;
    };
    expect(await refused('vf', '2', 'vlan', '7')).toBe('ringwire: vf is 2, want 0 to 1\n');
    expect(await refused('vf', '0', 'vlan', '4095')).toContain('vf: vlan: ');
    expect(await refused('vf', '0', 'mac', '01:00:00:00:00:01')).toContain('mac');
    expect(await refused('vf', '0', 'vlam', '1')).toContain('No setting is called vlam. Want mac, vlan,');
    expect(await refused('vf', '0', 'spoofchk', 'yes')).toContain('Want on or off, not yes.');
    expect(await refused('vf', '0', 'vlan')).toContain('each with a value');
    expect(await refused('pf', '0')).toContain('Want "vf NUM" and settings.');
    expect((await ringwire('nic', 'show', card.control, '--json')).out).toBe(before);
  });

  test('says why a frame is dropped, and by whom it would be got', async () => {
    const { code, out } = await ringwire(
      'why',
      '--control',
      card.control,
      '--from',
      'vf0',
      frame(undefined, '020000000009'),
    );
    expect([code, out.split('\n').at(-2)]).toEqual([1, 'dropped, MAC_SPOOF; delivered to nobody']);
    const { err } = await ringwire('why', '--control', card.control, '--from', 'vf2', frame());
    expect(err).toBe('ringwire: No port is called vf2. Want wire, pf, or vf0 to vf1.\n');
  });

  test('has a socket for its owner alone, and nothing that comes there is its end', async () => {
    expect(statSync(card.control).mode & 0o777).toBe(0o600);
    const ask = (method: string, path: string, body?: string): Promise<number> =>
      new Promise((resolve) => {
        const asked = request({ socketPath: card.control, method, path }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode!));
        });
        asked.on('error', () => resolve(0));
        asked.end(body);
      });
    expect(await ask('GET', '/')).toBe(404);
    expect(await ask('DELETE', '/nic')).toBe(404);
    expect(await ask('GET', '/why?port=vf0&frame=1')).toBe(400);
    expect(await ask('POST', '/vf/0', '{"vlan":1,"vlan":2}')).toBe(400);
    expect(await ask('POST', '/vf/0', '{"__proto__":{}}')).toBe(400);
    expect(await ask('POST', '/vf/0', 'x'.repeat(0x2_0000))).toBe(0);
    expect(await ask('GET', '/nic')).toBe(200);
  });
});

describe('why, of a card that a file describes', () => {
  const why = (...args: string[]) => ringwire('why', '--nic', card.file, ...args);

  test('a rule of the file that matches is named', async () => {
    card.describe(
      'rules:',
      '  - { name: no ARP, match: { etherType: 0x806, ports: [vf0] }, action: drop }',
      '  - { match: { source: 192.0.2.0/24, protocol: 17, destinationPort: 53-60 }, action: { redirect: vf1 } }',
    );
    const { code, out } = await why('--from', 'vf0', frame('ffffffffffff', undefined, '0806'));
    expect(code).toBe(1);
    expect(out).toContain('rule 0, no ARP: drop');
    const udp = '08004500001c0000000040110000c0000201c6336401003500350008';
    expect((await why('--from', 'vf0', frame('020000000099', undefined, `${udp}0000`))).out).toContain(
      'delivered to vf1',
    );
    expect((await why('--from', 'vf0', '--json', frame())).out).toContain('"ports":[{"port":3,');
  });

  test('what cannot be is refused with exit code 2', async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const { code, err } = await ringwire(...args);
      expect(code).toBe(2);
      return err;
    };
    card.describe('rules:', '  - { action: { mirror: vf9 } }');
    expect(await refused('serve', '--nic', card.file)).toContain('rules[0]: No port is called vf9.');
    card.describe('mirrors:', '  - { port: vf0, to: vf0 }');
    expect(await refused('why', '--nic', card.file, '--from', 'vf0', frame())).toContain('mirror');
    card.describe('rules:', '  - { match: { source: 192.0.2.0/33 }, action: drop }');
    expect(await refused('serve', '--nic', card.file)).toContain('rules[0].match.source: Want addresses such as');
    card.describe('speed: 3');
    expect(await refused('serve', '--nic', card.file)).toContain('speed');
    card.describe();
    expect(await refused('serve', '--nic', card.file, '--port', card.at('c.sock'))).toContain(
      'without --config, --port and --vduse',
    );
    expect(await refused('serve', '--port', card.at('c.sock'), '--control', card.control)).toContain('want --nic FILE');
    expect(await refused('why', '--nic', card.file, '--from', 'vf0', 'xyz')).toContain('Want hexadecimal bytes');
    expect(await refused('why', '--from', 'vf0', frame())).toContain('want --nic FILE or --control SOCKET');
    expect(await refused('nic', 'show', card.control)).toContain('cannot be asked: ENOENT');
  });
});
