import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HASH_TUNNEL_TYPE, VIRTIO_NET_HASH_TYPE } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { FrameHeaders } from './frame-headers.js';
import { PacketHash } from './packet-hash.js';
import { parseFrame } from './parse-frame.js';
import { rssQueue } from './rss-queue.js';
import { hex } from './testing/hex.js';
import { ADDRESS6, counting, ethernet, ipv4, ipv6, join, tcp, udp } from './testing/packets.js';
import { referenceToeplitz } from './testing/reference.js';
import { WatchedBytes } from './testing/watched-bytes.js';
import { Toeplitz } from './toeplitz.js';

const TYPE = VIRTIO_NET_HASH_TYPE;
const REPORT = VIRTIO_NET_HASH_REPORT;
const ALL = 0x1ff;

/** The key of Microsoft's "Verifying the RSS Hash Calculation", and of most drivers. */
const KEY = hex`6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa`;
const toeplitz = new Toeplitz(KEY);

function hashOf(frame: Uint8Array, hashTypes: number, tunnelTypes = 0): { value: number; report: number } {
  const headers = new FrameHeaders();
  parseFrame(frame, 0, frame.length, headers);
  const hash = new PacketHash();
  hash.compute(toeplitz, hashTypes, tunnelTypes, frame, 0, headers);
  return { value: hash.value >>> 0, report: hash.report };
}

const be16 = (value: number): number[] => [value >> 8, value & 0xff];
const ports = (from: number, to: number): number[] => [...be16(from), ...be16(to)];
const dotted = (address: string): number[] => address.split('.').map(Number);

