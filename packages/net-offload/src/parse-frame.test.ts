import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameHeaders } from './frame-headers.js';
import { parseFrame } from './parse-frame.js';
import { hex } from './testing/hex.js';
import { counting, ethernet, ipv4, ipv6, join, tcp, udp } from './testing/packets.js';
import { WatchedBytes } from './testing/watched-bytes.js';

function parse(frame: Uint8Array, bytes: number = frame.length): FrameHeaders {
  const headers = new FrameHeaders();
  parseFrame(frame, 0, bytes, headers);
  return headers;
}

const DESTINATION_SOURCE = '020000000002 020000000001';

describe('an ordinary frame:', () => {
  test('TCP over IPv4', () => {
    const frame = hex(`${DESTINATION_SOURCE} 0800
      45 00 003c 1234 4000 40 06 0000 0a000001 0a000002
      03e8 07d0 00000001 00000002 a0 10 0000 0000 0000 0101080a 00000000 00000000 00000000 00000000`);
    expect(parse(frame)).toMatchObject({
      ethernet: true,
      vlanTags: 0,
      etherType: 0x0800,
      tunnelTypes: 0,
      ip: {
        version: 4,
        at: 14,
        length: 60,
        source: 26,
        destination: 30,
        homeAddress: 26,
        finalDestination: 30,
        extended: false,
        fragment: false,
        protocol: 6,
        payload: 34,
        transport: 6,
        transportBytes: 40,
      },
      inner: { version: 0 },
    });
  });

  test('UDP over IPv6', () => {
    const frame = hex(`${DESTINATION_SOURCE} 86dd
      60000000 000a 11 40 fd000000000000000000000000000001 fd000000000000000000000000000002
      03e8 07d0 000a 0000 abcd`);
    expect(parse(frame).ip).toMatchObject({
      version: 6,
      length: 50,
      source: 22,
      destination: 38,
      extended: false,
      protocol: 17,
      payload: 54,
      transport: 17,
      transportBytes: 8,
      fragmentAt: 54,
      fragmentNameAt: 20,
    });
  });

  test('IPv4 with options moves the transport header', () => {
    const frame = ethernet(0x0800, ipv4(17, udp(4, counting(3)), { options: [1, 1, 1, 1, 1, 1, 1, 0] }));
    expect(parse(frame).ip).toMatchObject({ version: 4, payload: 42, transport: 17 });
  });

  test('two VLAN tags: the outer one is given, and what is behind the inner one is parsed', () => {
    const frame = ethernet(0x0800, ipv4(6, tcp(4, counting(1))), [
      [0x88a8, 0xe064],
      [0x8100, 0x0005],
    ]);
    expect(parse(frame)).toMatchObject({ vlanTags: 2, vlanTci: 0xe064, etherType: 0x0800 });
    expect(parse(frame).ip).toMatchObject({ at: 22, transport: 6 });
  });

  test('behind a third tag nothing is looked for', () => {
    const frame = ethernet(0x0800, ipv4(6, tcp(4, counting(1))), [
      [0x8100, 1],
      [0x8100, 2],
      [0x8100, 3],
    ]);
    expect(parse(frame)).toMatchObject({ vlanTags: 2, vlanTci: 1, etherType: 0x8100, ip: { version: 0 } });
  });

  test('the frame may begin anywhere, and offsets count from its start', () => {
    const headers = new FrameHeaders();
    const frame = ethernet(0x0800, ipv4(6, tcp(4, counting(1))));
    parseFrame(join(counting(33), frame), 33, frame.length, headers);
    expect(headers).toEqual(parse(frame));
  });

  test('headers of an earlier frame leave nothing behind', () => {
    const headers = new FrameHeaders();
    const tunnel = ethernet(
      0x86dd,
      ipv6(17, udp(6, join(hex`0800000000000100`, ethernet(0x0800, ipv4(6, tcp(4, counting(4))))), 4789)),
    );
    parseFrame(tunnel, 0, tunnel.length, headers);
    expect(headers.inner.version).toBe(4);
    parseFrame(hex`00`, 0, 1, headers);
    expect(headers).toEqual(new FrameHeaders());
  });
});

