import { DELIVERED } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';
import { type End, tcp4, udp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const MQ = [F.CTRL_VQ, F.MQ];
const RSS = [F.CTRL_VQ, F.MQ, F.RSS];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);

/** The key of Microsoft's RSS verification suite, and two of its rows: the hash over addresses, and with TCP ports. */
const KEY = '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa';
const KNOWN = [
  {
    from: { address: '420995bb', port: 2794 },
    to: { address: 'a18e6450', port: 1766 },
    ip: 0x323e8fc2,
    tcp: 0x51ccc178,
  },
  {
    from: { address: 'c75c6f02', port: 14230 },
    to: { address: '41458c53', port: 4739 },
    ip: 0xd718262a,
    tcp: 0xc626b0ea,
  },
] as const;

const le32 = (value: number): string =>
  [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('');
const le16 = (value: number): string => le32(value).slice(0, 4);

/** virtio_net_rss_config by hand. */
const rssConfig = (types: number, table: readonly number[], unclassified = 0, txPairs = 1, key = KEY): string =>
  [
    le32(types),
    le16(table.length - 1),
    le16(unclassified),
    ...table.map(le16),
    le16(txPairs),
    (key.length / 2).toString(16).padStart(2, '0'),
    key,
  ].join('');

const flow = (n: number): { from: End; to: End } => ({
  from: { address: `0a0001${n.toString(16).padStart(2, '0')}`, port: 80 },
  to: { address: '0a000001', port: 1000 + n },
});

/** Receive queues with buffers, and which of them a frame went to: its pair, or -1. */
function arrivedAt(bench: NetBench, pairs: number, frame: Uint8Array): number {
  for (let pair = 0; pair < pairs; pair++)
    if (bench.port.queue(2 * pair) !== undefined && bench.queues[2 * pair]!.outstanding === 0) bench.post([2000], pair);
  bench.backend.deliver(frame);
  bench.step();
  const hits = Array.from({ length: pairs }, (_, pair) => pair).filter((pair) => bench.collect(2 * pair).length > 0);
  expect(hits.length).toBeLessThanOrEqual(1);
  return hits[0] ?? -1;
}

describe.each(LAYOUTS)('%s: automatic receive steering', (layout) => {
  const started = (features: readonly number[] = MQ): NetBench => new NetBench(layout, features, { pairs: 4 });

  test('dev.net.mq.1: after reset everything goes to receiveq1', () => {
    const bench = started();
    for (let n = 0; n < 12; n++) expect(arrivedAt(bench, 4, tcp4(flow(n)))).toBe(0);
  });

  test('after a flow left on transmitqX, what comes back of it goes to receiveqX', () => {
    const bench = started();
    expect(bench.control(hex('04 00 0400'))).toEqual(OK);
    for (let n = 0; n < 40; n++) {
      const { from, to } = flow(n);
      const pair = (7 * n) % 4;
      bench.transmit([join(plainHeader(), tcp4({ from: to, to: from }))], pair);
      bench.step();
      bench.collect(2 * pair + 1);
      expect(arrivedAt(bench, 4, tcp4({ from, to }))).toBe(pair);
    }
  });

  test('a flow that nobody sent keeps to one queue; a frame without IP goes to the first', () => {
    const bench = started();
    bench.control(hex('04 00 0400'));
    const queues = Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, udp4(flow(n))));
    expect(new Set(queues).size).toBe(4);
    expect(Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, udp4(flow(n))))).toEqual(queues);
    expect(arrivedAt(bench, 4, frameOf(60))).toBe(0);
  });

  test('dev.net.mq.2: with fewer pairs none beyond them gets a frame, remembered flows included', () => {
    const bench = started();
    bench.control(hex('04 00 0400'));
    const { from, to } = flow(1);
    bench.transmit([join(plainHeader(), tcp4({ from: to, to: from }))], 3);
    bench.step();
    expect(bench.control(hex('04 00 0200'))).toEqual(OK);
    const queues = Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n))));
    expect(new Set(queues)).toEqual(new Set([0, 1]));
    expect(bench.control(hex('04 00 0100'))).toEqual(OK);
    expect(Array.from({ length: 8 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n))))).toEqual(new Array(8).fill(0));
  });

  test('TX-27: transmit queues above the number in use are not looked at until it is raised', () => {
    const bench = started();
    bench.transmit([plainHeader(), frameOf(60)], 2);
    bench.step();
    expect(bench.backend.sent).toEqual([]);
    expect(bench.control(hex('04 00 0300'))).toEqual(OK);
    expect(bench.backend.sent.map(({ pair }) => pair)).toEqual([2]);
  });

  test('dev.net.mq.3: a frame for a queue that is being reset goes to another one', () => {
    const bench = started();
    bench.control(hex('04 00 0200'));
    const target = arrivedAt(bench, 4, tcp4(flow(5)));
    bench.port.close(2 * target);
    bench.device.queueChanged(2 * target);
    expect(arrivedAt(bench, 4, tcp4(flow(5)))).toBe(1 - target);
  });

  test('dev.net.mq.4: RX-16: while all receive queues are being reset the frame is dropped', () => {
    const bench = started();
    bench.control(hex('04 00 0200'));
    for (const index of [0, 2]) {
      bench.port.close(index);
      bench.device.queueChanged(index);
    }
    bench.backend.deliver(tcp4(flow(5)));
    bench.step();
    expect(bench.backend.outcomes).toEqual([DELIVERED.DROPPED]);
    expect(bench.drops()).toEqual({ RX_QUEUE_OFF: 1 });
  });

  test.each([
    ['0', '0000'],
    ['one more than there are', '0500'],
    ['65535', 'ffff'],
    ['half a number', '01'],
  ])('CT-13: %s pairs are refused', (_, data) => {
    const bench = started();
    expect(bench.control(hex(`04 00 ${data}`))).toEqual(ERR);
    expect(arrivedAt(bench, 4, tcp4(flow(3)))).toBe(0);
  });

  test('CT-14: queues that are not set up stay silent until they are', () => {
    const bench = started();
    for (const index of [4, 5, 6, 7]) bench.port.close(index);
    bench.device.stop();
    bench.device.start(bench.port);
    expect(bench.control(hex('04 00 0400'))).toEqual(OK);
    const queues = Array.from({ length: 32 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n))));
    expect(new Set(queues)).toEqual(new Set([0, 1]));
    bench.open(4);
    bench.device.queueChanged(4);
    expect(new Set(Array.from({ length: 32 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n)))))).toEqual(
      new Set([0, 1, 2]),
    );
  });

  test('without MQ and RSS there is one pair, and the control queue is the third queue', () => {
    const bench = started([F.CTRL_VQ]);
    expect(bench.controlIndex()).toBe(2);
    expect(bench.control(hex('04 00 0100'))).toEqual(ERR);
    expect(arrivedAt(bench, 1, tcp4(flow(3)))).toBe(0);
  });
});

