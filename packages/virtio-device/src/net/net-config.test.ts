import { HostMemory } from '@ringwire/guest-memory';
import { featureWords, hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { NET_SCRATCH_BYTES, NetDevice } from './net-device.js';
import type { NetDeviceOptions } from './net-options.js';
import { FakeBackend } from './testing/fake-backend.js';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { MAC, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
const memory = HostMemory.create(0x1_0000);
const make = (options: Partial<NetDeviceOptions> = {}): NetDevice =>
  new NetDevice({ memory, scratch: 0, backend: new FakeBackend(memory, NET_SCRATCH_BYTES), mac: MAC, ...options });
const offers = ({ features }: NetDevice, bit: number): boolean => hasFeature(features, bit);

describe('configuration', () => {
  test('dev.net.config.1,.2,.3,.7,.8,.10,.11: all of it, by hand', () => {
    const device = make({ pairs: 4, mtu: 1500, speed: 25_000, duplex: 1 });
    // mac, status LINK_UP, 4 pairs, mtu 1500, speed 25000, full duplex, key 40, table 128, nine hash and tunnel types
    const expected = hex('525400123456 0100 0400 dc05 a8610000 01 28 8000 ff010000 ff010000');
    expect(device.config).toEqual(expected);
  });

  test('dev.net.config.10,.11: what is unknown reads as all ones', () => {
    expect(make().config.subarray(12, 17)).toEqual(hex('ffffffff ff'));
  });

  test('dev.net.config.4,.12: mtu never changes; speed and duplex while the link is down only', () => {
    const bench = new NetBench('split', [F.MTU, F.STATUS, F.SPEED_DUPLEX], { speed: 1000, duplex: 1 });
    const before = bench.device.config.slice();
    expect(() => bench.device.setSpeed(10, 0)).toThrow(/speed is 10, want set while the link is down/);
    expect(bench.device.config).toEqual(before);
    bench.device.setLink(false);
    bench.device.setSpeed(10, 0);
    bench.device.setSpeed(10, 0);
    bench.device.setLink(true);
    expect(bench.device.config.subarray(6, 17)).toEqual(hex('0100 0100 dc05 0a000000 00'));
    expect(bench.port.configChanges).toBe(3);
    bench.device.setLink(true);
    expect(bench.port.configChanges).toBe(3);
  });

  test('dev.net.config.4: somebody else may show a smaller mtu until the reset, but not while the device runs', () => {
    const bench = new NetBench('split', [F.MTU], { mtu: 9000 });
    const { device } = bench;
    const mtuOf = (): number => new DataView(device.config.buffer).getUint16(10, true);
    expect([device.setMtu(1500), device.setMtu(9000), mtuOf()]).toEqual([false, true, 9000]);
    device.stop();
    expect([67, 9001, 1500.5, Number.NaN].map((mtu) => device.setMtu(mtu))).toEqual([false, false, false, false]);
    expect([device.setMtu(68), device.setMtu(1500), mtuOf()]).toEqual([true, true, 1500]);
    device.start(bench.port);
    bench.transmit([join(plainHeader(), frameOf(1515))]);
    bench.transmit([join(plainHeader(), frameOf(1514))]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes.length)).toEqual([1514]);
    device.stop();
    device.reset();
    expect(mtuOf()).toBe(9000);
  });

  test('RFC 903: a station is announced by a RARP request for its own address, unless the link is down', () => {
    const { device, backend } = new NetBench('split', []);
    expect(device.sendRarp(hex('525400aabbcc'))).toBe(true);
    const rarp = hex('ffffffffffff 525400aabbcc 8035 0001 0800 06 04 0003 525400aabbcc 00000000 525400aabbcc 00000000');
    expect(backend.sent).toEqual([{ bytes: join(rarp, new Uint8Array(18)), pair: 0, fields: {} }]);
    expect(backend.flushes).toBe(1);
    device.setLink(false);
    expect(device.sendRarp(hex('525400aabbcc'))).toBe(false);
    device.setLink(true);
    expect([device.sendRarp(hex('ffffffffffff')), device.sendRarp(hex('5254'))]).toEqual([false, false]);
    expect(backend.sent).toHaveLength(1);
  });

  test('without the features that show them, changes are not told', () => {
    const bench = new NetBench('split', []);
    bench.device.setLink(false);
    bench.device.setSpeed(10, 0);
    expect(bench.port.configChanges).toBe(0);
  });

  test.each<[Partial<NetDeviceOptions>, RegExp]>([
    [{ pairs: 0 }, /^pairs is 0, want 1 to 32768/],
    [{ pairs: 32769 }, /^pairs is 32769/],
    [{ mtu: 67 }, /^mtu is 67, want 68 to 65535/],
    [{ mtu: 65536 }, /^mtu is 65536/],
    [{ speed: 0x8000_0000 }, /^speed is 2147483648, want 0 to 2147483647/],
    [{ duplex: 2 }, /^duplex is 2/],
    [{ mac: hex('01005e000001') }, /^mac is 01:00:5e:00:00:01, want 6 bytes of a station/],
    [{ mac: hex('000000000000') }, /^mac is 00:00:00:00:00:00/],
    [{ mac: hex('5254001234') }, /^mac is 52:54:00:12:34/],
    [{ rxQueueSize: 100 }, /^rxQueueSize is 100, want a power of two/],
    [{ rssContexts: 0 }, /^rssContexts is 0, want 1 to 65535/],
    [{ features: [F.RSC_EXT] }, /^features is VIRTIO_NET_F_RSC_EXT, want what NetDevice can do/],
    [{ scratch: 0x1_0000 }, /^at is 65536/],
  ])('an option that no device can have is refused: %j', (options, message) => {
    expect(() => make(options)).toThrow(message);
  });

  test('queues: a receive and a transmit queue per pair, then the control queue', () => {
    const sizes = { rxQueueSize: 512, txQueueSize: 128, controlQueueSize: 16 };
    expect(make({ pairs: 2, ...sizes }).queueSizes).toEqual([512, 128, 512, 128, 16]);
    expect(make({ ...sizes, without: [F.CTRL_VQ] }).queueSizes).toEqual([512, 128]);
  });
});

describe('features', () => {
  test('what is offered: all that the device can do; MQ with a second pair, STANDBY when asked for, IPSEC never', () => {
    const one = make();
    const missing = Object.entries(F)
      .filter(([, bit]) => !offers(one, bit))
      .map(([name]) => name);
    expect(missing).toEqual(['MQ', 'RSC_EXT', 'STANDBY', 'IPSEC']);
    expect(offers(make({ pairs: 2 }), F.MQ)).toBe(true);
  });

  test('dev.net.config.9: STANDBY is offered when asked for', () => {
    expect(offers(make({ standby: true }), F.STANDBY)).toBe(true);
  });

  test('dev.net.config.13,.14: without CTRL_VQ there is no HASH_REPORT and no CTRL_RX_EXTRA, nor anything that needs it', () => {
    const device = make({ pairs: 2, without: [F.CTRL_VQ] });
    const needs = [
      'CTRL_RX',
      'CTRL_VLAN',
      'CTRL_RX_EXTRA',
      'GUEST_ANNOUNCE',
      'MQ',
      'CTRL_MAC_ADDR',
      'HASH_REPORT',
      'RSS',
    ];
    for (const name of needs) expect(offers(device, F[name as keyof typeof F]), name).toBe(false);
    expect(device.featureProblem(device.features)).toBeUndefined();
  });

  test('with the control queue elsewhere MQ and GUEST_ANNOUNCE need no CTRL_VQ, and its other commands are not offered', () => {
    const device = make({ pairs: 2, externalControl: true });
    const all = Object.entries(F).filter(([, bit]) => offers(make({ pairs: 2 }), bit));
    const missing = all.filter(([, bit]) => !offers(device, bit)).map(([name]) => name);
    expect(missing).toEqual([
      'CTRL_GUEST_OFFLOADS',
      'CTRL_VQ',
      'CTRL_RX',
      'CTRL_VLAN',
      'CTRL_RX_EXTRA',
      'CTRL_MAC_ADDR',
      'DEVICE_STATS',
      'HASH_TUNNEL',
      'VQ_NOTF_COAL',
      'NOTF_COAL',
      'HASH_REPORT',
      'RSS',
      'RSS_CONTEXT',
    ]);
    expect(device.featureProblem(device.features)).toBeUndefined();
    expect(device.featureProblem(featureWords([F.RSS]))).toContain('VIRTIO_NET_F_RSS requires VIRTIO_NET_F_CTRL_VQ');
    expect(device.queueSizes).toHaveLength(4);
  });

  test('a feature that is not offered takes those along that need it', () => {
    const device = make({ without: [F.GUEST_CSUM] });
    for (const name of ['GUEST_TSO4', 'GUEST_ECN', 'GUEST_USO6', 'GUEST_UDP_TUNNEL_GSO_CSUM'] as const)
      expect(offers(device, F[name]), name).toBe(false);
    expect(offers(make({ features: [F.MAC, F.MTU, F.MQ] }), F.MAC)).toBe(true);
  });

  test.each([
    ['MQ', [F.MQ], 'VIRTIO_NET_F_MQ requires VIRTIO_NET_F_CTRL_VQ (virtio 1.4 §5.1.3.1)'],
    ['ECN', [F.CSUM, F.HOST_ECN], 'VIRTIO_NET_F_HOST_ECN requires VIRTIO_NET_F_HOST_TSO4 or VIRTIO_NET_F_HOST_TSO6'],
    ['TSO', [F.HOST_TSO4], 'VIRTIO_NET_F_HOST_TSO4 requires VIRTIO_NET_F_CSUM'],
    ['hash of tunnels', [F.CTRL_VQ, F.HASH_TUNNEL], 'requires VIRTIO_NET_F_RSS or VIRTIO_NET_F_HASH_REPORT'],
  ])('NG-02: %s without what it requires is refused', (_, bits, message) => {
    expect(make().featureProblem(featureWords(bits))).toContain(message);
  });

  test('NG-02: all that is offered goes together, and nothing does as well', () => {
    const device = make({ pairs: 8, standby: true });
    expect(device.featureProblem(device.features)).toBeUndefined();
    expect(device.featureProblem(featureWords([]))).toBeUndefined();
  });
});
