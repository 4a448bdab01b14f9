import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { arriving, OTHER } from './testing/filtered.js';
import { frameOf, hex, join } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
const FEATURES = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_RX_EXTRA, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);

test('CT-26: a split control chain with a loop, or with next out of range, is given up and the queue goes on', () => {
  for (const next of [0, 16, 65535]) {
    const bench = new NetBench('split', FEATURES);
    const command = bench.take(3);
    bench.guest.write(command, hex('00 00 01'));
    const answer = { gpa: bench.take(1), length: 1 };
    const id = bench.offer(2, [{ gpa: command, length: 3 }], [answer]);
    // Flags NEXT and `next` of the first descriptor.
    bench.guest.write(bench.placeOf(2).desc + 16 * id + 12, Uint8Array.of(1, 0, next & 0xff, next >> 8));
    bench.step();
    expect(bench.collect(2)).toEqual([{ id, written: 0 }]);
    expect(bench.drops()).toEqual({ CTRL_CHAIN_FAULT: 1 });
    expect(bench.control([0, 0, 1])).toEqual(OK);
  }
});

describe.each(LAYOUTS)('%s: commands as such', (layout) => {
  test.each([
    ['CT-01: an undefined class', '0a 00'],
    ['CT-01: class 255', 'ff 00'],
    ['CT-01: an undefined command of RX', '00 06 01'],
    ['CT-01: an undefined command of MAC', '01 02'],
    ['CT-01: an undefined command of ANNOUNCE', '03 01'],
    ['CT-01: an undefined command of MQ', '04 03'],
    ['CT-03: RX without data', '00 00'],
    ['CT-03: VLAN with half an id', '02 00 07'],
    ['CT-03: a class alone', '00'],
  ])('%s is refused', (_, command) => {
    const bench = new NetBench(layout, FEATURES);
    expect(bench.control(hex(command))).toEqual(ERR);
    expect(bench.drops()).toEqual({ CTRL_REFUSED: 1 });
  });

  test.each([
    ['RX', '00 00 01'],
    ['RX, extra', '00 02 01'],
    ['MAC table', '01 00 00000000 00000000'],
    ['MAC address', `01 01 ${OTHER}`],
    ['VLAN', '02 00 0700'],
    ['ANNOUNCE', '03 00'],
    ['VQ_PAIRS_SET', '04 00 0100'],
    ['RSS_CONFIG', '04 01 00000000 0000 0000 0000 0100 00'],
    ['HASH_CONFIG', '04 02 00000000 0000000000000000 00'],
    ['GUEST_OFFLOADS', '05 00 0000000000000000'],
    ['NOTF_COAL', '06 00 0000000000000000'],
    ['VQ_NOTF_COAL', '06 02 0000 0000 00000000 00000000'],
    ['HASH_TUNNEL', '07 00 00000000'],
    ['STATS', '08 00'],
    ['RSS contexts', '09 00'],
  ])('CT-02: %s without its feature is refused', (_, command) => {
    const bench = new NetBench(layout, [F.CTRL_VQ]);
    expect(bench.control(hex(command), 64)).toEqual(ERR);
  });

  test('CT-04, CT-05: without a device-writable byte nothing is written, and the buffer comes back with length 0', () => {
    const bench = new NetBench(layout, FEATURES);
    const gpa = bench.take(4);
    bench.guest.write(gpa, hex('00 00 01 ff'));
    const id = bench.offer(2, [{ gpa, length: 4 }]);
    const since = bench.snapshot();
    bench.step();
    expect(bench.collect(2)).toEqual([{ id, written: 0 }]);
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ CTRL_NO_ACK: 1 });
    expect(arriving(bench)).toEqual(['OWN', 'BROADCAST']);
  });

  test('CT-06: a command over descriptors of one byte works, and so does an answer', () => {
    const bench = new NetBench(layout, FEATURES, { size: 64 });
    const bytes = hex(`01 00 01000000 ${OTHER} 00000000`);
    const readable = Array.from(bytes, (byte) => {
      const gpa = bench.take(1);
      bench.guest.write(gpa, Uint8Array.of(byte));
      return { gpa, length: 1 };
    });
    const gpa = bench.take(8);
    const id = bench.offer(2, readable, [{ gpa, length: 1 }]);
    bench.guest.write(gpa, Uint8Array.of(0xff));
    bench.step();
    expect(bench.collect(2)).toEqual([{ id, written: 1 }]);
    expect(bench.guest.read(gpa, 1)).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'BROADCAST']);
  });

  test('CT-07: of 1 MiB of data where 6 bytes are expected, the rest is ignored', () => {
    const bench = new NetBench(layout, FEATURES, { ram: 0x20_0000 });
    expect(bench.control(join(hex(`01 01 ${OTHER}`), new Uint8Array(0x10_0000)))).toEqual(OK);
    expect(bench.device.config.subarray(0, 6)).toEqual(hex(OTHER));
  });

  test('CT-25: as many bad commands as the ring holds, in one kick, are refused in their order', () => {
    const bench = new NetBench(layout, FEATURES, { size: 256 });
    const gpa = bench.take(2);
    bench.guest.write(gpa, hex('00 06'));
    const answers = bench.take(128);
    const ids = Array.from({ length: 128 }, (_, i) =>
      bench.offer(2, [{ gpa, length: 2 }], [{ gpa: answers + i, length: 1 }]),
    );
    bench.step();
    expect(bench.collect(2)).toEqual(ids.map((id) => ({ id, written: 1 })));
    expect(bench.guest.read(answers, 128)).toEqual(new Uint8Array(128).fill(1));
  });

  test('CT-26: commands whose bytes are out of reach are given up as on any queue, and the next one is answered', () => {
    const bench = new NetBench(layout, [...FEATURES, VIRTIO_F.INDIRECT_DESC]);
    const gpa = bench.take(4);
    const bad = bench.offer(2, [{ gpa: 0x40, length: 3 }], [{ gpa, length: 1 }]);
    const since = bench.snapshot();
    bench.step();
    expect(bench.collect(2)).toEqual([{ id: bad, written: 0 }]);
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ CTRL_CHAIN_FAULT: 1 });
    expect(bench.control([0, 0, 1])).toEqual(OK);
  });

  test('CT-28: a command amid full queues is answered in the next step', () => {
    const bench = new NetBench(layout, FEATURES);
    for (let i = 0; i < 16; i++) bench.transmit([join(new Uint8Array(12), frameOf(60, i))]);
    for (let i = 0; i < 500; i++) bench.backend.deliver(frameOf(60, i));
    expect(bench.control([0, 0, 1])).toEqual(OK);
  });

  test('a configuration is read-only for the driver', () => {
    const bench = new NetBench(layout, FEATURES);
    const before = bench.device.config.slice();
    bench.device.writeConfig(0, 4, 0xffff_ffff);
    expect(bench.device.config).toEqual(before);
  });
});
