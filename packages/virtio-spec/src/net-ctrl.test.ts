import { expect, test } from 'vitest';
import {
  RSS_RQ_ID_RESERVED,
  VIRTIO_NET_ACK,
  VIRTIO_NET_CTRL,
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_COAL,
  VIRTIO_NET_CTRL_COAL_VQ,
  VIRTIO_NET_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_CTRL_HASH_TUNNEL,
  VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_MQ_VQ_PAIRS,
  VIRTIO_NET_CTRL_NOTF_COAL,
  VIRTIO_NET_CTRL_RSS_CTX,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_CTRL_VLAN,
  VIRTIO_NET_GUEST_OFFLOAD,
  VIRTIO_NET_HASH_CONFIG,
  VIRTIO_NET_RSS_CONFIG,
  VIRTIO_NET_RSS_CTX,
} from './net-ctrl.js';
import { VIRTIO_NET_F } from './net-features.js';

test('virtio 1.4 §5.1.9.5: classes, commands and answers are numbered as the defines are', () => {
  const numbers = (table: Readonly<Record<string, number>>): string =>
    Object.entries(table)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  expect(numbers(VIRTIO_NET_CTRL_CLASS)).toBe(
    'RX 0, MAC 1, VLAN 2, ANNOUNCE 3, MQ 4, GUEST_OFFLOADS 5, NOTF_COAL 6, HASH_TUNNEL 7, STATS 8, RSS_CTX 9',
  );
  expect(numbers(VIRTIO_NET_CTRL_RX)).toBe('PROMISC 0, ALLMULTI 1, ALLUNI 2, NOMULTI 3, NOUNI 4, NOBCAST 5');
  expect(numbers(VIRTIO_NET_CTRL_MAC)).toBe('TABLE_SET 0, ADDR_SET 1');
  expect(numbers(VIRTIO_NET_CTRL_VLAN)).toBe('ADD 0, DEL 1');
  expect(numbers(VIRTIO_NET_CTRL_ANNOUNCE)).toBe('ACK 0');
  expect(numbers(VIRTIO_NET_CTRL_MQ)).toBe('VQ_PAIRS_SET 0, RSS_CONFIG 1, HASH_CONFIG 2');
  expect(numbers(VIRTIO_NET_CTRL_MQ_VQ_PAIRS)).toBe('MIN 1, MAX 32768');
  expect(numbers(VIRTIO_NET_CTRL_GUEST_OFFLOADS)).toBe('SET 0');
  expect(numbers(VIRTIO_NET_CTRL_NOTF_COAL)).toBe('TX_SET 0, RX_SET 1, VQ_SET 2, VQ_GET 3');
  expect(numbers(VIRTIO_NET_CTRL_HASH_TUNNEL)).toBe('SET 0');
  expect(numbers(VIRTIO_NET_CTRL_RSS_CTX)).toBe('CAP_GET 0, ADD 1, MOD 2, DEL 3');
  expect(numbers(VIRTIO_NET_ACK)).toBe('OK 0, ERR 1');
});

test('virtio 1.4 §5.1.9.5.9.1: an offload is the bit of its feature, but for the two of tunnels', () => {
  const { UDP_TUNNEL_GSO, UDP_TUNNEL_GSO_CSUM, ...others } = VIRTIO_NET_GUEST_OFFLOAD;
  expect([UDP_TUNNEL_GSO, UDP_TUNNEL_GSO_CSUM]).toEqual([46, 47]);
  for (const [name, bit] of Object.entries(others))
    expect(bit, name).toBe(VIRTIO_NET_F[`GUEST_${name}` as keyof typeof VIRTIO_NET_F]);
});

test('virtio 1.4 §5.1.9.5: data of commands, as offsets by hand', () => {
  expect(VIRTIO_NET_CTRL).toEqual({ class: 0, command: 1, data: 2 });
  // le32, le16, rss_rq_id, table
  expect(Object.values(VIRTIO_NET_RSS_CONFIG)).toEqual([0, 4, 4 + 2, 4 + 2 + 2]);
  expect(RSS_RQ_ID_RESERVED).toBe(1 << 15);
  // le32, le16 reserved[4], u8, key
  expect(Object.values(VIRTIO_NET_HASH_CONFIG)).toEqual([0, 4, 4 + 8, 4 + 8 + 1]);
  // le32, le32
  expect(VIRTIO_NET_CTRL_COAL).toEqual({ max_packets: 0, max_usecs: 4, SIZE: 8 });
  // le16, le16, struct virtio_net_ctrl_coal
  expect(VIRTIO_NET_CTRL_COAL_VQ).toEqual({ vq_index: 0, reserved: 2, coal: 4, SIZE: 4 + 8 });
  // le16, u8 reserved[6], struct virtio_net_rss_config
  expect(VIRTIO_NET_RSS_CTX).toEqual({ rss_ctx_id: 0, reserved: 2, rss: 2 + 6 });
});
