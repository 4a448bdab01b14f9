import { expect, test } from 'vitest';
import {
  VIRTIO_NET_CONFIG,
  VIRTIO_NET_CONFIG_LIMITS,
  VIRTIO_NET_CONFIG_SIZE,
  VIRTIO_NET_DUPLEX,
  VIRTIO_NET_S,
  VIRTIO_NET_SPEED,
} from './net-config.js';
import { walkLayout } from './testing/walk-layout.js';

test('virtio 1.4 §5.1.4: the fields have neither gap nor overlap and end at 28 bytes', () => {
  expect(walkLayout(VIRTIO_NET_CONFIG, 28)).toEqual([]);
  expect(VIRTIO_NET_CONFIG_SIZE).toBe(28);
});

test('virtio 1.4 §5.1.4: the struct’s widths and features, written by hand', () => {
  const rows = Object.entries(VIRTIO_NET_CONFIG).map(
    ([name, { bytes, features }]) => `${name} ${bytes} ${features.join('|')}`,
  );
  expect(rows).toEqual([
    'mac 6 ',
    'status 2 STATUS',
    'max_virtqueue_pairs 2 MQ|RSS',
    'mtu 2 MTU',
    'speed 4 SPEED_DUPLEX',
    'duplex 1 SPEED_DUPLEX',
    'rss_max_key_size 1 RSS|HASH_REPORT',
    'rss_max_indirection_table_length 2 RSS',
    'supported_hash_types 4 RSS|HASH_REPORT',
    'supported_tunnel_types 4 HASH_TUNNEL',
  ]);
});

test('a configuration by hand: 52:54:00:12:34:56, link up, 4 pairs, MTU 1500', () => {
  const bytes = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x01, 0x00, 0x04, 0x00, 0xdc, 0x05);
  const view = new DataView(bytes.buffer);
  expect(bytes[VIRTIO_NET_CONFIG.mac.at + 5]).toBe(0x56);
  expect(view.getUint16(VIRTIO_NET_CONFIG.status.at, true)).toBe(VIRTIO_NET_S.LINK_UP);
  expect(view.getUint16(VIRTIO_NET_CONFIG.max_virtqueue_pairs.at, true)).toBe(4);
  expect(view.getUint16(VIRTIO_NET_CONFIG.mtu.at, true)).toBe(1500);
});

test('virtio 1.4 §5.1.4: values of status, speed and duplex', () => {
  expect(VIRTIO_NET_S).toEqual({ LINK_UP: 1, ANNOUNCE: 2 });
  expect(VIRTIO_NET_SPEED).toEqual({ MAX: 2147483647, UNKNOWN: 4294967295 });
  expect(VIRTIO_NET_DUPLEX).toEqual({ HALF: 0, FULL: 1, UNKNOWN: 255 });
});

test('virtio 1.4 §5.1.4.1: limits fit into their fields', () => {
  expect(VIRTIO_NET_CONFIG_LIMITS).toEqual({
    max_virtqueue_pairs: { min: 1, max: 32768 },
    mtu: { min: 68, max: 65535 },
    rss_max_key_size: { min: 40, max: 255 },
    rss_max_indirection_table_length: { min: 128, max: 65535 },
  });
  for (const field of ['max_virtqueue_pairs', 'mtu', 'rss_max_key_size'] as const) {
    expect(VIRTIO_NET_CONFIG_LIMITS[field].max).toBeLessThan(256 ** VIRTIO_NET_CONFIG[field].bytes);
  }
});
