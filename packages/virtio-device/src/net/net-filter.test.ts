import { RangeList } from '@ringwire/guest-memory';
import { FrameRun } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { arrives, arriving, BROADCAST, GROUP, OTHER, OWN } from './testing/filtered.js';
import { frameOf, hex } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
const FEATURES = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_RX_EXTRA, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);

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

/** What comes of a frame that comes as a run: together, alone, or not at all. @param hasHeader the run's header was checked */
function cameBy(bench: NetBench, frame: Uint8Array, hasHeader = true): 'together' | 'alone' | 'dropped' {
  const { memory } = bench.guest;
  const at = bench.hostAt(bench.take(128, 4), 128);
  memory.u8.set(frame, at);
  const run = new FrameRun(memory);
  run.ranges = new RangeList(1);
  run.ranges.push(at, frame.length);
  run.count = 1;
  run.bytes = frame.length;
  run.hasHeader = hasHeader;
  const view = new DataView(frame.buffer, frame.byteOffset);
  [run.word0, run.word1, run.word2] = [0, 4, 8].map((word) => view.getInt32(word, true)) as [number, number, number];
  run.type16 = view.getUint16(12, true);
  bench.post([100]);
  const taken = bench.device.sink.receiveRun!(run);
  bench.device.sink.flush!();
  if (taken === 1) return bench.collect(0).length === 1 ? 'together' : 'dropped';
  bench.backend.deliver(frame);
  bench.step();
  return bench.collect(0).length === 1 ? 'alone' : 'dropped';
}

describe.each(LAYOUTS)('%s: which frames are received', (layout) => {
  const started = (features: readonly number[] = FEATURES): NetBench => new NetBench(layout, features, { size: 64 });

  test('dev.net.mac-filter.1 dev.net.rx-filter.1: a run is admitted by its header, as each of its frames would be', () => {
    const commands = [0, 1, 2, 3, 4, 5].map((command) => [0, command, 1]);
    const table = [1, 0, 1, 0, 0, 0, ...hex(OTHER), 1, 0, 0, 0, ...hex(GROUP)];
    for (const set of [[], ...commands.map((one) => [one]), [table], [[0, 5, 1], table]]) {
      const [alone, together] = [started(), started()];
      for (const command of set) for (const bench of [alone, together]) expect(bench.control(command)).toEqual(OK);
      for (const to of [OWN, OTHER, GROUP, BROADCAST])
        expect(cameBy(together, frameOf(60, 1, to)), `${set} ${to}`).toBe(arrives(alone, to) ? 'together' : 'dropped');
    }
  });

  test('dev.net.vlan-filter.1: with tags, where VLANs are filtered, or without a checked header, frames are looked at one by one', () => {
    const bench = started();
    expect(bench.control([2, 0, 5, 0])).toEqual(OK);
    expect(cameBy(bench, frameOf(60, 1, OWN))).toBe('together');
    expect(cameBy(bench, frameOf(60, 1, OWN), false)).toBe('alone');
    for (const type of ['8100', '88a8']) {
      expect(cameBy(bench, tagged(`${type} 0005`))).toBe('alone');
      expect(cameBy(bench, tagged(`${type} 0006`))).toBe('dropped');
    }
    const open = started([F.CTRL_VQ, F.CTRL_RX, F.MAC]);
    expect(cameBy(open, tagged('8100 0006'))).toBe('together');
  });

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
    // The address is the device's own again after a reset, before a driver starts.
    bench.device.stop();
    expect(bench.device.config.subarray(0, 6)).toEqual(hex(OWN));
    bench.device.start(bench.port);
    expect(arriving(bench)).toEqual(['OWN', 'BROADCAST']);
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