describe.each(LAYOUTS)('%s: RSS', (layout) => {
  const started = (features: readonly number[] = RSS): NetBench => new NetBench(layout, features, { pairs: 4 });

  test('dev.net.rss.1,.3: the queue is the table’s entry at hash & mask', () => {
    const bench = started();
    // TCPv4, 128 entries: entry n is queue n / 32
    const table = Array.from({ length: 128 }, (_, n) => n >> 5);
    expect(bench.control(hex(`04 01 ${rssConfig(2, table)}`))).toEqual(OK);
    for (const { from, to, tcp } of KNOWN) expect(arrivedAt(bench, 4, tcp4({ from, to }))).toBe((tcp & 127) >> 5);
    // Addresses alone.
    expect(bench.control(hex(`04 01 ${rssConfig(1, table)}`))).toEqual(OK);
    for (const { from, to, ip } of KNOWN) expect(arrivedAt(bench, 4, tcp4({ from, to }))).toBe((ip & 127) >> 5);
  });

  test('dev.net.rss.2: RX-14: a frame without a hash goes to unclassified_queue', () => {
    const bench = started();
    bench.control(hex(`04 01 ${rssConfig(2, [0, 1], 3)}`));
    expect(arrivedAt(bench, 4, frameOf(60))).toBe(3);
    expect(arrivedAt(bench, 4, udp4(flow(1)))).toBe(3);
    // A TCP header that is cut has no ports, and IPv4 is not enabled.
    expect(arrivedAt(bench, 4, tcp4(flow(1)).subarray(0, 40))).toBe(3);
    bench.control(hex(`04 01 ${rssConfig(0, [0, 1], 2, 1, '')}`));
    expect(arrivedAt(bench, 4, tcp4(flow(1)))).toBe(2);
  });

  test('dev.net.rss.4: a frame for a queue that is being reset is dropped', () => {
    const bench = started();
    bench.control(hex(`04 01 ${rssConfig(2, [1, 1])}`));
    bench.port.close(2);
    bench.device.queueChanged(2);
    expect(arrivedAt(bench, 4, tcp4(flow(1)))).toBe(-1);
    expect(bench.drops()).toEqual({ RX_QUEUE_OFF: 1 });
  });

  test('RX-15: VQ_PAIRS_SET behind RSS is what counts: no frame goes where the table says', () => {
    const bench = started();
    bench.control(hex(`04 01 ${rssConfig(2, [3, 3], 3, 4)}`));
    expect(arrivedAt(bench, 4, tcp4(flow(1)))).toBe(3);
    expect(bench.control(hex('04 00 0100'))).toEqual(OK);
    for (let n = 0; n < 8; n++) expect(arrivedAt(bench, 4, tcp4(flow(n)))).toBe(0);
  });

  test('max_tx_vq is how many transmit queues are served', () => {
    const bench = started();
    bench.transmit([plainHeader(), frameOf(60)], 2);
    expect(bench.control(hex(`04 01 ${rssConfig(2, [0], 0, 3)}`))).toEqual(OK);
    expect(bench.backend.sent.map(({ pair }) => pair)).toEqual([2]);
  });

  const table = [0, 1];
  test.each([
    ['CT-15: a mask of 2', `${le32(2)} 0200 0000 0000 0000 0000 0100 28 ${KEY}`],
    ['CT-15: a table of 256 entries', rssConfig(2, new Array(256).fill(0))],
    ['CT-15: a mask of 65535', `${le32(2)} ffff 0000 0100 28 ${KEY}`],
    ['CT-16: an entry for a queue that there is not', rssConfig(2, [0, 4])],
    ['CT-16: unclassified_queue 4', rssConfig(2, table, 4)],
    ['CT-16: the reserved bit of an entry', rssConfig(2, [0, 0x8000])],
    ['max_tx_vq 0', rssConfig(2, table, 0, 0)],
    ['max_tx_vq 5', rssConfig(2, table, 0, 5)],
    ['CT-17: a key of 41 bytes', rssConfig(2, table, 0, 1, `${KEY}00`)],
    ['CT-17: a key that is longer than the data', rssConfig(2, table).slice(0, -2)],
    ['CT-17: no key for an enabled hash', rssConfig(2, table, 0, 1, '')],
    ['CT-18: data that ends inside the table', rssConfig(2, table).slice(0, 22)],
    ['CT-18: data that ends before the table', rssConfig(2, table).slice(0, 14)],
    ['CT-19: hash type bit 9', rssConfig(0x200, table)],
  ])('%s is refused, and the old configuration stays', (_, data) => {
    const bench = started();
    bench.control(hex(`04 01 ${rssConfig(2, [2, 2], 2)}`));
    expect(bench.control(hex(`04 01 ${data}`))).toEqual(ERR);
    expect(arrivedAt(bench, 4, tcp4(flow(1)))).toBe(2);
  });
});

