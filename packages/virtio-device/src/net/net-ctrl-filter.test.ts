import { VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
const FEATURES = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_RX_EXTRA, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);

/** Destinations, by what a filter makes of them. */
const OWN = '525400123456';
const OTHER = '525400999999';
const GROUP = '01005e000001';
const BROADCAST = 'ffffffffffff';

/** Whether a frame to this address arrives. */
function arrives(bench: NetBench, to: string): boolean {
  bench.post([100]);
  bench.backend.deliver(frameOf(60, 1, to));
  bench.step();
  return bench.collect(0).length > 0;
}

const arriving = (bench: NetBench): string[] =>
  Object.entries({ OWN, OTHER, GROUP, BROADCAST })
    .filter(([, to]) => arrives(bench, to))
    .map(([name]) => name);

/** A frame tagged with a VLAN id, or with what is given in place of the tag. */
const tagged = (tag: string, length = 60): Uint8Array => {
  const frame = frameOf(length);
  frame.set(hex(tag).subarray(0, length - 12), 12);
  return frame;
};

function arrivesTagged(bench: NetBench, tag: string, length = 60): boolean {
  bench.post([100]);
  bench.backend.deliver(tagged(tag, length));
  bench.step();
  return bench.collect(0).length > 0;
}

describe.each(LAYOUTS)('%s: which frames are received', (layout) => {
  const started = (features: readonly number[] = FEATURES): NetBench => new NetBench(layout, features, { size: 64 });

  test('dev.net.mac-filter.1,.4: after a reset frames to other stations and to groups are dropped', () => {
    const bench = started();
    expect(arriving(bench)).toEqual(['OWN', 'BROADCAST']);
    expect(bench.drops()).toEqual({ RX_MAC_FILTER: 2 });
  });

  test('without CTRL_RX everything arrives: the driver has no way to ask for it', () => {
    expect(arriving(started([]))).toEqual(['OWN', 'OTHER', 'GROUP', 'BROADCAST']);
  });

  test('dev.net.rx-filter.1,.2,.3: PROMISC on lets everything in, other modes notwithstanding', () => {
    const bench = started();
    for (const command of [3, 4, 5]) expect(bench.control([0, command, 1])).toEqual(OK);
    expect(arriving(bench)).toEqual([]);
    expect(bench.control([0, 0, 1])).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'GROUP', 'BROADCAST']);
    expect(bench.control([0, 0, 0])).toEqual(OK);
    expect(arriving(bench)).toEqual([]);
  });

  test.each([
    ['dev.net.rx-filter.4: ALLMULTI lets multicast in', [[1, 1]], ['OWN', 'GROUP', 'BROADCAST']],
    ['dev.net.rx-filter.5,.6: ALLUNI lets unicast in', [[2, 1]], ['OWN', 'OTHER', 'BROADCAST']],
    [
      'dev.net.rx-filter.7,.8,.9: NOMULTI keeps multicast out, ALLMULTI or not, and not broadcast',
      [
        [1, 1],
        [3, 1],
      ],
      ['OWN', 'BROADCAST'],
    ],
    [
      'dev.net.rx-filter.10,.11: NOUNI keeps unicast out, ALLUNI or not',
      [
        [2, 1],
        [4, 1],
      ],
      ['BROADCAST'],
    ],
    [
      'dev.net.rx-filter.12,.13: NOBCAST keeps broadcast out, ALLMULTI or not',
      [
        [1, 1],
        [5, 1],
      ],
      ['OWN', 'GROUP'],
    ],
  ])('%s', (_, commands, expected) => {
    const bench = started();
    for (const [command, on] of commands) expect(bench.control([0, command!, on!])).toEqual(OK);
    expect(arriving(bench)).toEqual(expected);
  });

  test('CT-24: a receive mode of 2 is refused and changes nothing', () => {
    const bench = started();
    expect(bench.control([0, 0, 2])).toEqual(ERR);
    expect(arriving(bench)).toEqual(['OWN', 'BROADCAST']);
  });

  test('dev.net.mac-filter.2: addresses of the MAC table are in force when the command is answered', () => {
    const bench = started();
    // MAC_TABLE_SET: one unicast address, one multicast address.
    expect(bench.control(hex(`01 00 01000000 ${OTHER} 01000000 ${GROUP}`))).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'GROUP', 'BROADCAST']);
    expect(arrives(bench, '525400999998')).toBe(false);
    // Both numbers may be 0: the tables are empty again.
    expect(bench.control(hex('01 00 00000000 00000000'))).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'BROADCAST']);
  });

  test.each([
    ['CT-08: an entry count of 0xffffffff', `ffffffff ${OTHER}`],
    ['CT-09: fewer bytes than the first count says', `02000000 ${OTHER}`],
    ['CT-09: no second table', `01000000 ${OTHER}`],
    ['CT-09: fewer bytes than the second count says', `00000000 02000000 ${GROUP}`],
    ['CT-03: nothing', ''],
  ])('a MAC table with %s is refused, the old one stays', (_, data) => {
    const bench = started();
    bench.control(hex(`01 00 01000000 ${OTHER} 00000000`));
    expect(bench.control(hex(`01 00 ${data}`))).toEqual(ERR);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'BROADCAST']);
  });

  test('CT-10: with more addresses than the table holds, all of that kind arrive', () => {
    const bench = new NetBench(layout, FEATURES, { macTableEntries: 2, size: 64 });
    const three = '525400000001 525400000002 525400000003';
    expect(bench.control(hex(`01 00 03000000 ${three} 00000000`))).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'BROADCAST']);
    // 1000 of them, of which the device copies none, and two groups behind them.
    const many = Array.from({ length: 1000 }, () => OTHER).join('');
    expect(bench.control(hex(`01 00 e8030000 ${many} 02000000 ${GROUP} 01005e000002`))).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'GROUP', 'BROADCAST']);
    expect(arrives(bench, '01005e000003')).toBe(false);
    expect(bench.control(hex(`01 00 01000000 525400000001 00000000`))).toEqual(OK);
    expect(arriving(bench)).toEqual(['OWN', 'BROADCAST']);
  });

  test('dev.net.mac-filter.3: MAC_ADDR_SET is in the configuration and in force when it is answered', () => {
    const bench = started();
    const before = bench.port.configChanges;
    expect(bench.control(hex(`01 01 ${OTHER}`))).toEqual(OK);
    expect(bench.device.config.subarray(0, 6)).toEqual(hex(OTHER));
    expect(bench.port.configChanges).toBe(before + 1);
    expect(arriving(bench)).toEqual(['OTHER', 'BROADCAST']);
    // The address is the device's own again after a reset.
    bench.device.stop();
    bench.device.start(bench.port);
    expect(bench.device.config.subarray(0, 6)).toEqual(hex(OWN));
  });

  test('without VIRTIO_NET_F_MAC, MAC_ADDR_SET filters and leaves the configuration alone', () => {
    const bench = started(FEATURES.filter((bit) => bit !== F.MAC));
    expect(bench.control(hex(`01 01 ${OTHER}`))).toEqual(OK);
    expect(bench.device.config.subarray(0, 6)).toEqual(hex(OWN));
    expect(arriving(bench)).toEqual(['OTHER', 'BROADCAST']);
  });

  test.each([
    ['a multicast address', GROUP],
    ['zero', '000000000000'],
    ['broadcast', BROADCAST],
    ['five bytes', '5254009999'],
  ])('CT-11: MAC_ADDR_SET to %s is refused', (_, mac) => {
    const bench = started();
    expect(bench.control(hex(`01 01 ${mac}`))).toEqual(ERR);
    expect(bench.device.config.subarray(0, 6)).toEqual(hex(OWN));
  });

  test('dev.net.vlan-filter.1: without CTRL_VLAN all tagged frames arrive', () => {
    const bench = started([F.CTRL_VQ, F.CTRL_RX]);
    expect(arrivesTagged(bench, '8100 0007')).toBe(true);
    expect(bench.control(hex('02 00 0700'))).toEqual(ERR);
  });

  test('dev.net.vlan-filter.2,.3: with it, those whose id is in the table; untagged frames always', () => {
    const bench = started();
    expect(arrivesTagged(bench, '8100 0007')).toBe(false);
    expect(bench.drops()).toEqual({ RX_VLAN_FILTER: 1 });
    expect(bench.control(hex('02 00 0700'))).toEqual(OK);
    // Priority and DEI are no part of the id.
    expect(arrivesTagged(bench, '8100 f007')).toBe(true);
    expect(arrivesTagged(bench, '88a8 0007')).toBe(true);
    expect(arrivesTagged(bench, '8100 0008')).toBe(false);
    expect(bench.control(hex('02 00 ff0f'))).toEqual(OK);
    expect(arrivesTagged(bench, '8100 0fff')).toBe(true);
    expect(bench.control(hex('02 01 0700'))).toEqual(OK);
    expect(arrivesTagged(bench, '8100 0007')).toBe(false);
    expect(arrivesTagged(bench, '0800 0007')).toBe(true);
  });

  test('CT-12: VLAN ids 4096 and 65535 are refused, and no bit changes', () => {
    const bench = started();
    for (const command of ['00', '01'])
      for (const id of ['0010', 'ffff']) expect(bench.control(hex(`02 ${command} ${id}`))).toEqual(ERR);
    expect(bench.control(hex('02 02 0700'))).toEqual(ERR);
    for (const tag of ['8100 0000', '8100 0fff']) expect(arrivesTagged(bench, tag)).toBe(false);
  });

  test('RX-11: a frame that is cut inside its tag is no tagged frame, and no byte beyond is read', () => {
    const bench = started();
    expect(arrivesTagged(bench, '8100 00', 15)).toBe(true);
    bench.backend.deliver(tagged('8100 0007'), {}, [13]);
    bench.post([100]);
    bench.step();
    expect(bench.drops()).toEqual({ RX_VLAN_FILTER: 1 });
  });

  test('dev.net.announce.1: ANNOUNCE is cleared before the acknowledgement is answered', () => {
    const bench = started([F.CTRL_VQ, F.GUEST_ANNOUNCE, F.STATUS]);
    expect(bench.device.announce()).toBe(true);
    expect(bench.device.config.subarray(6, 8)).toEqual(hex('0300'));
    expect(bench.port.configChanges).toBe(1);
    expect(bench.control([3, 0])).toEqual(OK);
    expect(bench.device.config.subarray(6, 8)).toEqual(hex('0100'));
    // CT-27
    expect(bench.control([3, 0])).toEqual(OK);
    expect(bench.device.config.subarray(6, 8)).toEqual(hex('0100'));
    expect(bench.port.configChanges).toBe(2);
  });

  test('CT-27: without GUEST_ANNOUNCE nobody is asked, and nothing acknowledged', () => {
    const bench = started([F.CTRL_VQ, F.STATUS]);
    expect(bench.device.announce()).toBe(false);
    expect(bench.device.config.subarray(6, 8)).toEqual(hex('0100'));
    expect(bench.control([3, 0])).toEqual(ERR);
  });
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
