import { crc32 } from '@ringwire/guest-memory';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { le } from '../admin/testing/admin-bench.js';
import type { NetFunction } from '../admin/testing/net-function.js';
import { NetFunction as Net } from '../admin/testing/net-function.js';
import { PART, PartsBench, part, text } from '../admin/testing/parts-bench.js';
import { frameOf, hex, join } from '../net/testing/frames.js';
import { S } from '../testing/device-bench.js';
import { restoreFunction, saveFunction } from './function-state.js';

const F = VIRTIO_NET_F;
const HEADER = { version: 4, ids: 8, vectors: 12, isr: 14, partBytes: 44 } as const;

function pair(rings: readonly number[] = []): { from: NetFunction; to: NetFunction } {
  const bench = new PartsBench([], { pairs: 2 }, 0);
  const from = bench.addMember([F.MAC, F.CTRL_VQ, F.MQ, ...rings], { pairs: 2 });
  const to = new Net(bench.guest, bench.host, from.rings, { pairs: 2 });
  from.start([0, 1, 2, 3, 4]);
  return { from, to };
}

/** A state with its checksum made right. */
function sealed(state: Uint8Array): Uint8Array {
  new DataView(state.buffer).setUint32(state.length - 4, crc32(state.subarray(0, -4)), true);
  return state;
}

function changed(state: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = state.slice();
  change(new DataView(copy.buffer));
  return sealed(copy);
}

test.each([
  ['split', []],
  ['packed', [VIRTIO_F.RING_PACKED]],
] as const)(
  '%s: another function goes on where the first one stood, and MG-25 loading twice is loading once',
  (_, rings) => {
    const { from, to } = pair(rings);
    for (let n = 0; n < 4; n++) from.rings.post();
    expect(from.receive([frameOf(60, 1)])).toEqual([72]);
    from.rings.send(frameOf(60, 2));
    const state = saveFunction(from.face.virtio)!;
    for (let n = 0; n < 2; n++) expect(restoreFunction(to.face.virtio, state)).toBeUndefined();
    expect(saveFunction(to.face.virtio)).toEqual(state);
    expect(to.face.status()).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    expect(to.receive([frameOf(61, 3)])).toEqual([73]);
    to.face.kick(1);
    to.step();
    expect([to.backend.sent.length, to.rings.collect(1).length]).toEqual([1, 1]);
    expect(to.face.takeInterrupts().used).toBe(true);
  },
);

test('a pending message and the ISR status go with it', () => {
  const { from, to } = pair();
  const { pci } = from.face.virtio;
  pci.configWrite(pci.capabilityAt(0x11) + 2, 2, 0xc000);
  from.rings.post();
  from.receive([frameOf(60)]);
  const state = saveFunction(from.face.virtio)!;
  expect(restoreFunction(to.face.virtio, state)).toBeUndefined();
  expect([to.face.virtio.isrStatus, to.face.messages]).toEqual([from.face.virtio.isrStatus, []]);
  const { pci: other } = to.face.virtio;
  other.configWrite(other.capabilityAt(0x11) + 2, 2, 0x8000);
  expect(to.face.messages).toEqual([1]);
});

test('MG-01, MG-02: a state cut anywhere, or with a bit flipped, is refused and changes nothing', () => {
  const { from, to } = pair();
  const state = saveFunction(from.face.virtio)!;
  const before = saveFunction(to.face.virtio);
  for (let end = 0; end < state.length; end++)
    expect(restoreFunction(to.face.virtio, state.subarray(0, end)), `${end}`).toBeTypeOf('string');
  for (let bit = 0; bit < state.length * 8; bit++) {
    const flipped = state.slice();
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    expect(restoreFunction(to.face.virtio, flipped), `${bit}`).toBeTypeOf('string');
  }
  expect(saveFunction(to.face.virtio)).toEqual(before);
});

test('MG-03, MG-04, MG-20: another version, function, count of vectors, or a length that is not so', () => {
  const { from, to } = pair();
  const state = saveFunction(from.face.virtio)!;
  for (const [at, value, why] of [
    [0, 0x5157_4152, 'no state'],
    [HEADER.version, 2, 'version 2'],
    [HEADER.ids, 0x1044_1af4, 'function 10441af4'],
    [HEADER.partBytes, 0xffff_ffff, '4294967295 bytes'],
  ] as const) {
    const wrong = changed(state, (view) => view.setUint32(at, value, true));
    expect(restoreFunction(to.face.virtio, wrong)).toContain(why);
  }
  expect(
    restoreFunction(
      to.face.virtio,
      changed(state, (view) => view.setUint16(HEADER.vectors, 0xffff, true)),
    ),
  ).toContain('vectors');
  expect(
    restoreFunction(
      to.face.virtio,
      changed(state, (view) => view.setUint8(HEADER.isr, 4)),
    ),
  ).toContain('ISR');
});

