import { crc32 } from '@ringwire/guest-memory';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import type { NetFunction } from '../admin/testing/net-function.js';
import { NetFunction as Net } from '../admin/testing/net-function.js';
import { PartsBench } from '../admin/testing/parts-bench.js';
import { frameOf } from '../net/testing/frames.js';
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
