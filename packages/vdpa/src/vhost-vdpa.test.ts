import { ACCESS, GuestMemory } from '@ringwire/guest-memory';
import { DEVICE_STATUS, featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventNotifier } from './event-notifier.js';
import { simParent } from './sim-parent.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal } from './vdpa-parent.js';
import { VHOST_BACKEND_F, VhostVdpa } from './vhost-vdpa.js';
import { stateOfVringBase, vringBaseOf } from './vring-base.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const UADDR = 0x7f00_0000_0000;
const BYTES = 0x10_0000;
const READ_ONLY_AT = BYTES - 0x1000;

const stage = new VdpaStage();
const host = stage.processPages.allocate(BYTES);
const parent = simParent(stage.host);
const device = addDevice();
/** The process's addresses are far from host offsets, and its last page is read-only. */
const process = new GuestMemory(stage.memory, [
  { gpa: UADDR, size: READ_ONLY_AT, host },
  { gpa: UADDR + READ_ONLY_AT, size: 0x1000, host: host + READ_ONLY_AT, readOnly: true },
]);

function addDevice(): VdpaDevice {
  const added = parent.add('vdpa0', {});
  if (isVdpaRefusal(added)) throw new Error(added.message);
  return added;
}

function owned(): VhostVdpa {
  const file = new VhostVdpa(device);
  expect(file.setOwner(process)).toBe(VDPA.OK);
  return file;
}

/** A running device with one mapping of rings, split or packed. */
function running(file: VhostVdpa, isPacked = false): void {
  file.iotlb!.update(0, 0, READ_ONLY_AT, UADDR, 3);
  file.setStatus(ACKNOWLEDGE | DRIVER);
  const bits = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, ...(isPacked ? [VIRTIO_F.RING_PACKED] : [])];
  expect(file.setFeatures(featureWords(bits))).toBe(VDPA.OK);
  file.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  for (const index of [0, 1]) {
    expect(file.setVringNum(index, 16)).toBe(VDPA.OK);
    const at = index * 0x4000;
    expect(file.setVringAddr(index, { desc: at, driver: at + 0x2000, device: at + 0x3000 })).toBe(VDPA.OK);
    expect(file.setVringEnable(index, true)).toBe(VDPA.OK);
  }
  expect(file.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)).toBe(VDPA.OK);
}

test('without an owner nothing that changes a device is done', () => {
  const file = new VhostVdpa(device);
  const outcomes = [
    file.setStatus(1),
    file.setFeatures(new Uint32Array(4)),
    file.setVringNum(0, 8),
    file.setVringBase(0, 0),
    file.setVringKick(0, new EventNotifier()),
    file.setVringCall(0, undefined),
    file.setVringEnable(0, true),
    file.setConfig(0, Uint8Array.of(1)),
    file.setConfigCall(undefined),
    file.setGroupAsid(0, 0),
    file.suspend(),
    file.resume(),
  ];
  expect(new Set(outcomes)).toEqual(new Set([VDPA.NOT_OWNER]));
  expect(file.iotlb).toBeUndefined();
  expect([file.getVqsCount(), file.getVringNum(), file.getGroupNum(), file.getAsNum()]).toEqual([3, 256, 2, 2]);
});

test('a device has one owner, and whoever closed it has nothing of it', () => {
  const file = owned();
  const { iotlb } = file;
  expect(file.setOwner(process)).toBe(VDPA.BUSY);
  running(file);
  file.close();
  expect(file.getStatus()).toBe(0);
  const next = owned();
  next.setStatus(ACKNOWLEDGE);
  expect([file.setOwner(process), file.setStatus(0), file.getStatus()]).toEqual([VDPA.NOT_OWNER, VDPA.NOT_OWNER, 0]);
  expect(iotlb!.update(0, 0, 0x1000, UADDR, 1)).toBe(VDPA.NOT_OWNER);
  expect([next.getStatus(), file.getConfig(0, 6), file.getVringBase(0)]).toEqual([ACKNOWLEDGE, undefined, undefined]);
});

test('status bits are not taken back, features are final once negotiated', () => {
  const file = owned();
  running(file);
  expect(file.setStatus(ACKNOWLEDGE | DRIVER)).toBe(VDPA.INVALID);
  for (const bad of [-1, 256, 0.5, Number.NaN]) expect(file.setStatus(bad)).toBe(VDPA.INVALID);
  expect(file.setFeatures(featureWords([VIRTIO_F.VERSION_1]))).toBe(VDPA.BUSY);
  expect(file.setFeatures(featureWords([64]))).toBe(VDPA.INVALID);
  expect(file.setStatus(0)).toBe(VDPA.OK);
  expect(file.getStatus()).toBe(0);
});