describe("hashes are those that Microsoft publishes to verify one's own by:", () => {
  test.each([
    ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
    ['199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
    ['24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
    ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
    ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
  ])('%s:%i to %s:%i', (source, from, destination, to, ofAddresses, ofPorts) => {
    const frame = ethernet(0x0800, ipv4(6, tcp(4, counting(1))));
    frame.set([...dotted(source), ...dotted(destination)], 26);
    frame.set(ports(from, to), 34);
    expect(hashOf(frame, TYPE.IPv4)).toEqual({ value: ofAddresses, report: REPORT.IPv4 });
    expect(hashOf(frame, ALL)).toEqual({ value: ofPorts, report: REPORT.TCPv4 });
  });

  test.each([
    ['3ffe250102001fff0000000000000007', 2794, '3ffe2501020000030000000000000001', 1766, 0x2cc18cd5, 0x40207d3d],
    ['3ffe050100080000026097fffe40efab', 14230, 'ff020000000000000000000000000001', 4739, 0x0f0c461c, 0xdde51bbf],
    ['3ffe1900454500030200f8fffe2167cf', 44251, 'fe800000000000000200f8fffe2167cf', 38024, 0x4b61e985, 0x02d1feef],
  ])('%s:%i to %s:%i', (source, from, destination, to, ofAddresses, ofPorts) => {
    const frame = ethernet(0x86dd, ipv6(6, tcp(6, counting(1))));
    frame.set([...hex(source), ...hex(destination), ...ports(from, to)], 22);
    expect(hashOf(frame, TYPE.IPv6 | TYPE.IP_EX)).toEqual({ value: ofAddresses, report: REPORT.IPv6 });
    expect(hashOf(frame, ALL)).toEqual({ value: ofPorts, report: REPORT.TCPv6 });
  });
});

describe('the enabled types decide what is hashed:', () => {
  const tcp4 = ethernet(0x0800, ipv4(6, tcp(4, counting(1))));
  const udp4 = ethernet(0x0800, ipv4(17, udp(4, counting(1))));
  const icmp4 = ethernet(0x0800, ipv4(1, counting(40)));
  const tcp6 = ethernet(0x86dd, ipv6(6, tcp(6, counting(1))));
  const udp6 = ethernet(0x86dd, ipv6(17, udp(6, counting(1))));
  const options = hex`11 02 01 00 c9 10 fd0000000000000000000000000000aa 0000`;
  const udpEx = ethernet(0x86dd, ipv6(60, join(options, udp(6, counting(1)))));
  const tcpEx = ethernet(0x86dd, ipv6(60, join([6], options.subarray(1), tcp(6, counting(1)))));
  const arp = ethernet(0x0806, counting(28));

  test.each([
    ['TCPv4', tcp4, ALL, REPORT.TCPv4],
    ['TCP when only UDP and addresses count', tcp4, TYPE.UDPv4 | TYPE.IPv4, REPORT.IPv4],
    ['TCP when only UDP counts', tcp4, TYPE.UDPv4, REPORT.NONE],
    ['IPv4 when only IPv6 counts', tcp4, TYPE.IPv6 | TYPE.TCPv6, REPORT.NONE],
    ['UDPv4', udp4, ALL, REPORT.UDPv4],
    ['another protocol over IPv4', icmp4, ALL, REPORT.IPv4],
    ['TCPv6', tcp6, ALL, REPORT.TCPv6],
    ['UDPv6', udp6, ALL, REPORT.UDPv6],
    ['UDPv6 when only addresses count', udp6, TYPE.IPv6, REPORT.IPv6],
    ['IPv6 without extension headers when only _EX counts', udp6, TYPE.IP_EX | TYPE.UDP_EX, REPORT.NONE],
    ['TCP behind extension headers', tcpEx, ALL, REPORT.TCPv6_EX],
    ['UDP behind extension headers', udpEx, ALL, REPORT.UDPv6_EX],
    ['UDP behind extension headers when only addresses count', udpEx, TYPE.IP_EX | TYPE.IPv6, REPORT.IPv6_EX],
    ['UDP behind extension headers without any _EX', udpEx, TYPE.UDPv6 | TYPE.IPv6, REPORT.UDPv6],
    ['no IP', arp, ALL, REPORT.NONE],
  ])('%s', (_, frame, types, report) => {
    expect(hashOf(frame, types).report).toBe(report);
  });

  test('_EX takes the home address, and without _EX the fields of the header are taken', () => {
    const home = hex`fd0000000000000000000000000000aa`;
    const { source, destination } = ADDRESS6;
    const ex = referenceToeplitz(KEY, join(home, destination, ports(1000, 2000)));
    const plain = referenceToeplitz(KEY, join(source, destination, ports(1000, 2000)));
    expect(hashOf(udpEx, ALL).value).toBe(ex);
    expect(hashOf(udpEx, TYPE.UDPv6).value).toBe(plain);
  });

  test("_EX takes a type 2 routing header's address", () => {
    const routing = hex`06 02 02 01 00000000 fd0000000000000000000000000000bb`;
    const frame = ethernet(0x86dd, ipv6(43, join(routing, tcp(6, counting(1)))));
    const input = join(ADDRESS6.source, routing.subarray(8), ports(1000, 2000));
    expect(hashOf(frame, ALL)).toEqual({ value: referenceToeplitz(KEY, input), report: REPORT.TCPv6_EX });
  });
});

describe('RX-14: what is cut off is not hashed:', () => {
  test('a TCP header that is not whole leaves the addresses', () => {
    const whole = ethernet(0x0800, ipv4(6, tcp(4, counting(0))));
    for (let length = 34; length < whole.length; length++) {
      expect(hashOf(whole.subarray(0, length), ALL).report).toBe(REPORT.IPv4);
    }
    for (let length = 0; length < 34; length++) {
      expect(hashOf(whole.subarray(0, length), ALL)).toEqual({ value: 0, report: REPORT.NONE });
    }
  });

  test('a chain of extension headers that is not whole leaves the addresses, and nothing beyond is read', () => {
    const options = hex`11 02 01 00 c9 10 fd0000000000000000000000000000aa 0000`;
    const whole = ethernet(0x86dd, ipv6(60, join(options, udp(6, counting(1)))));
    for (let length = 54; length < 54 + 24; length++) {
      const watched = new WatchedBytes(whole);
      const headers = new FrameHeaders();
      parseFrame(watched.u8, 0, length, headers);
      const hash = new PacketHash();
      hash.compute(toeplitz, ALL, 0, watched.u8, 0, headers);
      expect(hash.report).toBe(REPORT.IPv6_EX);
      expect(hash.value >>> 0).toBe(referenceToeplitz(KEY, join(ADDRESS6.source, ADDRESS6.destination)));
      expect(watched.highest).toBeLessThan(length);
    }
  });

  test('every fragment of a datagram is hashed alike, by its addresses', () => {
    const first = ethernet(0x0800, ipv4(17, udp(4, counting(16)), { fragment: 0x2000 }));
    const second = ethernet(0x0800, ipv4(17, counting(16, 100), { fragment: 0x0003 }));
    expect(hashOf(first, ALL).report).toBe(REPORT.IPv4);
    expect(hashOf(first, ALL)).toEqual(hashOf(second, ALL));
  });
});

describe('tunnels:', () => {
  const TUNNEL = VIRTIO_NET_HASH_TUNNEL_TYPE;
  const inner = ethernet(0x86dd, ipv6(6, tcp(6, counting(9))));
  const vxlan = ethernet(0x0800, ipv4(17, udp(4, join(hex`0800000000123400`, inner), 4789)));

  test('dev.net.inner-hash.1: without its type enabled a tunnel is hashed by its outer headers', () => {
    const outer = hashOf(vxlan, ALL);
    expect(outer.report).toBe(REPORT.UDPv4);
    expect(outer.value).toBe(referenceToeplitz(KEY, Uint8Array.from([10, 0, 0, 1, 10, 0, 0, 2, ...ports(1000, 4789)])));
    expect(hashOf(vxlan, ALL, ~TUNNEL.VXLAN)).toEqual(outer);
    expect(hashOf(ethernet(0x0800, ipv4(6, tcp(4, counting(1)))), ALL, ~0).report).toBe(REPORT.TCPv4);
  });

  test('virtio 1.4 §5.1.9.4.4.1: with its type enabled, by its inner headers', () => {
    const input = join(ADDRESS6.source, ADDRESS6.destination, ports(1000, 2000));
    expect(hashOf(vxlan, ALL, TUNNEL.VXLAN)).toEqual({
      value: referenceToeplitz(KEY, input),
      report: REPORT.TCPv6,
    });
  });

  test('inner headers that are not IP have no hash', () => {
    const arp = ethernet(0x0800, ipv4(17, udp(4, join(hex`0800000000123400`, ethernet(0x0806, counting(28))), 4789)));
    expect(hashOf(arp, ALL, TUNNEL.VXLAN)).toEqual({ value: 0, report: REPORT.NONE });
  });
});

test('dev.net.rss.2,.3: the table is indexed by the hash, and a frame without one is unclassified', () => {
  const table = Uint16Array.from({ length: 128 }, (_, index) => 1000 + index);
  const hash = new PacketHash();
  hash.report = REPORT.TCPv4;
  hash.value = 0xffff_ffa5 | 0;
  expect(rssQueue(hash, table, 7)).toBe(1000 + 0x25);
  hash.report = REPORT.NONE;
  expect(rssQueue(hash, table, 7)).toBe(7);
});