test('MG-05: a part that is missing', () => {
  const { from, to } = pair();
  const state = saveFunction(from.face.virtio)!;
  const partsAt = state.length - 4 - new DataView(state.buffer).getUint32(HEADER.partBytes, true);
  // The first part, device features: a header of 16 bytes and 16 of value.
  const without = new Uint8Array(state.length - 32);
  without.set(state.subarray(0, partsAt));
  without.set(state.subarray(partsAt + 32), partsAt);
  new DataView(without.buffer).setUint32(HEADER.partBytes, state.length - 4 - partsAt - 32, true);
  expect(restoreFunction(to.face.virtio, sealed(without))).toContain('missing');
});

test('MG-02 with the checksum made right: one byte wrong is refused or a state like any other, never an exception', () => {
  const { from, to } = pair();
  const state = saveFunction(from.face.virtio)!;
  for (let at = 0; at < state.length - 4; at++) {
    restoreFunction(
      to.face.virtio,
      changed(state, (view) => view.setUint8(at, view.getUint8(at) ^ 0xff)),
    );
    to.step();
  }
  expect(restoreFunction(to.face.virtio, state)).toBeUndefined();
  expect(saveFunction(to.face.virtio)).toEqual(state);
});

/** A state with one part made something else: a value for its bytes from `at` on. */
function withPart(state: Uint8Array, type: number, index: number, at: number, value: readonly number[]): Uint8Array {
  return changed(state, (view) => {
    const end = state.length - 4;
    let seen = 0;
    for (let part = end - view.getUint32(HEADER.partBytes, true); part < end; ) {
      const length = view.getUint32(part + 12, true);
      if (view.getUint16(part, true) === type && seen++ === index)
        for (const [i, byte] of value.entries()) view.setUint8(part + 16 + at + i, byte);
      part += 16 + length;
    }
    expect(seen).toBeGreaterThan(index);
  });
}

/** Offsets in struct virtio_dev_part_vq_cfg by hand, virtio 1.4 §2.14.1.5: queue_size, vector, enabled. */
const VQ = { size: 0, vector: 2, enabled: 4 } as const;
const { PACKED, SPLIT } = { PACKED: [VIRTIO_F.RING_PACKED], SPLIT: [] };
const POSITION = 0xff00;

describe('a state that no driver can have made is refused, by name, and changes nothing', () => {
  test.each<[string, readonly number[], (state: Uint8Array) => Uint8Array, RegExp]>([
    ['MG-06: a ring of size 0', SPLIT, (s) => withPart(s, PART.VQ, 0, VQ.size, [0, 0]), /queue 0 has size 0/],
    ['MG-06: a ring of size 12', SPLIT, (s) => withPart(s, PART.VQ, 0, VQ.size, [12, 0]), /queue 0 has size 12/],
    ['MG-06: a ring above the maximum', SPLIT, (s) => withPart(s, PART.VQ, 1, VQ.size, [0, 2]), /queue 1 has size 512/],
    [
      'MG-08: more in flight than the ring has room for',
      SPLIT,
      (s) => withPart(s, POSITION, 0, 0, [0, 0x80]),
      /waiting/,
    ],
    ['MG-09: a wrap counter of 2', PACKED, (s) => withPart(s, POSITION, 0, 2, [2]), /lastAvailWrapCounter is 2/],
    ['MG-09: an index as large as the ring', PACKED, (s) => withPart(s, POSITION, 0, 0, [16, 0]), /lastAvailIdx is 16/],
    ['MG-10: a feature that the device lacks', SPLIT, (s) => withPart(s, PART.DRV, 0, 15, [0x80]), /feature/i],
    ['MG-10: an illegal combination', SPLIT, (s) => withPart(s, PART.DRV, 0, 0, [0x00, 0x00, 0x60]), /CTRL_VQ/],
    ['MG-11: DRIVER_OK without FEATURES_OK', SPLIT, (s) => withPart(s, PART.STATUS, 0, 0, [7]), /device_status is 7/],
    ['MG-11: a bit that means nothing', SPLIT, (s) => withPart(s, PART.STATUS, 0, 0, [0x2f]), /device_status is 47/],
    ['MG-19: a vector that is none', SPLIT, (s) => withPart(s, PART.VQ, 0, VQ.vector, [9, 0]), /no MSI-X vector 9/],
  ])('%s', (_, rings, damage, why) => {
    const { from, to } = pair(rings);
    from.rings.post();
    const state = saveFunction(from.face.virtio)!;
    const before = saveFunction(to.face.virtio);
    expect(restoreFunction(to.face.virtio, damage(state))).toMatch(why);
    expect(saveFunction(to.face.virtio)).toEqual(before);
    expect(restoreFunction(to.face.virtio, state)).toBeUndefined();
  });
});

