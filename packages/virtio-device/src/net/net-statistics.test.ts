import { DELIVERED } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { CVQ_STAT, RX_STAT, Statistics, TX_STAT } from './net-statistics.js';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench, type NetBenchOptions } from './testing/net-bench.js';
import { tcp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const FEATURES = [F.CTRL_VQ, F.DEVICE_STATS];
const OFFLOADS = [...FEATURES, F.CSUM, F.HOST_TSO4, F.GUEST_CSUM, F.GUEST_TSO4];
const ERR = Uint8Array.of(1);
const RX_BASIC = '0100000000000000';
const TX_BASIC = '0000010000000000';
const CVQ = '0000000001000000';

const request = (index: number, types: string): string =>
  `${index.toString(16).padStart(2, '0')}00 000000000000 ${types}`;

/** Counters of one reply, behind `ack` and its header. */
function counters(answer: Uint8Array, at = 1): number[] {
  const view = new DataView(answer.buffer, answer.byteOffset);
  const count = (view.getUint16(at + 6, true) - 8) / 8;
  return Array.from({ length: count }, (_, i) => Number(view.getBigUint64(at + 8 + 8 * i, true)));
}

test('dev.net.stats.11, NX-06: counters are 64 bits wide, and wrap to zero', () => {
  const statistics = new Statistics(2);
  statistics.add(1, 0xffff_ffff);
  statistics.add(1, 1);
  expect([...statistics.words]).toEqual([0, 0, 0, 1]);
  expect(statistics.get(1)).toBe(0x1_0000_0000);
  statistics.words.fill(0xffff_ffff, 2);
  statistics.add(1, 1);
  expect([...statistics.words]).toEqual([0, 0, 0, 0]);
});

test('virtio 1.4 §5.1.9.5.11: counters follow one another as in their structs', () => {
  expect([RX_STAT.rx_notifications, RX_STAT.rx_drop_overruns, RX_STAT.rx_csum_valid, RX_STAT.rx_gso_packets]).toEqual([
    0, 5, 6, 10,
  ]);
  expect([TX_STAT.tx_drop_malformed, TX_STAT.tx_csum_none, TX_STAT.tx_gso_packets]).toEqual([5, 6, 8]);
  expect([CVQ_STAT.command_num, CVQ_STAT.ok_num]).toEqual([0, 1]);
});

describe.each(LAYOUTS)('%s: device statistics', (layout) => {
  const started = (features: readonly number[] = FEATURES, options: NetBenchOptions = {}): NetBench =>
    new NetBench(layout, features, { size: 64, ...options });
  const get = (bench: NetBench, requests: string, room = 256): Uint8Array =>
    bench.control(hex(`08 01 ${requests}`), 1 + room);

  test('dev.net.stats.1: STATS_QUERY names the types there are: all but those of a rate limit', () => {
    // RX basic, csum, gso; TX basic, csum, gso; the control queue's
    expect(started().control(hex('08 00'), 9)).toEqual(hex('00 0700070001000000'));
    expect(started().control(hex('08 00'), 8)).toEqual(ERR);
  });

  test('dev.net.stats.8,.9,.10: each reply has type, queue and true size, and nothing is written behind the last', () => {
    const bench = started();
    const answer = bench.take(200, 4);
    bench.guest.write(answer, new Uint8Array(200).fill(0xee));
    const ask = bench.take(64, 4);
    const bytes = hex(`08 01 ${request(0, RX_BASIC)} ${request(2, CVQ)}`);
    bench.guest.write(ask, bytes);
    const id = bench.offer(2, [{ gpa: ask, length: bytes.length }], [{ gpa: answer, length: 200 }]);
    bench.step();
    // ack, 8 + 6 * 8 bytes, 8 + 2 * 8 bytes
    expect(bench.collect(2)).toEqual([{ id, written: 1 + 56 + 24 }]);
    const reply = bench.guest.read(answer, 200);
    expect(reply.subarray(1, 9)).toEqual(hex('00 00 0000 0000 3800'));
    expect(reply.subarray(57, 65)).toEqual(hex('20 00 0200 0000 1800'));
    expect(reply.subarray(81)).toEqual(new Uint8Array(119).fill(0xee));
  });

  test('received packets, bytes, notifications and drops', () => {
    const bench = started();
    for (let i = 0; i < 3; i++) bench.post([100]);
    for (const length of [60, 62, 64, 66]) bench.backend.deliver(frameOf(length));
    bench.step();
    const [notifications, packets, bytes, interrupts, drops, overruns] = counters(get(bench, request(0, RX_BASIC)));
    expect([packets, bytes, interrupts, drops, overruns]).toEqual([3, 186, 1, 1, 1]);
    expect(notifications).toBeGreaterThan(0);
  });

  test('transmitted packets are those that left; malformed ones are told from refused ones', () => {
    const bench = started();
    bench.transmit([plainHeader(), frameOf(60)]);
    bench.transmit([plainHeader(), frameOf(61)]);
    bench.transmit([plainHeader()]);
    bench.step();
    bench.backend.answer = DELIVERED.DROPPED;
    bench.transmit([plainHeader(), frameOf(62)]);
    bench.step();
    const [notifications, packets, bytes, interrupts, drops, malformed] = counters(get(bench, request(1, TX_BASIC)));
    expect([packets, bytes, drops, malformed]).toEqual([2, 121, 2, 1]);
    expect(interrupts).toBe(2);
    expect(notifications).toBeGreaterThan(0);
  });

  test('commands are counted with the one that asks', () => {
    const bench = started();
    bench.control(hex('ff 00'));
    bench.control(hex('08 00'), 9);
    expect(counters(get(bench, request(2, CVQ)))).toEqual([3, 2]);
  });

  test('checksums and segmentation, each type for itself', () => {
    const bench = started(OFFLOADS);
    const giant = tcp4({ checksum: 'offloaded', payload: 3000 });
    const tso = hex('01 01 3600 e803 2200 1000 0000');
    bench.transmit([tso, giant]);
    bench.transmit([plainHeader(), frameOf(60)]);
    bench.step();
    bench.post([4000]);
    bench.post([4000]);
    bench.backend.deliver(giant, { flags: 1, gsoType: 1, gsoSize: 1000, csumStart: 34, csumOffset: 16 });
    bench.backend.deliver(frameOf(60));
    bench.step();
    // csum: valid, needs, none, bad; gso: packets, bytes, coalesced
    const rx = get(bench, request(0, '0600000000000000'));
    expect(counters(rx)).toEqual([0, 1, 1, 0]);
    expect(counters(rx, 1 + 40)).toEqual([1, 3054, 0, 0]);
    // csum: none, needs; gso: packets, bytes, segments, their bytes, without segmentation
    const tx = get(bench, request(1, '0000060000000000'));
    expect(counters(tx)).toEqual([1, 1]);
    expect(counters(tx, 1 + 24)).toEqual([1, 3054, 3, 3 * 1054, 0, 0]);
    expect(counters(get(bench, request(1, TX_BASIC))).slice(1, 3)).toEqual([4, 3 * 1054 + 60]);
  });

  test('a packet that leaves unsegmented is counted as such; validated checksums are', () => {
    const bench = started(OFFLOADS, { validateChecksums: true });
    bench.backend.offloads = 3;
    const giant = tcp4({ checksum: 'offloaded', payload: 3000 });
    bench.transmit([hex('01 01 3600 e803 2200 1000 0000'), giant]);
    for (let i = 0; i < 3; i++) bench.post([4000]);
    for (const frame of [tcp4(), tcp4({ checksum: 'wrong' }), frameOf(60)]) bench.backend.deliver(frame);
    bench.step();
    expect(counters(get(bench, request(1, '0000040000000000')))).toEqual([1, 3054, 0, 0, 1, 3054]);
    expect(counters(get(bench, request(0, '0200000000000000')))).toEqual([1, 0, 1, 1]);
  });

  test.each([
    ['dev.net.stats.2,.3: a queue that there is not', request(3, RX_BASIC), 256],
    ['dev.net.stats.4: CT-23: a type that is none', request(0, '1000000000000000'), 256],
    ['dev.net.stats.4: a type in the upper word', request(2, '0000000002000000'), 256],
    ['the speed types, which the device has not', request(0, '0800000000000000'), 256],
    ['dev.net.stats.5: transmit statistics of a receive queue', request(0, TX_BASIC), 256],
    ['dev.net.stats.5: receive statistics of the control queue', request(2, RX_BASIC), 256],
    ['dev.net.stats.6: checksums without GUEST_CSUM', request(0, '0200000000000000'), 256],
    ['dev.net.stats.6: segmentation without any of its features', request(1, '0000040000000000'), 256],
    ['dev.net.stats.7: one good request and a bad one', request(0, RX_BASIC) + request(3, RX_BASIC), 256],
    ['CT-23: a reply that does not fit', request(0, RX_BASIC), 55],
    ['a cut request', request(0, RX_BASIC).slice(0, -2), 256],
    ['no request', '', 256],
  ])('%s fails as a whole', (_, requests, room) => {
    const bench = started();
    expect(get(bench, requests, room)).toEqual(ERR);
  });

  test('a reset clears them', () => {
    const bench = started();
    bench.post([100]);
    bench.backend.deliver(frameOf(60));
    bench.step();
    bench.device.stop();
    bench.device.start(bench.port);
    expect(counters(get(bench, request(0, RX_BASIC))).slice(1, 3)).toEqual([0, 0]);
    expect(bench.device.statistics(0)!.get(RX_STAT.rx_packets)).toBe(0);
    expect(bench.device.statistics(9)).toBeUndefined();
  });

  test('four pairs: every queue has its own', () => {
    const bench = started([...FEATURES, F.MQ], { pairs: 4 });
    bench.control(hex('04 00 0400'));
    bench.transmit([join(plainHeader(), frameOf(60))], 3);
    bench.step();
    const all = [1, 3, 5, 7].map((index) => request(index, TX_BASIC)).join('');
    const answer = get(bench, all);
    expect([0, 1, 2, 3].map((n) => counters(answer, 1 + 56 * n)[1])).toEqual([0, 0, 0, 1]);
  });
});
