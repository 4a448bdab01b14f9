import { HostMemory } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addSums, pseudoHeaderSum, putChecksum, putUdpChecksum, sumFrame, swapSum, updateSum } from './checksum.js';
import { FrameHeaders } from './frame-headers.js';
import { parseFrame } from './parse-frame.js';
import { frameOf } from './testing/frames.js';
import { hex } from './testing/hex.js';
import { counting, ethernet, ipv4, ipv6, join, tcp, udp } from './testing/packets.js';
import { referenceSum } from './testing/reference.js';

const memory = HostMemory.create(1);

test('RFC 1071 §3: the example of the RFC', () => {
  memory.u8.set(hex`0001 f203 f4f5 f6f7`, 100);
  const sum = memory.engine.checksum(100, 8);
  expect(swapSum(sum)).toBe(0xddf2);
  putChecksum(memory.u8, 200, sum);
  expect([...memory.u8.subarray(200, 202)]).toEqual([0x22, 0x0d]);
});

test('RFC 768: a UDP checksum of zero is sent as all ones', () => {
  putUdpChecksum(memory.u8, 300, 0xffff);
  expect([...memory.u8.subarray(300, 302)]).toEqual([0xff, 0xff]);
  putUdpChecksum(memory.u8, 300, 0x1234);
  expect([...memory.u8.subarray(300, 302)]).toEqual([0xcb, 0xed]);
});

test('any part of a frame, cut into any ranges, sums to what byte by byte gives', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.array(fc.nat(40), { maxLength: 6 }),
      fc.nat(200),
      fc.nat(200),
      (bytes, cuts, from, length) => {
        const frame = frameOf(memory, 1000, bytes, cuts);
        const start = Math.min(from, bytes.length);
        const end = Math.min(start + length, bytes.length);
        expect(swapSum(sumFrame(frame, start, end - start))).toBe(referenceSum(bytes.subarray(start, end)));
      },
    ),
    { numRuns: 1000 },
  );
});

test('a changed halfword changes the sum as summing again would', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), fc.nat(9), fc.nat(0xffff), (bytes, word, value) => {
      memory.u8.set(bytes, 0);
      const sum = memory.engine.checksum(0, 20);
      const before = memory.u16[word]!;
      memory.u16[word] = value;
      const after = memory.engine.checksum(0, 20);
      // 0 and 0xffff are the same number in ones' complement.
      expect(updateSum(sum, before, value) % 0xffff).toBe(after % 0xffff);
    }),
  );
});

test.each([
  ['TCP over IPv4', ethernet(0x0800, ipv4(6, tcp(4, counting(101))))],
  ['UDP over IPv4', ethernet(0x0800, ipv4(17, udp(4, counting(100))))],
  ['TCP over IPv6', ethernet(0x86dd, ipv6(6, tcp(6, counting(100))))],
  [
    'TCP over IPv6 with a home address and a routing header on the way',
    // The pseudo header has the addresses of the options: they stand where the builder took those of the header from.
    viaHomeAndRouting(
      ethernet(
        0x86dd,
        ipv6(
          60,
          join(
            hex`2b 02 01 00 c9 10 fd000000000000000000000000000001 0000`,
            hex`06 02 02 01 00000000 fd000000000000000000000000000002`,
            tcp(6, counting(7)),
          ),
        ),
      ),
    ),
  ],
])('the pseudo header and the segment of %s sum to all ones', (_, bytes) => {
  const frame = frameOf(memory, 3000, bytes);
  const headers = new FrameHeaders();
  parseFrame(memory.u8, 3000, bytes.length, headers);
  const { ip } = headers;
  const length = bytes.length - ip.payload;
  const pseudo = pseudoHeaderSum(memory, 3000, ip, ip.transport, length);
  expect(addSums(pseudo, sumFrame(frame, ip.payload, length))).toBe(0xffff);
});

/** On the way the IPv6 header has the care-of address and the next stop. */
function viaHomeAndRouting(frame: Uint8Array): Uint8Array {
  frame.set(counting(16, 50), 22);
  frame.set(counting(16, 80), 38);
  return frame;
}

test('a number is summed as its bytes stand in the packet', () => {
  memory.u8.set([0x12, 0x34], 400);
  expect(swapSum(0x1234)).toBe(memory.engine.checksum(400, 2));
});
