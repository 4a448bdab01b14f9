import { expect, test } from 'vitest';
import { featureWords } from './feature-words.js';
import {
  VIRTIO_NET_HDR,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VIRTIO_NET_HDR_SIZE,
  virtioNetHdrBytes,
} from './net-header.js';
import { walkLayout, withWidths } from './testing/walk-layout.js';

const WIDTHS = {
  flags: 1,
  gso_type: 1,
  hdr_len: 2,
  gso_size: 2,
  csum_start: 2,
  csum_offset: 2,
  num_buffers: 2,
  hash_value: 4,
  hash_report: 2,
  padding_reserved: 2,
  outer_th_offset: 2,
  inner_nh_offset: 2,
  outer_nh_offset: 2,
  resource_id: 4,
  resource_type: 2,
};

test('virtio 1.4 §5.1.9: the fields have neither gap nor overlap and end at 32 bytes', () => {
  expect(Object.keys(WIDTHS)).toEqual(Object.keys(VIRTIO_NET_HDR));
  expect(walkLayout(withWidths(VIRTIO_NET_HDR, WIDTHS), 32)).toEqual([]);
});

test('virtio 1.4 §5.1.9.3.1: each size ends with the field the spec names', () => {
  const endOf = (field: keyof typeof WIDTHS): number => VIRTIO_NET_HDR[field] + WIDTHS[field];
  expect(VIRTIO_NET_HDR_SIZE).toEqual({
    LEGACY: endOf('csum_offset'),
    V1: endOf('num_buffers'),
    HASH_REPORT: endOf('padding_reserved'),
    UDP_TUNNEL: endOf('inner_nh_offset'),
    OUT_NET_HEADER: endOf('resource_type'),
  });
  expect(Object.values(VIRTIO_NET_HDR_SIZE)).toEqual([10, 12, 20, 24, 32]);
});

test('virtio 1.4 §5.1.9.3.1, §5.1.9.1: the negotiated features decide the size, the longest tail first', () => {
  const VERSION_1 = 32;
  expect(virtioNetHdrBytes(featureWords([]))).toBe(10);
  expect(virtioNetHdrBytes(featureWords([15]))).toBe(12); // legacy with MRG_RXBUF
  expect(virtioNetHdrBytes(featureWords([VERSION_1]))).toBe(12);
  expect(virtioNetHdrBytes(featureWords([VERSION_1, 57]))).toBe(20); // HASH_REPORT
  expect(virtioNetHdrBytes(featureWords([VERSION_1, 65]))).toBe(24); // GUEST_UDP_TUNNEL_GSO
  expect(virtioNetHdrBytes(featureWords([VERSION_1, 57, 67]))).toBe(24); // HOST_UDP_TUNNEL_GSO
  expect(virtioNetHdrBytes(featureWords([VERSION_1, 67, 69]))).toBe(32); // OUT_NET_HEADER
  expect(virtioNetHdrBytes(featureWords([VERSION_1, 70]))).toBe(32); // IPSEC
});

test('a header by hand: TCP over IPv4 to be segmented at 1448, checksum at 34 + 16', () => {
  const bytes = Uint8Array.of(0x01, 0x01, 0x42, 0, 0xa8, 0x05, 0x22, 0, 0x10, 0, 0, 0);
  const view = new DataView(bytes.buffer);
  expect(bytes[VIRTIO_NET_HDR.flags]).toBe(VIRTIO_NET_HDR_F.NEEDS_CSUM);
  expect(bytes[VIRTIO_NET_HDR.gso_type]).toBe(VIRTIO_NET_HDR_GSO.TCPV4);
  expect(view.getUint16(VIRTIO_NET_HDR.hdr_len, true)).toBe(66);
  expect(view.getUint16(VIRTIO_NET_HDR.gso_size, true)).toBe(1448);
  expect(view.getUint16(VIRTIO_NET_HDR.csum_start, true)).toBe(34);
  expect(view.getUint16(VIRTIO_NET_HDR.csum_offset, true)).toBe(16);
});

test('virtio 1.4 §5.1.9: flags and gso_type', () => {
  expect(VIRTIO_NET_HDR_F).toEqual({
    NEEDS_CSUM: 0x01,
    DATA_VALID: 0x02,
    RSC_INFO: 0x04,
    UDP_TUNNEL_CSUM: 0x08,
    SECURITY: 0x10,
    SECURITY_ERR: 0x20,
    SECURITY_SA_SOFT_EXPIRY_WARN: 0x40,
  });
  expect(VIRTIO_NET_HDR_GSO).toEqual({
    NONE: 0,
    TCPV4: 1,
    UDP: 3,
    TCPV6: 4,
    UDP_L4: 5,
    UDP_TUNNEL_IPV4: 0x20,
    UDP_TUNNEL_IPV6: 0x40,
    ECN: 0x80,
  });
  // The spec's own example in §5.1.9.2: a TCPv4 packet in a Geneve tunnel.
  expect(VIRTIO_NET_HDR_GSO.TCPV4 | VIRTIO_NET_HDR_GSO.UDP_TUNNEL_IPV4).toBe(0x21);
});
