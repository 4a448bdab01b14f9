import { readFileSync } from 'node:fs';
import { HostMemory } from '@ringwire/guest-memory';
import { readPcap } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { FrameHeaders } from './frame-headers.js';
import { parseFrame } from './parse-frame.js';
import { frameOf } from './testing/frames.js';
import { counting, ethernet, ipv4, ipv6, join, tcp, udp } from './testing/packets.js';
import { CHECKSUMS, type Checksums, verifyChecksums } from './verify-checksums.js';

const memory = HostMemory.create(0x1_0000);

function verdict(bytes: Uint8Array): Checksums {
  const frame = frameOf(memory, 0x1000, bytes);
  const headers = new FrameHeaders();
  parseFrame(memory.u8, 0x1000, bytes.length, headers);
  return verifyChecksums(frame, 0x1000, headers);
}

test('every TCP and UDP frame of a capture without offloads is good, and each damaged byte makes it bad', () => {
  const { frames } = readPcap(readFileSync(new URL('../../../bench/data/two-hosts.pcap', import.meta.url)));
  const seen = [0, 0, 0];
  for (const [index, { bytes }] of frames.entries()) {
    const found = verdict(bytes);
    seen[found]!++;
    expect(found).not.toBe(CHECKSUMS.BAD);
    if (found !== CHECKSUMS.GOOD) continue;
    const damaged = Uint8Array.from(bytes);
    const at = damaged.length - 1 - (index % Math.min(20, damaged.length - 54));
    damaged[at] = damaged[at]! ^ 0x10;
    expect(verdict(damaged)).toBe(CHECKSUMS.BAD);
  }
  expect(seen[CHECKSUMS.GOOD]).toBeGreaterThan(1500);
  expect(seen[CHECKSUMS.NONE]).toBeGreaterThan(10);
});

const goodTcp = ethernet(0x0800, ipv4(6, tcp(4, counting(5))));
const wrongHeader = Uint8Array.from(goodTcp);
wrongHeader[22] = 63;
const shortUdp = udp(4, counting(5));
shortUdp.set([0, 7], 4);

test.each([
  ['Ethernet padding behind the packet', join(goodTcp, new Uint8Array(6)), CHECKSUMS.GOOD],
  [
    'TCP behind IPv6 extension headers',
    ethernet(0x86dd, ipv6(60, join([6, 0, 1, 4, 0, 0, 0, 0], tcp(6, counting(4))))),
    CHECKSUMS.GOOD,
  ],
  ['UDP over IPv4 without a checksum', ethernet(0x0800, ipv4(17, udp(4, counting(5), 9, 'none'))), CHECKSUMS.NONE],
  [
    'a checksum that only covers the pseudo header',
    ethernet(0x0800, ipv4(6, tcp(4, counting(5), {}, 'partial'))),
    CHECKSUMS.BAD,
  ],
  ['a wrong IPv4 header checksum', wrongHeader, CHECKSUMS.BAD],
  ['a UDP length below its header', ethernet(0x0800, ipv4(17, shortUdp)), CHECKSUMS.BAD],
  ['an IP length beyond the frame', ethernet(0x0800, ipv4(6, tcp(4, counting(5)), { length: 200 })), CHECKSUMS.BAD],
  ['a fragment', ethernet(0x0800, ipv4(17, udp(4, counting(5)), { fragment: 0x2000 })), CHECKSUMS.NONE],
  ['another protocol', ethernet(0x0800, ipv4(1, counting(20))), CHECKSUMS.NONE],
  ['no IP', ethernet(0x0806, counting(28)), CHECKSUMS.NONE],
  ['nothing', new Uint8Array(0), CHECKSUMS.NONE],
])('%s', (_, bytes, expected) => {
  expect(verdict(bytes)).toBe(expected);
});
