import { expect, test } from 'vitest';
import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HASH_TUNNEL_TYPE, VIRTIO_NET_HASH_TYPE } from './net-hash.js';

test('virtio 1.4 §5.1.9.4.3.1, §5.1.9.4.4.2: hash types and tunnel types are nine bits each', () => {
  const nineBits = [0x001, 0x002, 0x004, 0x008, 0x010, 0x020, 0x040, 0x080, 0x100];
  expect(Object.values(VIRTIO_NET_HASH_TYPE)).toEqual(nineBits);
  expect(Object.values(VIRTIO_NET_HASH_TUNNEL_TYPE)).toEqual(nineBits);
  expect([VIRTIO_NET_HASH_TYPE.UDPv4, VIRTIO_NET_HASH_TYPE.TCPv6, VIRTIO_NET_HASH_TYPE.UDP_EX]).toEqual([4, 16, 256]);
  expect([VIRTIO_NET_HASH_TUNNEL_TYPE.VXLAN, VIRTIO_NET_HASH_TUNNEL_TYPE.GENEVE]).toEqual([16, 64]);
});

test('virtio 1.4 §5.1.9.4.5: hash type = 1 << (report - 1), row for row', () => {
  const { NONE, ...reports } = VIRTIO_NET_HASH_REPORT;
  expect(NONE).toBe(0);
  expect(Object.values(reports).map((report) => 1 << (report - 1))).toEqual(Object.values(VIRTIO_NET_HASH_TYPE));
  // Same order of names, too: the spec writes IP_EX in one list and IPv6_EX in the other.
  expect(Object.keys(reports).map((name) => name.replace('v6_EX', '_EX'))).toEqual(Object.keys(VIRTIO_NET_HASH_TYPE));
});
