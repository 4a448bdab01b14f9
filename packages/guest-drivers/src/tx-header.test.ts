import { HostMemory } from '@ringwire/guest-memory';
import { featureWords, type NetFeature, VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { NetOffload } from './net-offload.js';
import { offloadRules } from './offload-rules.js';
import { writePlainHeader, writeTxHeader } from './tx-header.js';

const memory = HostMemory.create(0x1_0000);
const LENGTH = 2000;
/** TCP data offset 5 at 34 + 12; an inner IPv4 header at 62, TCP data offset 8 behind it. */
const frame = new Uint8Array(LENGTH);
frame[46] = 0x50;
frame[62] = 0x45;
frame[84 + 12] = 0x80;

const bytesOf = { byteAt: (offset: number): number => frame[offset] ?? 0 };
const rulesFor = (names: readonly NetFeature[]): ReturnType<typeof offloadRules> =>
  offloadRules(featureWords([VIRTIO_F.VERSION_1, ...names.map((name) => VIRTIO_NET_F[name])]));

function write(names: readonly NetFeature[], fields: Partial<NetOffload>): number[] {
  const rules = rulesFor(names);
  memory.u8.fill(0xee, 0, 64);
  writeTxHeader(memory, 0, rules, Object.assign(new NetOffload(), fields), LENGTH, bytesOf);
  return Array.from(memory.u8.slice(0, rules.hdrBytes));
}

const CSUM = { flags: 1, csumStart: 34, csumOffset: 16 };
const TSO = { ...CSUM, gsoType: 1, gsoSize: 1448 };

test('drv.net.tx.1: the header is as long as that of received frames', () => {
  expect(write(['HASH_REPORT'], {})).toHaveLength(20);
  expect(write(['GUEST_UDP_TUNNEL_GSO'], {})).toHaveLength(24);
});

test('drv.net.tx.2,.3,.31: a plain frame’s header is all zeros, num_buffers among it', () => {
  expect(write([], {})).toEqual(new Array(12).fill(0));
  memory.u8.fill(0xee, 0, 64);
  writePlainHeader(memory, 0, rulesFor(['CSUM']), LENGTH);
  expect(Array.from(memory.u8.slice(0, 12))).toEqual(new Array(12).fill(0));
});

test('drv.net.tx.27,.30: NEEDS_CSUM goes out with csum_start and csum_offset', () => {
  expect(write(['CSUM'], CSUM)).toEqual([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
});

test('drv.net.tx.3: without CSUM a checksum cannot be left to the device', () => {
  expect(() => write([], CSUM)).toThrow('CSUM negotiated');
});

test('a checksum outside the frame is the sender’s mistake', () => {
  expect(() => write(['CSUM'], { flags: 1, csumStart: 1990, csumOffset: 16 })).toThrow('csum_offset');
});

describe.each([
  ['drv.net.tx.6,.7', 'HOST_TSO4', 1],
  ['drv.net.tx.8,.9', 'HOST_TSO6', 4],
  ['drv.net.tx.10,.11', 'HOST_UFO', 3],
  ['drv.net.tx.12,.13', 'HOST_USO', 5],
] as const)('%s', (ids, feature, gsoType) => {
  test(`${ids}: gso_type ${gsoType} goes out with ${feature}, and not without`, () => {
    const header = write(['CSUM', feature], { ...TSO, gsoType });
    // TCP: 34 + 20 bytes of headers; UDP: 34 + 8.
    expect(header).toEqual([1, gsoType, gsoType === 1 || gsoType === 4 ? 54 : 42, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0]);
    const others = (['HOST_TSO4', 'HOST_TSO6', 'HOST_UFO', 'HOST_USO'] as const).filter((name) => name !== feature);
    expect(() => write(['CSUM', ...others], { ...TSO, gsoType })).toThrow('gso_type');
  });
});

test('drv.net.tx.14,.15: a TCP frame with CWR goes out with the ECN bit, and not at all without HOST_ECN', () => {
  frame[47] = 0x80;
  expect(write(['CSUM', 'HOST_TSO4', 'HOST_ECN'], TSO)[1]).toBe(0x81);
  expect(() => write(['CSUM', 'HOST_TSO4'], TSO)).toThrow('HOST_ECN negotiated');
  frame[47] = 0;
  expect(write(['CSUM', 'HOST_TSO4', 'HOST_ECN'], { ...TSO, gsoType: 0x81 })[1]).toBe(0x81);
  expect(() => write(['CSUM', 'HOST_TSO4'], { ...TSO, gsoType: 0x81 })).toThrow('gso_type');
  expect(() => write(['CSUM', 'HOST_USO', 'HOST_TSO4', 'HOST_ECN'], { ...TSO, gsoType: 0x85 })).toThrow('ECN with TCP');
});

test('drv.net.tx.32,.33: segmentation comes with NEEDS_CSUM and gso_size, or not at all', () => {
  expect(() => write(['CSUM', 'HOST_TSO4'], { ...TSO, flags: 0 })).toThrow('NEEDS_CSUM');
  expect(() => write(['CSUM', 'HOST_TSO4'], { ...TSO, gsoSize: 0 })).toThrow('gso_size');
});

test('drv.net.tx.34: with GUEST_HDRLEN hdr_len is that of the headers, whatever the sender says', () => {
  const header = write(['CSUM', 'HOST_TSO4', 'GUEST_HDRLEN'], { ...TSO, hdrLen: 999 });
  expect(header.slice(2, 4)).toEqual([54, 0]);
});

test('drv.net.tx.35: where frames may be segmented, hdr_len of the others is no less than their headers', () => {
  const header = write(['CSUM', 'HOST_TSO4'], CSUM);
  expect(header[2]! + header[3]! * 256).toBe(LENGTH);
});

test('drv.net.tx.45: flags that only received frames have do not go out', () => {
  expect(write(['CSUM'], { ...CSUM, flags: 0x77 })[0]).toBe(1);
  expect(write(['CSUM'], { flags: 6 })[0]).toBe(0);
});

test('drv.net.tx.5: outer_nh_offset goes out with OUT_NET_HEADER', () => {
  expect(write(['OUT_NET_HEADER'], { outerNhOffset: 14 }).slice(24, 26)).toEqual([14, 0]);
  expect(write([], { outerNhOffset: 14 })).toHaveLength(12);
});

describe('tunnels', () => {
  const names = ['CSUM', 'HOST_TSO4', 'HOST_TSO6', 'HOST_USO', 'HOST_UFO', 'HOST_UDP_TUNNEL_GSO'] as const;
  const withCsum = [...names, 'HOST_UDP_TUNNEL_GSO_CSUM'] as const;
  const tunnel = {
    flags: 1,
    gsoType: 0x21,
    gsoSize: 1400,
    csumStart: 84,
    csumOffset: 16,
    outerThOffset: 42,
    innerNhOffset: 62,
  };

  test('drv.net.tx.16,.18,.36,.37: the spec’s example, TCP over IPv4 in Geneve', () => {
    const header = write(names, tunnel);
    // hdr_len 84 + 32 bytes of TCP header; outer_th_offset 42, inner_nh_offset 62.
    expect(header.slice(0, 12)).toEqual([1, 0x21, 116, 0, 0x78, 5, 84, 0, 16, 0, 0, 0]);
    expect(header.slice(20)).toEqual([42, 0, 62, 0]);
  });

  test('drv.net.tx.19: the bit is that of the inner IP version', () => {
    frame[62] = 0x60;
    expect(write(names, { ...tunnel, gsoType: 0x44 })[1]).toBe(0x44);
    expect(() => write(names, tunnel)).toThrow('IP version 6');
    frame[62] = 0x45;
    expect(() => write(names, { ...tunnel, gsoType: 0x44 })).toThrow('IP version 4');
  });

  test('drv.net.tx.17,.42: without HOST_UDP_TUNNEL_GSO no tunnel bit goes out', () => {
    expect(() => write(['CSUM', 'HOST_TSO4', 'HOST_UDP_TUNNEL_GSO_CSUM'], tunnel)).toThrow('gso_type');
  });

  test('drv.net.tx.20,.22,.23,.43: without HOST_UDP_TUNNEL_GSO_CSUM no outer checksum is left to the device', () => {
    expect(() => write(names, { ...tunnel, flags: 9 })).toThrow('HOST_UDP_TUNNEL_GSO_CSUM negotiated');
  });

  test('drv.net.tx.21,.38: with both, UDP_TUNNEL_CSUM goes out beside the tunnel bit', () => {
    expect(write(withCsum, { ...tunnel, flags: 9 }).slice(0, 2)).toEqual([9, 0x21]);
  });

  test('drv.net.tx.24,.25,.26: no tunnel bit with UDP, no two of them, no UDP_TUNNEL_CSUM without one', () => {
    expect(() => write(withCsum, { ...tunnel, gsoType: 0x23 })).toThrow('UDP_L4 in a tunnel');
    expect(() => write(withCsum, { ...tunnel, gsoType: 0x61 })).toThrow('one tunnel bit');
    expect(() => write(withCsum, { ...TSO, flags: 9 })).toThrow('a tunnel bit in gso_type');
  });

  test('drv.net.tx.40,.41: without UDP_TUNNEL_CSUM the outer checksum is 0', () => {
    frame[48] = 1;
    expect(() => write(withCsum, tunnel)).toThrow('outer UDP checksum');
    frame[48] = 0;
    expect(write(withCsum, tunnel)[0]).toBe(1);
  });

  test('drv.net.tx.46: DATA_VALID does not go out with a tunnel bit', () => {
    expect(write(names, { ...tunnel, flags: 3 })[0]).toBe(1);
  });
});
