import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join } from '../net/testing/frames.js';
import { S } from '../testing/device-bench.js';
import { COMMON } from '../testing/pci-face.js';
import { decodeParts } from './device-part.js';
import { MemberDevice } from './member-device.js';
import { INVALID, le, OK, OP, objectHeader, SRIOV } from './testing/admin-bench.js';
import { DriverRings, NetFunction } from './testing/net-function.js';
import { GET, none, OPTIONAL, PART, PartsBench, part, SET, status, text } from './testing/parts-bench.js';

const F = VIRTIO_NET_F;

describe('one device’s parts in another', () => {
  const ALL = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_VLAN, F.CTRL_MAC_ADDR, F.MAC, F.MQ, F.GUEST_CSUM, F.CTRL_GUEST_OFFLOADS];
  const FORMATS = [
    ['split', []],
    ['packed', [VIRTIO_F.RING_PACKED]],
    ['split in order', [VIRTIO_F.IN_ORDER, VIRTIO_F.EVENT_IDX]],
    ['packed with events', [VIRTIO_F.RING_PACKED, VIRTIO_F.EVENT_IDX]],
  ] as const;

  /** A running source, and a destination that was never used; both know one driver's rings. */
  const pair = (rings: readonly number[]): { bench: PartsBench; from: NetFunction; to: NetFunction } => {
    const bench = new PartsBench([], { pairs: 2 }, 0);
    const from = bench.addMember([...ALL, ...rings], { pairs: 2 });
    const to = bench.adopt(new NetFunction(bench.guest, bench.host, from.rings, { pairs: 2 }));
    for (const [id, kind] of [
      [1, GET],
      [2, SET],
    ] as const)
      bench.run(OP.CREATE, SRIOV, id, join(objectHeader(0, kind === GET ? 1 : 12), le(0, 8), le(kind, 8)));
    bench.steppable.push(from, to);
    return { bench, from, to };
  };

  const move = (bench: PartsBench): void => {
    expect(bench.mode(1, 1).outcome).toBe(OK);
    const parts = bench.get(1);
    expect(bench.mode(2, 1).outcome).toBe(OK);
    expect(bench.set(2, parts)).toBe(OK);
    expect(bench.mode(2, 0).outcome).toBe(OK);
  };

  test.each(FORMATS)('%s: frames go on in both directions where they left off, and settings hold', (_, rings) => {
    const { bench, from, to } = pair(rings);
    from.start([0, 1, 2, 3, 4]);
    for (const command of ['00 00 00', '02 00 0500', '01 01 525400777777', '04 00 0200', '05 00 0000000000000000'])
      expect(from.control(hex(command))).toBe(0);
    const own = (seed: number): Uint8Array => frameOf(60, seed, '525400777777');
    for (let n = 0; n < 12; n++) from.rings.post();
    expect(from.receive([own(1), own(2), own(3)])).toHaveLength(3);
    for (let n = 0; n < 21; n++) {
      from.rings.send(frameOf(60, n));
      from.face.kick(1);
      from.step();
      from.rings.collect(1);
    }
    expect(from.backend.sent).toHaveLength(21);
    // Sent, and neither taken nor notified of, when the source is stopped.
    from.rings.send(frameOf(64, 99));
    move(bench);
    expect(to.face.status()).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    to.step();
    to.step();
    expect([from.backend.sent.length + to.backend.sent.length, from.rings.collect(1).length]).toEqual([22, 1]);
    expect(to.receive([own(4), own(5)])).toHaveLength(2);
    // The filters: neither the address of old, nor a VLAN that was not added; one that was.
    expect(to.receive([frameOf(60, 6)])).toHaveLength(0);
    const tagged = (id: string): Uint8Array => join(own(7).subarray(0, 12), hex(`8100${id}`), own(7).subarray(12));
    expect(to.receive([tagged('0006')])).toHaveLength(0);
    expect(to.receive([tagged('0005')])).toHaveLength(1);
    // Two pairs, as it was told before.
    to.rings.send(frameOf(60, 8), 1);
    to.face.kick(3);
    to.step();
    expect(to.rings.collect(3)).toHaveLength(1);
    // All but offloads, which a driver turned off: parts of the destination are those of the source.
    expect(to.device.sink.offloads).toBe(0);
    const source = bench.sriov.members[1]!.parts().map((one) => [one.type, text(one.selector)]);
    expect(bench.sriov.members[2]!.parts().map((one) => [one.type, text(one.selector)])).toEqual(source);
  });

  test('RSS, hashes, tunnels, contexts and coalescing, of directions and of one queue', () => {
    const features = [F.CTRL_VQ, F.MQ, F.RSS, F.HASH_REPORT, F.HASH_TUNNEL, F.RSS_CONTEXT, F.NOTF_COAL, F.VQ_NOTF_COAL];
    const bench = new PartsBench([], { pairs: 2 }, 0);
    const from = bench.addMember(features, { pairs: 2 });
    const to = bench.adopt(new NetFunction(bench.guest, bench.host, from.rings, { pairs: 2 }));
    bench.run(OP.CREATE, SRIOV, 1, join(objectHeader(0, 1), le(0, 8), le(GET, 8)));
    bench.run(OP.CREATE, SRIOV, 2, join(objectHeader(0, 12), le(0, 8), le(SET, 8)));
    bench.steppable.push(from, to);
    from.start([0, 1, 2, 3, 4]);
    const key = `28 ${'5a'.repeat(40)}`;
    const rss = `02000000 0100 0000 0000 0100 0200 ${key}`;
    const commands = [
      `04 01 ${rss}`,
      `04 02 01000000 0000000000000000 ${key}`,
      '07 00 01000000',
      `09 01 0300 000000000000 ${rss}`,
      '06 00 0a000000 64000000',
      '06 01 05000000 32000000',
      '06 02 0200 0000 07000000 08000000',
    ];
    for (const command of commands) expect(from.control(hex(command)), command).toBe(0);
    const settings = (id: number): string[] =>
      bench.sriov.members[id]!.parts()
        .filter(({ type }) => type === PART.CVQ)
        .map(({ selector, value }) => `${text(selector)} ${text(value)}`);
    const before = settings(1);
    expect(before.map((one) => one.slice(0, 4))).toEqual(['0401', '0402', '0700', '0600', '0601', '0602', '0901']);
    move(bench);
    expect(settings(2)).toEqual(before);
    // What the driver may still do with them: the context is there once.
    expect(to.control(hex(commands[3]!))).toBe(1);
    expect(to.control(hex('09 03 0300'))).toBe(0);
    // Queues and contexts that there are not, twice, or with bytes too few or too many.
    bench.mode(2, 1);
    const context = `0300 3700 ${rss}`;
    for (const [code, value] of [
      ['0602', '0400 0000 07000000 08000000'],
      ['0602', '0000 0000 07000000'],
      ['0901', '0300'],
      ['0901', context.replace('0300', '0000')],
      ['0901', context.replace('3700', '3800')],
      ['0901', `${context} 00`],
      ['0901', `${context} ${context}`],
      ['0401', `${rss} 00`],
      ['0700', '00000080'],
    ] as const)
      expect(bench.set(2, part(PART.CVQ, join(hex(code), new Uint8Array(6)), hex(value))), value).toBe(INVALID.FIELD);
    expect(bench.set(2, part(PART.CVQ, hex('0901 000000000000'), hex(context)))).toBe(OK);
  });

  test('what comes of another vendor’s device: no part says where it stood, and the split ring does', () => {
    const { bench, from, to } = pair([]);
    from.start([0, 1, 4]);
    for (let n = 0; n < 5; n++) from.rings.post();
    expect(from.receive([frameOf(60)])).toHaveLength(1);
    bench.mode(1, 1);
    const foreign = decodeParts(bench.get(1))!.filter(({ type }) => type < 0x600);
    bench.mode(2, 1);
    const parts = join(
      ...foreign.map(({ type, selector, value, isOptional }) => part(type, selector, value, isOptional ? OPTIONAL : 0)),
    );
    expect(bench.set(2, parts)).toBe(OK);
    bench.mode(2, 0);
    expect(to.receive([frameOf(60), frameOf(61)])).toEqual([72, 73]);
  });

  test('a packed ring without that part is a device that needs a reset, and says why', () => {
    const { bench, from, to } = pair([VIRTIO_F.RING_PACKED]);
    from.start([0, 1, 4]);
    bench.mode(1, 1);
    bench.mode(2, 1);
    const foreign = decodeParts(bench.get(1))!.filter(({ type }) => type < 0x600);
    bench.set(2, join(...foreign.map(({ type, selector, value }) => part(type, selector, value))));
    expect(bench.mode(2, 0).outcome).toBe(OK);
    expect(to.face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
    expect(to.face.device.resetReason).toBe(
      'queue 0 cannot be restored: where the device stood in the ring is not known',
    );
    to.step();
    expect(to.face.takeInterrupts().config).toBe(true);
  });

  test('a device that runs takes over another life whole: nothing of its own is left', () => {
    const { bench, from, to } = pair([]);
    from.start([0, 1, 4]);
    to.rings = new DriverRings(bench.guest, bench.ram, ALL);
    to.start([0, 1, 2, 3, 4]);
    for (const command of ['00 01 01', '02 00 0500', '04 00 0200']) expect(to.control(hex(command))).toBe(0);
    to.rings = from.rings;
    move(bench);
    expect(bench.sriov.members[2]!.parts()).toEqual(bench.sriov.members[1]!.parts());
    from.rings.post();
    expect(to.receive([frameOf(60)])).toHaveLength(1);
    // And to a life that has not begun.
    bench.mode(2, 1);
    expect(bench.set(2, join(part(PART.DRV, none, new Uint8Array(16)), status(0)))).toBe(INVALID.FIELD);
    const off = [0, 1, 4].map((index) =>
      part(PART.VQ, le(index, 2), join(le(256, 2), le(0xffff, 2), new Uint8Array(28))).slice(),
    );
    off[2]!.set(le(64, 2), 16);
    expect(bench.set(2, join(part(PART.DRV, none, new Uint8Array(16)), status(0), ...off))).toBe(OK);
    bench.mode(2, 0);
    expect(to.face.status()).toBe(0);
  });

  test('queues that lie nowhere in the destination’s memory', () => {
    const { bench, from, to } = pair([]);
    from.start([0, 1]);
    bench.mode(1, 1);
    bench.mode(2, 1);
    const queue = join(le(16, 2), le(0, 2), le(1, 4), le(0x7_0000_0000, 8), le(0x7_0000_0000, 8), le(0x7_0000_0000, 8));
    expect(bench.set(2, bench.get(1))).toBe(OK);
    expect(bench.set(2, part(PART.VQ, le(1, 2), queue))).toBe(OK);
    expect(bench.mode(2, 0).outcome).toBe(OK);
    expect(to.face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
    expect(to.face.device.resetReason).toContain('queue 1 cannot be restored');
  });

  test('FAILED, DEVICE_NEEDS_RESET and SUSPEND go with it', () => {
    for (const bits of [S.FAILED, S.SUSPEND]) {
      const { bench, from, to } = pair([VIRTIO_F.SUSPEND]);
      from.start([0, 1, 4]);
      from.face.setStatus(from.face.status() | bits);
      move(bench);
      expect(to.face.status()).toBe(from.face.status());
      expect(to.face.status() & bits).toBe(bits);
      expect(to.face.readCommon(COMMON.configMsixVector, 2)).toBe(0);
    }
    const { bench, from, to } = pair([]);
    from.start([0, 1, 4]);
    from.face.device.needsReset('a test');
    move(bench);
    expect(to.face.status()).toBe(from.face.status());
  });

  test('dev.admin.device-parts.25: a reset of the member ends what was set, and all parts are as at first', () => {
    const { bench, from, to } = pair([]);
    bench.mode(2, 1);
    bench.run(OP.CREATE, SRIOV, 2, join(objectHeader(0, 2), le(0, 8), le(GET, 8)));
    const fresh = text(bench.get(2));
    from.start([0, 1, 4]);
    bench.mode(1, 1);
    expect(bench.set(2, bench.get(1))).toBe(OK);
    expect(text(bench.get(2))).not.toBe(fresh);
    to.face.setStatus(0);
    expect(text(bench.get(2))).toBe(fresh);
    // By a function-level reset likewise, which ends the stop as well.
    expect(bench.set(2, bench.get(1))).toBe(OK);
    to.face.virtio.pci.reset('function-level');
    expect(bench.sriov.members[2]!.isStopped).toBe(false);
    expect(text(bench.get(2))).toBe(fresh);
    expect(new MemberDevice(to.face.virtio).parts()).toHaveLength(decodeParts(hex(fresh))!.length);
  });
});
