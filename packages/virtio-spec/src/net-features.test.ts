import { expect, test } from 'vitest';
import { VIRTIO_NET_F_REQUIRES } from './net-feature-needs.js';
import { VIRTIO_NET_F, VIRTIO_NET_F_LEGACY } from './net-features.js';

// Written from the lists of virtio 1.4 §5.1.3, as "name bit".
const BITS = `
  CSUM 0, GUEST_CSUM 1, CTRL_GUEST_OFFLOADS 2, MTU 3, MAC 5, GUEST_TSO4 7, GUEST_TSO6 8, GUEST_ECN 9,
  GUEST_UFO 10, HOST_TSO4 11, HOST_TSO6 12, HOST_ECN 13, HOST_UFO 14, MRG_RXBUF 15, STATUS 16, CTRL_VQ 17,
  CTRL_RX 18, CTRL_VLAN 19, CTRL_RX_EXTRA 20, GUEST_ANNOUNCE 21, MQ 22, CTRL_MAC_ADDR 23, DEVICE_STATS 50,
  HASH_TUNNEL 51, VQ_NOTF_COAL 52, NOTF_COAL 53, GUEST_USO4 54, GUEST_USO6 55, HOST_USO 56, HASH_REPORT 57,
  GUEST_HDRLEN 59, RSS 60, RSC_EXT 61, STANDBY 62, SPEED_DUPLEX 63, RSS_CONTEXT 64, GUEST_UDP_TUNNEL_GSO 65,
  GUEST_UDP_TUNNEL_GSO_CSUM 66, HOST_UDP_TUNNEL_GSO 67, HOST_UDP_TUNNEL_GSO_CSUM 68, OUT_NET_HEADER 69, IPSEC 70`;

// Written from §5.1.3.1: bit needs (all of, "|" for or).
const NEEDS = `
  7: 1; 8: 1; 9: 7|8; 10: 1; 54: 1; 55: 1; 65: 7 8 54 55; 66: 65;
  11: 0; 12: 0; 13: 11|12; 14: 0; 56: 0; 67: 11 12 56; 68: 67;
  18: 17; 19: 17; 21: 17; 22: 17; 23: 17; 53: 17; 61: 11|12; 60: 17; 52: 17; 51: 17 60|57; 64: 17 60`;

const words = (text: string, separator: string): string[] => text.split(separator).map((part) => part.trim());

test('virtio 1.4 §5.1.3, §5.1.3.2: the network feature bits', () => {
  expect(Object.entries(VIRTIO_NET_F).map(([name, bit]) => `${name} ${bit}`)).toEqual(words(BITS, ','));
  expect(VIRTIO_NET_F_LEGACY).toEqual({ GSO: 6, GUEST_RSC4: 41, GUEST_RSC6: 42 });
});

test('virtio 1.4 §5.1.3.1: the requirement table', () => {
  const rows = VIRTIO_NET_F_REQUIRES.map(
    ({ bit, needs }) => `${bit}: ${needs.map((anyOf) => anyOf.join('|')).join(' ')}`,
  );
  expect(rows).toEqual(words(NEEDS, ';'));
});

test('virtio 1.4 §5.1.3.1: no feature requires itself, directly or through others', () => {
  const visit = (bit: number, path: readonly number[]): void => {
    expect(path).not.toContain(bit);
    for (const row of VIRTIO_NET_F_REQUIRES) {
      if (row.bit === bit) for (const need of row.needs.flat()) visit(need, [...path, bit]);
    }
  };
  for (const { bit } of VIRTIO_NET_F_REQUIRES) visit(bit, []);
});
