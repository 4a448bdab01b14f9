import { VIRTIO_NET_HASH_TUNNEL_TYPE } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { FrameHeaders } from './frame-headers.js';
import { parseFrame } from './parse-frame.js';
import { hex } from './testing/hex.js';
import { counting, ethernet, ipv4, ipv6, join, tcp, udp } from './testing/packets.js';

const TYPE = VIRTIO_NET_HASH_TUNNEL_TYPE;

function parse(frame: Uint8Array): FrameHeaders {
  const headers = new FrameHeaders();
  parseFrame(frame, 0, frame.length, headers);
  return headers;
}

const INNER4 = ipv4(6, tcp(4, counting(9)));
const INNER6 = ipv6(17, udp(6, counting(9)));
const over4 = (protocol: number, ...payload: (Uint8Array | number[])[]): Uint8Array =>
  ethernet(0x0800, ipv4(protocol, join(...payload)));
const over6 = (protocol: number, ...payload: (Uint8Array | number[])[]): Uint8Array =>
  ethernet(0x86dd, ipv6(protocol, join(...payload)));
const udp4 = (port: number, ...payload: Uint8Array[]): Uint8Array => over4(17, udp(4, join(...payload), port));

describe('the encapsulation is recognised, and the inner headers are found:', () => {
  const E = 14;
  const V4 = 20;
  const V6 = 40;
  test.each([
    ['GRE, RFC 2784', over4(47, hex`0000 0800`, INNER4), TYPE.GRE_2784, 4, E + V4 + 4],
    ['GRE with a checksum', over4(47, hex`8000 0800 12340000`, INNER4), TYPE.GRE_2784, 4, E + V4 + 8],
    ['GRE with key and sequence', over4(47, hex`3000 0800 00000001 00000002`, INNER4), TYPE.GRE_2890, 4, E + V4 + 12],
    ['GRE over IPv4 with IPv6 inside', over4(47, hex`0000 86dd`, INNER6), TYPE.GRE_2784 | TYPE.GRE_7676, 6, E + V4 + 4],
    ['GRE over IPv6 with IPv6 inside', over6(47, hex`0000 86dd`, INNER6), TYPE.GRE_7676, 6, E + V6 + 4],
    [
      'GRE over IPv6 with a key',
      over6(47, hex`2000 86dd 00000001`, INNER6),
      TYPE.GRE_2890 | TYPE.GRE_7676,
      6,
      E + V6 + 8,
    ],
    [
      'NVGRE',
      over4(47, hex`2000 6558 00123401`, ethernet(0x0800, INNER4)),
      TYPE.NVGRE | TYPE.GRE_2890,
      4,
      E + V4 + 8 + E,
    ],
    ['GRE in UDP', udp4(4754, hex`0000 0800`, INNER4), TYPE.GRE_UDP, 4, E + V4 + 8 + 4],
    ['VXLAN', udp4(4789, hex`08000000 00123400`, ethernet(0x0800, INNER4)), TYPE.VXLAN, 4, E + V4 + 16 + E],
    ['VXLAN-GPE, IPv4', udp4(4790, hex`0c000001 00123400`, INNER4), TYPE.VXLAN_GPE, 4, E + V4 + 16],
    ['VXLAN-GPE, IPv6', udp4(4790, hex`0c000002 00123400`, INNER6), TYPE.VXLAN_GPE, 6, E + V4 + 16],
    [
      'VXLAN-GPE, Ethernet',
      udp4(4790, hex`0c000003 00123400`, ethernet(0x86dd, INNER6)),
      TYPE.VXLAN_GPE,
      6,
      E + V4 + 16 + E,
    ],
    [
      'VXLAN-GPE, not named',
      udp4(4790, hex`08000000 00123400`, ethernet(0x86dd, INNER6)),
      TYPE.VXLAN_GPE,
      6,
      E + V4 + 16 + E,
    ],
    ['GENEVE', udp4(6081, hex`0000 6558 00123400`, ethernet(0x0800, INNER4)), TYPE.GENEVE, 4, E + V4 + 16 + E],
    [
      'GENEVE with options',
      udp4(6081, hex`0200 6558 00123400 0102030405060708`, ethernet(0x0800, INNER4)),
      TYPE.GENEVE,
      4,
      E + V4 + 24 + E,
    ],
    ['GENEVE with IP inside', udp4(6081, hex`0000 86dd 00123400`, INNER6), TYPE.GENEVE, 6, E + V4 + 16],
    ['IP in IP', over4(4, INNER4), TYPE.IPIP, 4, E + V4],
  ])('%s', (_, frame, tunnelTypes, version, at) => {
    const headers = parse(frame);
    expect(headers.tunnelTypes).toBe(tunnelTypes);
    const transport = version === 4 ? 6 : 17;
    expect(headers.inner).toMatchObject({ version, at, transport, payload: at + (version === 4 ? 20 : 40) });
  });

  test('an inner VLAN tag is looked behind', () => {
    const frame = udp4(4789, hex`08000000 00123400`, ethernet(0x0800, INNER4, [[0x8100, 9]]));
    expect(parse(frame).inner).toMatchObject({ at: 14 + 20 + 16 + 18, transport: 6 });
  });

  test('a tunnel in a tunnel is not looked into', () => {
    const inside = ipv4(4, INNER4);
    expect(parse(over4(4, inside)).inner).toMatchObject({ at: 34, protocol: 4, transport: 0 });
  });
});

describe('what is no tunnel that the specification lists:', () => {
  test.each([
    ['a GRE version that is not 0', over4(47, hex`0001 0800`, INNER4)],
    ['GRE with RFC 1701 routing', over4(47, hex`4000 0800`, INNER4)],
    ['VXLAN without its I bit', udp4(4789, hex`00000000 00123400`, ethernet(0x0800, INNER4))],
    ['GENEVE version 1', udp4(6081, hex`4000 6558 00123400`, ethernet(0x0800, INNER4))],
    ['IPv6 in IPv4', over4(41, INNER6)],
    ['IPv4 in IPv6', over6(4, INNER4)],
    ['another port', udp4(4788, hex`08000000 00123400`, ethernet(0x0800, INNER4))],
    ['a fragment', ethernet(0x0800, ipv4(4, INNER4, { fragment: 0x2000 }))],
  ])('%s', (_, frame) => {
    const headers = parse(frame);
    expect(headers.tunnelTypes).toBe(0);
    expect(headers.inner.version).toBe(0);
    expect(headers.ip.version).not.toBe(0);
  });
});

test('a tunnel of something else than IP has its type, and no inner IP header', () => {
  const arp = ethernet(0x0806, counting(28));
  expect(parse(udp4(4789, hex`08000000 00123400`, arp))).toMatchObject({
    tunnelTypes: TYPE.VXLAN,
    inner: { version: 0 },
  });
});