describe.each(LAYOUTS)('%s: hash reports', (layout) => {
  const HASHING = [F.CTRL_VQ, F.HASH_REPORT, F.HASH_TUNNEL];
  const hashConfig = (types: number, key = KEY): string =>
    `${le32(types)} 0000000000000000 ${(key.length / 2).toString(16).padStart(2, '0')} ${key}`;

  /** hash_value and hash_report of a received frame. */
  function reported(bench: NetBench, frame: Uint8Array): [number, number] {
    const { ranges } = bench.post([2000]);
    bench.backend.deliver(frame);
    bench.step();
    expect(bench.collect(0)).toMatchObject([{ written: 20 + frame.length }]);
    const view = new DataView(bench.read(ranges).buffer);
    return [view.getUint32(12, true), view.getUint16(16, true)];
  }

  test('the hash and its type are in the header, by the suite’s own rows; before HASH_CONFIG it is NONE', () => {
    const bench = new NetBench(layout, HASHING);
    const { from, to, ip, tcp } = KNOWN[0];
    expect(reported(bench, tcp4({ from, to }))).toEqual([0, 0]);
    // TCPv4 and IPv4
    expect(bench.control(hex(`04 02 ${hashConfig(3)}`))).toEqual(OK);
    expect(reported(bench, tcp4({ from, to }))).toEqual([tcp, 2]);
    expect(reported(bench, udp4({ from, to }))).toEqual([ip, 1]);
    expect(reported(bench, frameOf(60))).toEqual([0, 0]);
    expect(bench.control(hex(`04 02 ${hashConfig(0, '')}`))).toEqual(OK);
    expect(reported(bench, tcp4({ from, to }))).toEqual([0, 0]);
  });

  test('a key that is shorter than the longest input goes on with zeros', () => {
    const bench = new NetBench(layout, HASHING);
    const { from, to, tcp } = KNOWN[0];
    // 16 bytes are enough for addresses and ports of IPv4.
    expect(bench.control(hex(`04 02 ${hashConfig(2, KEY.slice(0, 32))}`))).toEqual(OK);
    expect(reported(bench, tcp4({ from, to }))).toEqual([tcp, 2]);
  });

  test.each([
    ['undefined hash types', hashConfig(0x8000)],
    ['a key of 41 bytes', hashConfig(2, `${KEY}00`)],
    ['a cut key', hashConfig(2).slice(0, -2)],
    ['a cut structure', hashConfig(2).slice(0, 20)],
  ])('CT-17, CT-19: %s in HASH_CONFIG are refused', (_, data) => {
    const bench = new NetBench(layout, HASHING);
    expect(bench.control(hex(`04 02 ${data}`))).toEqual(ERR);
  });

  /** TCP in VXLAN, from the second row's addresses, inside the first row's. */
  const vxlan = (): Uint8Array => {
    const inner = tcp4({ from: KNOWN[0].from, to: KNOWN[0].to });
    const outer = udp4({ from: KNOWN[1].from, to: { ...KNOWN[1].to, port: 4789 }, payload: 8 + inner.length });
    outer.set(hex('08000000 00000100'), 42);
    outer.set(inner, 50);
    return outer;
  };

  test('dev.net.inner-hash.1,.3: the inner headers are hashed for an enabled tunnel, the outer ones otherwise', () => {
    const bench = new NetBench(layout, HASHING);
    bench.control(hex(`04 02 ${hashConfig(3)}`));
    const outer = [KNOWN[1].ip, 1];
    const inner = [KNOWN[0].tcp, 2];
    expect(reported(bench, vxlan())).toEqual(outer);
    expect(bench.control(hex('07 00 10000000'))).toEqual(OK);
    expect(reported(bench, vxlan())).toEqual(inner);
    // GENEVE alone: VXLAN does not match.
    expect(bench.control(hex('07 00 40000000'))).toEqual(OK);
    expect(reported(bench, vxlan())).toEqual(outer);
    bench.control(hex('07 00 10000000'));
    expect(bench.control(hex('07 00 00000000'))).toEqual(OK);
    expect(reported(bench, vxlan())).toEqual(outer);
    // And a reset disables it.
    bench.control(hex('07 00 10000000'));
    bench.device.stop();
    bench.device.start(bench.port);
    bench.control(hex(`04 02 ${hashConfig(3)}`));
    expect(reported(bench, vxlan())).toEqual(outer);
  });

  test('dev.net.inner-hash.2: tunnel types that are not supported are refused', () => {
    const bench = new NetBench(layout, HASHING);
    expect(bench.control(hex('07 00 00020000'))).toEqual(ERR);
    expect(bench.control(hex('07 00 100000'))).toEqual(ERR);
    expect(bench.control(hex('07 01 10000000'))).toEqual(ERR);
  });
});

