import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import type { ModelVdpa } from './model-vdpa.js';
import { simParent } from './sim-parent.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal } from './vdpa-parent.js';

const { host } = new VdpaStage();
const F = VIRTIO_NET_F;
const FEATURES = featureWords([
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  ...[F.CTRL_VQ, F.CTRL_RX, F.CTRL_VLAN, F.MQ, F.RSS],
]);

/** A device of two pairs, its features negotiated. */
function negotiated(): ModelVdpa {
  const device = simParent(host, { pairs: 2 }).add('one', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  device.setStatus(3);
  expect(device.setDriverFeatures(FEATURES)).toBe(VDPA.OK);
  device.setStatus(11);
  expect(device.status).toBe(11);
  return device;
}
const device = negotiated();

/** A part of the network device: the data of a command. virtio 1.4 §2.14, §5.1.8.1 */
function command(code: string, data: string): Uint8Array {
  const value = Buffer.from(data.replaceAll(' ', ''), 'hex');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return Buffer.concat([Buffer.from('00020000', 'hex'), Buffer.from(code.padEnd(16, '0'), 'hex'), length, value]);
}
const MAC_TABLE = '0100';
const VLANS = '0200';
const RSS = '0401';

test.each([
  ['MG-12 a MAC table of 0xffffffff entries', command(MAC_TABLE, 'ffffffff 525400000001 00000000')],
  ['MG-12 a MAC table that is longer than its count', command(MAC_TABLE, '00000000 00000000 525400000001')],
  ['MG-12 a list of VLANs of half an id', command(VLANS, '0500 06')],
  ['MG-12 a VLAN beyond 4095', command(VLANS, '0010')],
  ['MG-12 more VLANs than there are', command(VLANS, '0500'.repeat(4097))],
  ['MG-13 a receive queue in the table beyond the pairs', command(RSS, '00000000 0000 0000 0200 0100 00')],
  ['MG-13 a table that is no power of two', command(RSS, '00000000 0200 0000 0000 0000 0000 0100 00')],
  ['MG-13 a key above the limit', command(RSS, `00000000 0000 0000 0000 0100 ff ${'00'.repeat(255)}`)],
  ['MG-05 a part twice', Buffer.concat([command(VLANS, '0500'), command(VLANS, '0500')])],
  ['a part of a command that was not negotiated', command('0101', '525400000001')],
  ['a common part', Buffer.from('03010000 0000000000000000 01000000 0f'.replaceAll(' ', ''), 'hex')],
] as const)('%s is refused, and the device says why', (_, parts) => {
  expect(device.setTypeState(parts)).toBe(VDPA.INVALID);
  expect(device.problem).toMatch(/virtio 1\.4|do not end/);
});

test('MG-02 any byte of a state changed is refused or another possible one; taken whole, it counts when the device starts', () => {
  const parts = Buffer.concat([
    command(MAC_TABLE, '01000000 525400000001 00000000'),
    command(VLANS, '0500'),
    command(RSS, '00000000 0000 0000 0100 0100 00'),
  ]);
  for (let at = 0; at < parts.length; at++)
    for (const value of [0, 1, 0xff]) {
      const other = Uint8Array.from(parts);
      other[at] = value;
      expect([VDPA.OK, VDPA.INVALID]).toContain(device.setTypeState(other));
    }
  expect(device.setTypeState(parts)).toBe(VDPA.OK);
  device.setStatus(15);
  expect(Buffer.from(device.typeState()!).toString('hex')).toContain(
    Buffer.from(command(VLANS, '0500')).toString('hex'),
  );
  expect(Buffer.from(device.typeState()!).toString('hex')).toContain('01000000525400000001');
  expect(device.setTypeState(parts)).toBe(VDPA.INVALID);
  device.reset();
});