describe('IPv6 extension headers:', () => {
  test('hop-by-hop, destination options with a home address, and a type 2 routing header are followed', () => {
    const hopByHop = hex`3c 00 0104 00000000`;
    // Pad1, then PadN of 3 bytes to align, then Home Address.
    const options = hex`2b 02 00 00 c9 10 fd0000000000000000000000000000aa 0000`;
    const routing = hex`06 02 02 01 00000000 fd0000000000000000000000000000bb`;
    const segment = tcp(6, counting(2));
    const { ip } = parse(ethernet(0x86dd, ipv6(0, join(hopByHop, options, routing, segment))));
    expect(ip).toMatchObject({
      extended: true,
      protocol: 6,
      transport: 6,
      homeAddress: 54 + 8 + 6,
      routingAddress: 54 + 8 + 24 + 8,
      finalDestination: 54 + 8 + 24 + 8,
      payload: 54 + 8 + 24 + 24,
      fragmentAt: 54 + 8 + 24 + 24,
      fragmentNameAt: 54 + 8 + 24,
    });
  });

  test.each([
    ['type 0: the last address', 0, 1, 54 + 8 + 16],
    ['type 4: the first of the list, which is from the last on', 4, 1, 54 + 8],
    ['no segments left: the destination', 4, 0, 38],
    ['unknown type: the destination', 3, 1, 38],
  ])('the final destination with a routing header of %s', (_, type, left, finalDestination) => {
    const routing = join([6, 4, type, left, 0, 0, 0, 0], counting(32));
    const { ip } = parse(ethernet(0x86dd, ipv6(43, join(routing, tcp(6, counting(2))))));
    expect(ip).toMatchObject({ transport: 6, finalDestination, routingAddress: 38 });
  });

  test('an authentication header counts words of four bytes', () => {
    const { ip } = parse(ethernet(0x86dd, ipv6(51, join([6, 4], new Uint8Array(22), tcp(6, counting(2))))));
    expect(ip).toMatchObject({ transport: 6, payload: 54 + 24 });
  });

  test('a fragment has no transport, an atomic one has', () => {
    const first = parse(ethernet(0x86dd, ipv6(44, join(hex`06 00 0001 12345678`, tcp(6, counting(2)))))).ip;
    expect(first).toMatchObject({ fragment: true, protocol: 6, transport: 0, extended: true });
    const atomic = parse(ethernet(0x86dd, ipv6(44, join(hex`06 00 0000 12345678`, tcp(6, counting(2)))))).ip;
    expect(atomic).toMatchObject({ fragment: false, transport: 6 });
  });

  test('no next header ends the chain', () => {
    expect(parse(ethernet(0x86dd, ipv6(59, counting(8)))).ip).toMatchObject({ protocol: 59, extended: false });
  });

  test('TX-22: a chain that leads on and on is left after eight headers', () => {
    const endless = new Uint8Array(8 * 400);
    const frame = new WatchedBytes(ethernet(0x86dd, ipv6(0, endless)));
    const headers = new FrameHeaders();
    parseFrame(frame.u8, 0, 14 + 40 + endless.length, headers);
    expect(headers.ip).toMatchObject({ version: 6, protocol: -1, transport: 0, extended: true });
    expect(frame.reads).toBeLessThan(60);
    const eight = join(
      ...Array.from({ length: 8 }, (_, at) => [at < 7 ? 60 : 6, 0, 1, 4, 0, 0, 0, 0]),
      tcp(6, counting(1)),
    );
    expect(parse(ethernet(0x86dd, ipv6(60, eight))).ip).toMatchObject({ protocol: 6, transport: 6 });
  });

  test('TX-22: options of length zero are stepped over', () => {
    const frame = new WatchedBytes(ethernet(0x86dd, ipv6(60, join([6, 255], new Uint8Array(2046).fill(1, 0, 2046)))));
    const headers = new FrameHeaders();
    parseFrame(frame.u8, 0, 14 + 40 + 2048, headers);
    expect(headers.ip.version).toBe(6);
    const zeroLengths = join([6, 1], ...Array.from({ length: 7 }, () => [5, 0]), tcp(6, counting(1)));
    expect(parse(ethernet(0x86dd, ipv6(60, zeroLengths))).ip.transport).toBe(6);
  });
});

