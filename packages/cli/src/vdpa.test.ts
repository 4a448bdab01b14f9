import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ringwire } from './testing/command.js';

const root = mkdtempSync(join(tmpdir(), 'ringwire-vdpa-'));
afterAll(() => rmSync(root, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(root, name);
  writeFileSync(path, text);
  return path;
}

const SYSTEM = file(
  'system.yaml',
  `parents:
  - sim: vdpasim_net
    pairs: 2
    devices: 2
    vendor: 0x15b3
devices:
  - name: vdpa0
    mgmtdev: vdpasim_net
    mac: 02:00:00:00:00:07
    mtu: 9000
    driver: virtio_vdpa
    frames: 40
  - name: vdpa1
    mgmtdev: vdpasim_net
    max_vqp: 1
`,
);

const vdpa = (...words: string[]) => ringwire('vdpa', '--system', SYSTEM, ...words);

test('mgmtdev show and dev show are the JSON of iproute2, in one line or pretty', async () => {
  const { code, out } = await vdpa('-j', 'mgmtdev', 'show');
  expect(code).toBe(0);
  expect(out).toMatch(
    /^\{"mgmtdev":\{"vdpasim_net":\{"supported_classes":\["net"\],"max_supported_vqs":5,"dev_features":\[/,
  );
  expect(await vdpa('-jp', 'dev', 'show', 'vdpa1')).toEqual({
    code: 0,
    out: `{
    "dev": {
        "vdpa1": {
            "type": "network",
            "mgmtdev": "vdpasim_net",
            "vendor_id": 5555,
            "max_vqs": 3,
            "max_vq_size": 256
        }
    }
}
`,
    err: '',
  });
});

test('dev config show has what was asked for, and dev vstats show what the driver has sent', async () => {
  const config = JSON.parse((await vdpa('-j', 'dev', 'config', 'show')).out).config;
  expect(config.vdpa0).toMatchObject({ mac: '02:00:00:00:00:07', 'link ': 'up', mtu: 9000, max_vq_pairs: 2 });
  expect(config.vdpa0.negotiated_features).toContain('ACCESS_PLATFORM');
  expect(config.vdpa1).not.toHaveProperty('negotiated_features');
  const { out } = await vdpa('-j', 'dev', 'vstats', 'show', 'vdpa0', 'qidx', '1');
  expect(out).toBe('{"vstats":{"vdpa0":{"queue_type":"tx","received_desc":40,"completed_desc":40}}}\n');
});

test('what is not there has exit code 1, and says so', async () => {
  expect(await vdpa('dev', 'show', 'x')).toEqual({ code: 1, out: '', err: 'ringwire: there is no device x\n' });
  const vstats = await vdpa('dev', 'vstats', 'show', 'vdpa1', 'qidx', '0');
  expect(vstats).toEqual({ code: 1, out: '', err: 'ringwire: feature negotiation not complete\n' });
});

test('dev add makes a device of a card of either vendor, which the next command finds, and dev del takes it away', async () => {
  const system = file(
    'cards.yaml',
    `# two vendors
parents:
  - { card: vendor-b, name: pci/0000:01:00.0, functions: 2 }
  - { card: '82599', name: pci/0000:02:00.0, functions: 2 }
devices: []
`,
  );
  const cards = (...words: string[]) => ringwire('vdpa', '--system', system, ...words);
  const parents = JSON.parse((await cards('-j', 'mgmtdev', 'show')).out).mgmtdev;
  expect(Object.keys(parents)).toEqual(['pci/0000:01:00.0', 'pci/0000:02:00.0']);
  for (const parent of Object.values(parents)) expect(parent).toMatchObject({ max_supported_vqs: 3 });
  const quiet = { code: 0, out: '', err: '' };
  expect(await cards('dev', 'add', 'name', 'b0', 'mgmtdev', 'pci/0000:01:00.0')).toEqual(quiet);
  const mac = '02:00:00:00:00:09';
  expect(await cards('dev', 'add', 'mgmtdev', 'pci/0000:02:00.0', 'name', 'a0', 'mac', mac)).toEqual(quiet);
  const shown = JSON.parse((await cards('-j', 'dev', 'show')).out).dev;
  expect([shown.b0.vendor_id, shown.a0.vendor_id, shown.a0.max_vq_size]).toEqual([0xb0b0, 0x8086, 256]);
  expect(JSON.parse((await cards('-j', 'dev', 'config', 'show', 'a0')).out).config.a0.mac).toBe(mac);
  expect(await cards('dev', 'add', 'name', 'a0', 'mgmtdev', 'pci/0000:01:00.0')).toEqual({
    code: 1,
    out: '',
    err: 'ringwire: there is a device a0 already\n',
  });
  expect(await cards('dev', 'del', 'b0')).toEqual(quiet);
  expect(readFileSync(system, 'utf8')).toMatch(/^# two vendors\n(.|\n)*name: a0(.|\n)*$/);
  expect((await cards('-j', 'dev', 'show')).out).not.toContain('b0');
  expect((await cards('dev', 'del', 'b0')).err).toBe('ringwire: there is no device b0\n');
  expect((await cards('dev', 'add', 'name', 'x', 'mgmtdev', 'pci/0000:01:00.0', 'mac', 'y')).err).toContain('mac is y');
});

test('the usage has every command once, and nothing that is none', async () => {
  const lines = (await vdpa('help')).err.trimEnd().split('\n').slice(1);
  expect(lines.map((line) => line.split(/ name| qidx| \[| [A-Z]/)[0])).toEqual([
    'mgmtdev show',
    'dev add',
    'dev del',
    'dev show',
    'dev config show',
    'dev vstats show',
  ]);
  for (const line of lines) {
    const words = line.replaceAll(/ \[[^\]]*\]/g, '').replace('INDEX', '0');
    expect((await vdpa(...words.split(' '))).err).not.toContain('is no command');
  }
});

test.each([
  ['words that are no command', SYSTEM, ['dev', 'add'], '"dev add" is no command, want one of:'],
  ['a number that is none', SYSTEM, ['dev', 'vstats', 'show', 'vdpa0', 'qidx', '1x'], 'is no command'],
  ['no file', join(root, 'none.yaml'), ['dev', 'show'], 'no such file'],
  ['an unknown field', file('a.json', '{"parents":[],"devices":[],"x":1}'), ['dev', 'show'], 'a.json: '],
  [
    'no such parent',
    file('b.json', '{"parents":[],"devices":[{"name":"a","mgmtdev":"b"}]}'),
    ['dev', 'show'],
    'devices[0]: there is no management device b',
  ],
  [
    'an add-on that cannot be loaded',
    file('c.json', '{"parents":[{"module":"./none.js"}],"devices":[]}'),
    ['dev', 'show'],
    'cannot be loaded',
  ],
  [
    'frames without a driver',
    file('d.json', '{"parents":[{"sim":"s"}],"devices":[{"name":"a","mgmtdev":"s","frames":3}]}'),
    ['dev', 'show'],
    'devices[0].frames: is 3, want the driver virtio_vdpa',
  ],
] as const)('%s is unusable, exit code 2', async (_, system, words, message) => {
  const { code, out, err } = await ringwire('vdpa', '--system', system, ...words);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(message);
});