describe.each(LAYOUTS)('%s: RSS contexts', (layout) => {
  const started = (): NetBench => new NetBench(layout, [...RSS, F.RSS_CONTEXT], { pairs: 4, rssContexts: 2 });
  const context = (id: number, config = rssConfig(2, [0, 1])): string => `${le16(id)} aabbccddeeff ${config}`;

  test('dev.net.rss-context.1: max_rss_contexts is what the device was made with', () => {
    expect(started().control(hex('09 00'), 3)).toEqual(hex('00 0200'));
    expect(started().control(hex('09 00'), 2)).toEqual(ERR);
  });

  test('contexts are added once, changed and deleted when they are there, up to the limit', () => {
    const bench = started();
    expect(bench.control(hex(`09 01 ${context(1)}`))).toEqual(OK);
    expect(bench.control(hex(`09 01 ${context(1)}`))).toEqual(ERR);
    expect(bench.control(hex(`09 02 ${context(1, rssConfig(1, [2]))}`))).toEqual(OK);
    expect(bench.control(hex(`09 02 ${context(2)}`))).toEqual(ERR);
    for (const id of [0, 3, 65535]) expect(bench.control(hex(`09 01 ${context(id)}`))).toEqual(ERR);
    expect(bench.control(hex(`09 01 ${context(2, rssConfig(2, [9]))}`))).toEqual(ERR);
    // The driver may not steer automatically meanwhile.
    expect(bench.control(hex('04 00 0200'))).toEqual(ERR);
    expect(bench.control(hex('09 03 0200'))).toEqual(ERR);
    expect(bench.control(hex('09 03 0100'))).toEqual(OK);
    expect(bench.control(hex('09 03 01'))).toEqual(ERR);
    expect(bench.control(hex('09 04 0100'))).toEqual(ERR);
    expect(bench.control(hex('04 00 0200'))).toEqual(OK);
  });

  test('dev.net.rss-context.2: a reset forgets them', () => {
    const bench = started();
    bench.control(hex(`09 01 ${context(1)}`));
    bench.device.stop();
    bench.device.start(bench.port);
    expect(bench.control(hex('09 03 0100'))).toEqual(ERR);
    expect(bench.control(hex(`09 01 ${context(1)}`))).toEqual(OK);
  });
});
