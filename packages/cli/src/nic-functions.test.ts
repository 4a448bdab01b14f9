import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { HostMemory } from '@ringwire/guest-memory';
import { NullBackend } from '@ringwire/net-backend';
import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FUNCTION_VENDORS, openVendorFunction, VENDOR_CARD_BYTES } from './nic-functions.js';
import { run } from './run.js';
import { ringwire } from './testing/command.js';

let directory: string;
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-functions-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A card whose functions have these words besides their sockets. */
function describeCard(name: string, ...functions: readonly string[]): string {
  const vfs = functions.map(
    (words, vf) => `  - { socket: ${at(`${vf}.sock`)}, mac: "02:00:00:00:00:0${vf + 1}", ${words} }`,
  );
  writeFileSync(at(name), ['memory: 64', 'vfs:', ...vfs].join('\n'));
  return at(name);
}

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

test.each(FUNCTION_VENDORS)(
  'a function on a card of %s has one pair of queues, and its control queue is its front-end’s',
  (vendor) => {
    const memory = HostMemory.create(VENDOR_CARD_BYTES);
    const device = openVendorFunction(
      memory,
      0,
      { socket: 'a.sock', vendor, mac: MAC, hold: true, backend: new NullBackend() },
      () => 0,
    );
    expect([device.queueCount, device.queueSizeMax, device.readConfig(0, 6)]).toEqual([2, 256, MAC]);
    expect(hasFeature(device.deviceFeatures, VIRTIO_NET_F.CTRL_VQ)).toBe(false);
    const refused = { socket: 'a.sock', vendor, mac: new Uint8Array(6), hold: true, backend: new NullBackend() };
    const other = HostMemory.create(VENDOR_CARD_BYTES);
    expect(() => openVendorFunction(other, 0, refused, () => 0)).toThrow('a.sock: mac is 00:00:00:00:00:00');
  },
);

test('functions of all kinds are served side by side, and counted', async () => {
  const card = describeCard('card.yaml', 'vendor: 82599', 'vendor: vendor-b, hold: true', 'spoofchk: true');
  let [out, err] = ['', ''];
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    color: false,
  };
  const code = run(['serve', '--nic', card, '--json'], terminal);
  while (err === '') await turn();
  expect(err).toBe('3 ports are served\n');
  process.emit('SIGTERM');
  expect(await code).toBe(0);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.slice(0, 3)).toEqual(
    [1, 2, 3].map((mac) => ({ event: 'listening', socket: at(`${mac - 1}.sock`), mac: `02:00:00:00:00:0${mac}` })),
  );
  expect(events.at(-1).ports).toMatchObject([{ txFrames: 0, rxBytes: 0, drops: {} }, { state: 'listening' }, {}]);
});

test('what a vendor’s card cannot have is refused, naming the function and the field', async () => {
  const refused = async (words: string): Promise<string> => {
    const { code, err } = await ringwire('serve', '--nic', describeCard('card.yaml', 'trust: true', words));
    expect(code).toBe(2);
    return err;
  };
  expect(await refused('vendor: 82598')).toContain('vfs[1].vendor');
  expect(await refused('vendor: 82599, queues: 4')).toContain('vfs[1].queues: is 4, want 1 on a card of 82599');
  expect(await refused('vendor: vendor-b, mtu: 9000')).toContain(
    'vfs[1].mtu: is 9000, want 1500 on a card of vendor-b',
  );
  expect(await refused('vendor: vendor-b, queueSize: 64')).toContain('vfs[1].queueSize: is 64, want 256');
});