describe('what is cut or malformed is not there:', () => {
  test.each([0, 1, 13])('RX-10: a frame of %i bytes has no Ethernet header', (length) => {
    const frame = new WatchedBytes(counting(64));
    const headers = new FrameHeaders();
    parseFrame(frame.u8, 0, length, headers);
    expect(headers).toEqual(new FrameHeaders());
    expect(frame.reads).toBe(0);
  });

  test('RX-10: a frame of 14 bytes has an Ethernet header and nothing else', () => {
    expect(parse(hex(`${DESTINATION_SOURCE} 0800`))).toMatchObject({
      ethernet: true,
      etherType: 0x0800,
      ip: { version: 0 },
    });
  });

  test.each([14, 15, 16, 17])('RX-11: a tag cut to a frame of %i bytes is not read', (length) => {
    const frame = new WatchedBytes(ethernet(0x0800, ipv4(6, tcp(4, counting(1))), [[0x8100, 7]]));
    const headers = new FrameHeaders();
    parseFrame(frame.u8, 0, length, headers);
    expect(headers).toMatchObject({ ethernet: true, vlanTags: 0, etherType: -1, ip: { version: 0 } });
    expect(frame.highest).toBeLessThan(length);
  });

  test.each([
    ['an IP header length of 4 words', 14, 0x44],
    ['an IP header beyond the end', 14, 0x4f],
    ['a version that the type does not announce', 14, 0x65],
  ])('TX-18, TX-19: %s', (_, at, value) => {
    const frame = ethernet(0x0800, ipv4(6, tcp(4, counting(1))));
    frame[at] = value;
    expect(parse(frame).ip.version).toBe(0);
  });

  test('TX-18: a total length below the headers leaves no transport header, one above the frame is bounded by it', () => {
    const short = parse(ethernet(0x0800, ipv4(6, tcp(4, counting(1)), { length: 39 }))).ip;
    expect(short).toMatchObject({ version: 4, length: 39, transport: 0 });
    const long = parse(ethernet(0x0800, ipv4(6, tcp(4, counting(1)).subarray(0, 19), { length: 2000 }))).ip;
    expect(long).toMatchObject({ version: 4, length: 2000, transport: 0 });
  });

  test.each([
    ['of 4 words', 0x40],
    ['beyond the end', 0x60],
  ])('TX-17: a TCP data offset %s', (_, value) => {
    const segment = tcp(4, counting(3));
    segment[12] = value;
    expect(parse(ethernet(0x0800, ipv4(6, segment))).ip).toMatchObject({ version: 4, protocol: 6, transport: 0 });
  });

  test.each([
    ['more to follow', 0x2000],
    ['an offset', 0x0001],
  ])('an IPv4 fragment with %s has no transport header', (_, fragment) => {
    const { ip } = parse(ethernet(0x0800, ipv4(6, tcp(4, counting(3)), { fragment })));
    expect(ip).toMatchObject({ version: 4, fragment: true, transport: 0 });
  });
});

const geneve = join(hex`02 00 6558 00000100 0102030405060708`, ethernet(0x86dd, ipv6(6, tcp(6, counting(5)))));
const frames: Uint8Array[] = [
  ethernet(0x0800, ipv4(6, tcp(4, counting(3)), { options: [1, 1, 1, 1] }), [[0x8100, 7]]),
  ethernet(0x86dd, ipv6(60, join(hex`11 02 01 00 c9 10 fd0000000000000000000000000000aa 0000`, udp(6, counting(5))))),
  ethernet(0x0800, ipv4(17, udp(4, geneve, 6081))),
  ethernet(0x0800, ipv4(47, join(hex`2000 6558 00010200`, ethernet(0x0800, ipv4(17, udp(4, counting(2))))))),
];

test('RX-10, RX-11, TX-17, TX-18: no cut of a good frame has a byte read beyond it, and offsets stay inside', () => {
  for (const whole of frames) {
    for (let length = 0; length <= whole.length; length++) expectInside(whole, length);
  }
});

test('RX-10, TX-22: no bytes whatever lead beyond the frame', () => {
  const start = fc.constantFrom(...frames);
  const damage = fc.array(fc.tuple(fc.nat(120), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
  fc.assert(
    fc.property(start, damage, fc.nat(300), (frame, changes, cut) => {
      const bytes = Uint8Array.from(frame);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      expectInside(bytes, Math.min(cut, bytes.length));
    }),
    { numRuns: 2000 },
  );
});

/** Parse the first `length` bytes, which lie in the middle of others. */
function expectInside(frame: Uint8Array, length: number): void {
  const watched = new WatchedBytes(join(counting(10), frame, counting(600)));
  const headers = new FrameHeaders();
  parseFrame(watched.u8, 10, length, headers);
  if (watched.reads > 0) {
    expect(watched.lowest).toBeGreaterThanOrEqual(10);
    expect(watched.highest).toBeLessThan(10 + length);
  }
  for (const ip of [headers.ip, headers.inner]) {
    if (ip.version === 0) continue;
    const addressBytes = ip.version === 4 ? 4 : 16;
    for (const address of [ip.source, ip.destination, ip.homeAddress, ip.routingAddress, ip.finalDestination]) {
      expect(address + addressBytes).toBeLessThanOrEqual(length);
    }
    expect(ip.payload + ip.transportBytes).toBeLessThanOrEqual(length);
  }
}