/** Class and command of each part of a state that a driver set by a command. */
function commands(state: Uint8Array): string[] {
  const view = new DataView(state.buffer);
  const found: string[] = [];
  for (let at = state.length - 4 - view.getUint32(HEADER.partBytes, true); at < state.length - 4; ) {
    if (view.getUint16(at, true) === PART.CVQ) found.push(text(state.subarray(at + 4, at + 6)));
    at += 16 + view.getUint32(at + 12, true);
  }
  return found;
}

/** A state with one part more, of what a driver sets by commands (virtio 1.4 §5.1.8.1), where it belongs in the order. */
function withCommand(state: Uint8Array, command: string, value: Uint8Array): Uint8Array {
  const [end, added] = [state.length - 4, part(PART.CVQ, hex(command), value)];
  const partBytes = new DataView(state.buffer).getUint32(HEADER.partBytes, true);
  let at = end - partBytes;
  while (new DataView(state.buffer).getUint16(at, true) !== POSITION)
    at += 16 + new DataView(state.buffer).getUint32(at + 12, true);
  const longer = new Uint8Array(join(state.subarray(0, at), added, state.subarray(at)));
  return changed(longer, (view) => view.setUint32(HEADER.partBytes, partBytes + added.length, true));
}

describe('what a driver can have set by no command is refused', () => {
  const [MAC_TABLE, VLAN_ADD, RSS_CONFIG] = ['0100', '0200', '0401'];
  /** hash_types, indirection_table_mask, unclassified_queue, one entry, max_tx_vq, hash_key_length: virtio 1.4 §5.1.9.5.7.1 */
  const rss = (entry: number, keyBytes: number): Uint8Array =>
    join(le(1, 4), le(0, 2), le(0, 2), le(entry, 2), le(1, 2), le(keyBytes, 1), new Uint8Array(keyBytes));

  test('MG-12: a MAC table that claims more than there is, and VLANs of another length', () => {
    const { from, to } = pair([F.CTRL_RX, F.CTRL_VLAN]);
    const state = saveFunction(from.face.virtio)!;
    const claimed = withPart(state, PART.CVQ, commands(state).indexOf(MAC_TABLE), 0, [0xff, 0xff, 0xff, 0xff]);
    expect(restoreFunction(to.face.virtio, claimed)).toBeTypeOf('string');
    expect(restoreFunction(to.face.virtio, withCommand(state, VLAN_ADD, hex('0100 02')))).toBeTypeOf('string');
    expect(restoreFunction(to.face.virtio, state)).toBeUndefined();
  });

  test('MG-13: an RSS table that leads to no queue, and a key longer than the device takes', () => {
    const { from, to } = pair([F.RSS]);
    const state = saveFunction(from.face.virtio)!;
    expect(restoreFunction(to.face.virtio, withCommand(state, RSS_CONFIG, rss(9, 40)))).toBeTypeOf('string');
    expect(restoreFunction(to.face.virtio, withCommand(state, RSS_CONFIG, rss(1, 41)))).toBeTypeOf('string');
    expect(restoreFunction(to.face.virtio, withCommand(state, RSS_CONFIG, rss(1, 40)))).toBeUndefined();
  });

  test('MG-14: a device whose configuration is another one, as its queues are', () => {
    const { from } = pair();
    const bench = new PartsBench([], {}, 0);
    const other = bench.addMember([F.MAC, F.CTRL_VQ], {});
    expect(restoreFunction(other.face.virtio, saveFunction(from.face.virtio)!)).toBeTypeOf('string');
  });
});
