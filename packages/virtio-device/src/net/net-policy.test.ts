import { RangeList } from '@ringwire/guest-memory';
import { FrameRun } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import type { NetPolicy, NetWishes } from './net-policy.js';
import { arriving, GROUP, OTHER } from './testing/filtered.js';
import { frameOf, hex, join } from './testing/frames.js';
import { LAYOUTS, MAC, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
const FEATURES = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_RX_EXTRA, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);

/** Grants what it is told to, and keeps what it was asked. */
class Host implements NetPolicy {
  readonly asked: NetWishes[] = [];
  forgot = 0;
  grants = true;

  request(wishes: NetWishes): boolean {
    this.asked.push(wishes);
    return this.grants;
  }

  forget(): void {
    this.forgot++;
  }
}

describe.each(LAYOUTS)('%s: a policy', (layout) => {
  test('virtio 1.4 §5.1.9.5.1 to .3: it is asked what each command comes to', () => {
    const policy = new Host();
    const bench = new NetBench(layout, FEATURES, { policy, macTableEntries: 2 });
    // A driver that filters VLANs begins in none.
    expect(policy.asked).toEqual([{ vlans: new Set() }]);
    policy.asked.length = 0;
    const commands = [
      '00 00 01',
      '00 00 00',
      '00 02 01',
      '00 05 01',
      `01 00 01000000 ${OTHER} 01000000 ${GROUP}`,
      `01 00 03000000 ${OTHER} ${OTHER} ${OTHER} 00000000`,
      `01 01 ${OTHER}`,
      '02 00 0500',
      '02 00 0000',
      '02 01 0500',
    ];
    for (const command of commands) expect(bench.control(hex(command))).toEqual(OK);
    const modes = { promiscuous: false, allMulticast: false, broadcast: true };
    const table = { unicast: [hex(OTHER)], multicast: [hex(GROUP)] };
    expect(policy.asked).toEqual([
      { ...modes, promiscuous: true },
      modes,
      { ...modes, promiscuous: true },
      { ...modes, promiscuous: true, broadcast: false },
      { ...modes, promiscuous: true, broadcast: false, ...table },
      // More than it holds: all of that kind pass.
      { ...modes, promiscuous: true, broadcast: false, unicast: [], multicast: [] },
      { mac: hex(OTHER) },
      { vlans: new Set([5]) },
      { vlans: new Set([5]) },
      { vlans: new Set() },
    ]);
  });

  test('SR-18 SR-19 what it refuses is answered VIRTIO_NET_ERR, and the device is as before', () => {
    const policy = new Host();
    const bench = new NetBench(layout, FEATURES, { policy });
    expect(bench.control(hex(`01 00 01000000 ${OTHER} 00000000`))).toEqual(OK);
    expect(bench.control(hex('02 00 0500'))).toEqual(OK);
    policy.grants = false;
    const before = bench.device.typeParts.get();
    const commands = [
      '00 00 01',
      '00 01 01',
      '00 05 01',
      `01 00 00000000 01000000 ${GROUP}`,
      `01 01 ${OTHER}`,
      '02 00 0600',
      '02 01 0500',
    ];
    for (const command of commands) expect(bench.control(hex(command))).toEqual(ERR);
    expect(bench.device.typeParts.get()).toEqual(before);
    expect(bench.device.config.subarray(0, 6)).toEqual(MAC);
    expect(arriving(bench)).toEqual(['OWN', 'OTHER', 'BROADCAST']);
    expect(bench.drops()).toMatchObject({ CTRL_REFUSED: 7 });
  });

  test('it is not asked about what is malformed, and forgets when the device stops', () => {
    const policy = new Host();
    const bench = new NetBench(layout, FEATURES, { policy });
    policy.asked.length = 0;
    for (const command of ['00 00 02', '01 00 01000000', '01 01 010000000000', '02 00 0010'])
      expect(bench.control(hex(command))).toEqual(ERR);
    expect(policy.asked).toEqual([]);
    bench.device.stop();
    expect(policy.forgot).toBe(1);
  });

  test('what is moved to a device with its parts is asked for there', () => {
    const from = new NetBench(layout, FEATURES);
    for (const command of ['00 00 01', `01 01 ${OTHER}`, '02 00 0500']) expect(from.control(hex(command))).toEqual(OK);
    const policy = new Host();
    const to = new NetBench(layout, FEATURES, { policy });
    policy.asked.length = 0;
    for (const part of from.device.typeParts.get()) to.device.typeParts.set(part);
    expect(policy.asked).toContainEqual({ promiscuous: true, allMulticast: false, broadcast: true });
    expect(policy.asked).toContainEqual({ mac: hex(OTHER) });
    expect(policy.asked).toContainEqual({ vlans: new Set([5]) });
  });

  test('SR-17 frames of a run whose header was checked lie in the driver’s buffers with that one', () => {
    const bench = new NetBench(layout, []);
    const posts = [bench.post([100]), bench.post([100])];
    const { memory } = bench.guest;
    const run = new FrameRun(memory);
    run.ranges = new RangeList(2);
    run.count = 2;
    run.skip = 12;
    run.bytes = 120;
    const sent = [frameOf(60, 1), frameOf(60, 2)];
    const at = bench.hostAt(bench.take(256, 4), 256);
    for (const [i, frame] of sent.entries()) {
      memory.u8.set(frame, at + 128 * i + 12);
      run.ranges.push(at + 128 * i, 72);
    }
    const checked = hex('525400123456 020000000007 0806');
    const view = new DataView(checked.buffer, checked.byteOffset);
    run.hasHeader = true;
    [run.word0, run.word1, run.word2] = [0, 4, 8].map((word) => view.getUint32(word, true)) as [number, number, number];
    run.type16 = view.getUint16(12, true);
    expect(bench.device.sink.receiveRun!(run)).toBe(2);
    bench.device.sink.flush!();
    expect(bench.collect(0).map(({ written }) => written)).toEqual([72, 72]);
    for (const [i, { ranges }] of posts.entries())
      expect(bench.read(ranges).subarray(12, 72)).toEqual(join(checked, sent[i]!.subarray(14)));
  });
});