test('rings that there are not, and rings of a running device, are not set', () => {
  const file = owned();
  running(file);
  for (const bad of [-1, 3, 0.5, Number.NaN, 65536]) {
    expect(file.setVringNum(bad, 8)).toBe(VDPA.INVALID);
    expect(file.setVringEnable(bad, true)).toBe(VDPA.INVALID);
    expect(file.setVringKick(bad, undefined)).toBe(VDPA.INVALID);
    expect([file.getVringBase(bad), file.getVringGroup(bad), file.getVringSize(bad)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(file.doorbell(bad)).toMatchObject({ outcome: VDPA.INVALID });
  }
  expect(file.setVringNum(2, 8)).toBe(VDPA.INVALID);
  expect(file.setVringBase(2, 0)).toBe(VDPA.INVALID);
  expect(file.setVringAddr(2, { desc: 0, driver: 0, device: 0 })).toBe(VDPA.INVALID);
  expect(file.doorbell(0)).toMatchObject({ outcome: VDPA.UNSUPPORTED });
});

test('a process maps its own memory with the rights that it has, and nothing else', () => {
  const file = owned();
  const iotlb = file.iotlb!;
  const READ_ONLY = UADDR + READ_ONLY_AT;
  expect(iotlb.update(0, 0x1000, 0x1000, UADDR - 0x1000, 1)).toBe(VDPA.NOT_MEMORY);
  expect(iotlb.update(0, 0x1000, BYTES + 0x1000, UADDR, 1)).toBe(VDPA.NOT_MEMORY);
  expect(iotlb.update(0, 0x1000, 0x1000, READ_ONLY, 3)).toBe(VDPA.NOT_MEMORY);
  expect(iotlb.update(0, 0x1000, 0x1000, READ_ONLY, 2)).toBe(VDPA.NOT_MEMORY);
  expect(iotlb.update(0, 0x1000, 0x1000, READ_ONLY, 1)).toBe(VDPA.OK);
  for (const [asid, iova, bytes, access] of [
    [2, 0x8000, 0x1000, 3],
    [-1, 0x8000, 0x1000, 3],
    [0, -0x1000, 0x1000, 3],
    [0, 2 ** 53 - 0x1000, 0x1000, 3],
    [0, 0x8000, 0, 3],
    [0, 0x8000, 0x1000, 0],
    [0, 0x8000, 0x1000, 4],
  ] as const)
    expect(iotlb.update(asid, iova, bytes, UADDR, access)).toBe(VDPA.INVALID);
  expect(iotlb.update(0, 0x1fff, 1, UADDR, 1)).toBe(VDPA.EXISTS);
  expect(device.mappings(0)).toEqual([{ iova: 0x1000, bytes: 0x1000, host: host + READ_ONLY_AT, access: ACCESS.READ }]);
});

test('a batch takes effect at its end, of one address space, and as a whole', () => {
  const file = owned();
  const iotlb = file.iotlb!;
  const mapped = (asid: number): number[] => device.mappings(asid).map(({ iova }) => iova);
  iotlb.update(0, 0x1000, 0x1000, UADDR, 3);
  expect(iotlb.batchEnd(0)).toBe(VDPA.INVALID);
  expect(iotlb.batchBegin(0)).toBe(VDPA.OK);
  expect(iotlb.batchBegin(0)).toBe(VDPA.BUSY);
  expect(iotlb.invalidate(0, 0x1000, 0x1000)).toBe(VDPA.OK);
  expect(iotlb.update(0, 0x5000, 0x1000, UADDR, 3)).toBe(VDPA.OK);
  expect(iotlb.update(0, 0x5000, 0x1000, UADDR, 3)).toBe(VDPA.EXISTS);
  expect(iotlb.update(1, 0x5000, 0x1000, UADDR, 3)).toBe(VDPA.INVALID);
  expect(mapped(0)).toEqual([0x1000]);
  expect(iotlb.batchEnd(1)).toBe(VDPA.INVALID);
  expect(iotlb.batchEnd(0)).toBe(VDPA.OK);
  expect([mapped(0), mapped(1)]).toEqual([[0x5000], []]);
});

test('backend features are what the device can do; IOTLB_PERSIST keeps mappings over a reset', () => {
  const file = owned();
  // 1 to 6, and 8.
  expect(file.getBackendFeatures()).toBe(0x17e);
  expect(file.setBackendFeatures(1 << 7)).toBe(VDPA.UNSUPPORTED);
  expect(file.setBackendFeatures(-1)).toBe(VDPA.UNSUPPORTED);
  const afterReset = (): number => {
    file.iotlb!.update(0, 0, 0x1000, UADDR, 3);
    file.setStatus(0);
    return device.mappings(0).length;
  };
  expect(afterReset()).toBe(0);
  expect(file.setBackendFeatures(1 << VHOST_BACKEND_F.IOTLB_PERSIST)).toBe(VDPA.OK);
  expect(afterReset()).toBe(1);
  file.close();
  expect(device.mappings(0)).toEqual([]);
});

test.each([
  [false, 0xfffe, 0xfffe],
  // Index 5 of the lap with wrap counter 0, taken and used.
  [true, 0x0005_0005, 0x0005_0005],
  [true, 0x8003_8003, 0x8003_8003],
] as const)('VHOST_SET_VRING_BASE and VHOST_GET_VRING_BASE, packed %s: %d', (isPacked, base, read) => {
  const file = owned();
  file.iotlb!.update(0, 0, READ_ONLY_AT, UADDR, 3);
  file.setStatus(ACKNOWLEDGE | DRIVER);
  const bits = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, ...(isPacked ? [VIRTIO_F.RING_PACKED] : [])];
  file.setFeatures(featureWords(bits));
  file.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  file.setVringNum(0, 16);
  file.setVringAddr(0, { desc: 0, driver: 0x2000, device: 0x3000 });
  expect(file.setVringBase(0, base)).toBe(VDPA.OK);
  expect(file.setVringEnable(0, true)).toBe(VDPA.OK);
  expect(file.getVringBase(0)).toBe(read);
});

test('MG-08, MG-09 a base that no ring is at is refused, at the latest when the ring is enabled', () => {
  const file = owned();
  running(file);
  file.suspend();
  file.setVringEnable(0, false);
  for (const bad of [0x1_0000, -1, 0.5, 2 ** 32]) expect(file.setVringBase(0, bad)).toBe(VDPA.INVALID);
  const packed = owned();
  running(packed, true);
  packed.suspend();
  packed.setVringEnable(0, false);
  // Index 16 of a ring of 16, and positions apart: chains would be in flight.
  for (const bad of [0x8010_8010, 0x8003_8004, 0x0003_8003]) {
    expect(packed.setVringBase(0, bad)).toBe(VDPA.OK);
    expect(packed.setVringEnable(0, true)).toBe(VDPA.INVALID);
  }
});

test('a base survives the way through its number', () => {
  const place = fc.record({ at: fc.nat(0x7fff), wrap: fc.constantFrom(0 as const, 1 as const) });
  fc.assert(
    fc.property(place, place, fc.nat(0xffff), (avail, used, index) => {
      const packed = {
        layout: 'packed' as const,
        lastAvailIdx: avail.at,
        lastAvailWrapCounter: avail.wrap,
        usedIdx: used.at,
        usedWrapCounter: used.wrap,
      };
      expect(stateOfVringBase(vringBaseOf(packed), true)).toEqual(packed);
      const split = { layout: 'split' as const, lastAvailIdx: index, usedIdx: index };
      expect(stateOfVringBase(vringBaseOf(split), false)).toEqual(split);
    }),
  );
});

test('any sequence of calls with any numbers ends in outcomes, and the device still works for the next owner', () => {
  const number = fc.oneof(
    fc.integer({ min: -2, max: 5 }),
    fc.constantFrom(16, 255, 4096, 0x1_0000, 2 ** 32, 2 ** 53, 0.5, Number.NaN),
  );
  const call = fc.tuple(fc.nat(18), number, number, number);
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40 }), (calls) => {
      const file = owned();
      const event = new EventNotifier();
      for (const [which, a, b, c] of calls) {
        const table: (() => unknown)[] = [
          () => file.setStatus(a),
          () => file.setFeatures(featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM])),
          () => file.setVringNum(a, b),
          () => file.setVringAddr(a, { desc: b, driver: c, device: b }),
          () => file.setVringBase(a, b),
          () => file.getVringBase(a),
          () => file.setVringKick(a, event),
          () => file.setVringCall(a, b > 0 ? event : undefined),
          () => file.setVringEnable(a, b > 0),
          () => file.setGroupAsid(a, b),
          () => file.getConfig(a, b),
          () => file.setConfig(a, new Uint8Array(b > 0 && b < 64 ? b : 1)),
          () => file.iotlb?.update(a, b, c, UADDR, 3),
          () => file.iotlb?.invalidate(a, b, c),
          () => file.iotlb?.batchBegin(a),
          () => file.iotlb?.batchEnd(a),
          () => file.suspend(),
          () => file.resume(),
          () => event.signal(),
        ];
        table[which]!();
        device.step(4);
      }
      file.close();
      running(owned());
      expect(device.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    }),
    { numRuns: 150 },
  );
});
