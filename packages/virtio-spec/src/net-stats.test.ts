import { expect, test } from 'vitest';
import {
  VIRTIO_NET_CTRL_QUEUE_STATS,
  VIRTIO_NET_CTRL_STATS,
  VIRTIO_NET_STATS_FIELDS,
  VIRTIO_NET_STATS_REPLY_HDR,
  VIRTIO_NET_STATS_TYPE,
} from './net-stats.js';
import { walkLayout, withWidths } from './testing/walk-layout.js';

test('virtio 1.4 §5.1.9.5.11.1: types of statistics: receive from 0, transmit from 16, the control queue at 32', () => {
  expect(Object.values(VIRTIO_NET_STATS_TYPE)).toEqual([0, 1, 2, 3, 16, 17, 18, 19, 32]);
  expect(VIRTIO_NET_CTRL_STATS).toEqual({ QUERY: 0, GET: 1 });
});

test('virtio 1.4 §5.1.9.5.11.2: request and reply header have neither gap nor overlap', () => {
  const { SIZE: requestBytes, ...request } = VIRTIO_NET_CTRL_QUEUE_STATS;
  expect(walkLayout(withWidths(request, { vq_index: 2, reserved: 6, types_bitmap: 8 }), requestBytes)).toEqual([]);
  const { SIZE: headerBytes, ...header } = VIRTIO_NET_STATS_REPLY_HDR;
  const widths = { type: 1, reserved: 1, vq_index: 2, reserved1: 2, size: 2 };
  expect(walkLayout(withWidths(header, widths), headerBytes)).toEqual([]);
  expect([requestBytes, headerBytes]).toEqual([16, 8]);
});

test('virtio 1.4 §5.1.9.5.11.3 to .11: counters per reply', () => {
  const counts = Object.entries(VIRTIO_NET_STATS_FIELDS).map(([type, fields]) => `${type} ${fields.length}`);
  expect(counts.join(', ')).toBe(
    'RX_BASIC 6, RX_CSUM 4, RX_GSO 4, RX_SPEED 2, TX_BASIC 6, TX_CSUM 2, TX_GSO 6, TX_SPEED 2, CVQ 2',
  );
  expect(Object.keys(VIRTIO_NET_STATS_FIELDS)).toEqual(Object.keys(VIRTIO_NET_STATS_TYPE));
  expect(VIRTIO_NET_STATS_FIELDS.RX_BASIC.indexOf('rx_drop_overruns')).toBe(5);
  expect(VIRTIO_NET_STATS_FIELDS.TX_GSO.indexOf('tx_gso_segments_bytes')).toBe(3);
});
