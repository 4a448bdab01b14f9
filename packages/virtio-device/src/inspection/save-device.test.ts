import { SavedMemory } from '@ringwire/ring-oracle';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explainDevice } from '../explain-device.js';
import { AT, DeviceBench, EVERYWHERE, placeOf, S, SIZE } from '../testing/device-bench.js';
import type { PciFace } from '../testing/pci-face.js';
import { RecordingModel } from '../testing/recording-model.js';
import type { VirtioDevice } from '../virtio-device.js';
import { explainSnapshot } from './explain-snapshot.js';
import { type Reason, sentence } from './reason.js';
import { RecordedMemory } from './recording-reader.js';
import { saveDevice, snapshotFiles } from './save-device.js';
import { snapshotDevice } from './snapshot-device.js';
import type { DeviceSnapshot } from './snapshot-types.js';

const two = (): RecordingModel => new RecordingModel({ queueSizes: [16, 16] });

/** What a reader of the files says, who has nothing else. */
function explainFiles(device: VirtioDevice): Reason[] {
  const files = snapshotFiles(device);
  const snapshot: DeviceSnapshot = JSON.parse(files['device.json']);
  const { page_size: size, pages } = JSON.parse(files['pages.json']);
  const pieces = pages.map(({ gpa, offset }: { gpa: string; offset: number }) => ({
    address: BigInt(gpa),
    bytes: files['pages.bin'].subarray(offset, offset + size),
  }));
  const memory = new RecordedMemory(new SavedMemory(pieces), snapshot.unreachable.map(BigInt));
  return explainSnapshot(snapshot, memory);
}

describe.each(EVERYWHERE)('a device over %s with %s rings:', (face, layout) => {
  test('its files tell what it would tell itself, at rest, with work to do, and broken', () => {
    const bench = new DeviceBench(face, two(), { layout });
    const { device } = bench;
    expect(explainFiles(device).map(sentence)).toEqual(explainDevice(device));
    bench.start([0, 1]);
    bench.probe(0);
    bench.offer(1);
    expect(explainFiles(device).map(sentence)).toEqual(explainDevice(device));
    bench.breakRing(1);
    device.step(SIZE);
    const told = explainDevice(device);
    expect(explainFiles(device).map(sentence)).toEqual(told);
    expect(told[0]).toContain('The device needs a reset: queue 1 cannot be trusted');
  });

  test('whatever stands in a ring, its files tell what it would tell itself', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 96 }), fc.nat(2), fc.nat(15), (bytes, part, at) => {
        const bench = new DeviceBench(face, two(), { layout });
        bench.start([0]);
        bench.offer(0);
        const { desc, driver, device } = placeOf(0);
        bench.guest.write([desc, driver, device][part]! + at, bytes);
        expect(explainFiles(bench.device).map(sentence)).toEqual(explainDevice(bench.device));
      }),
      { numRuns: 60 },
    );
  });

  test('saving changes nothing in the guest, and keeps the pages of each enabled ring as they are', () => {
    const bench = new DeviceBench(face, two(), { layout });
    bench.start([0]);
    bench.probe(0);
    const since = bench.guest.snapshot();
    const { pages } = saveDevice(bench.device);
    expect(bench.strayChanges(since)).toEqual([]);
    const { desc, driver, device } = placeOf(0);
    expect(pages.map(({ address }) => Number(address))).toEqual([desc, driver, device]);
    for (const { address, bytes } of pages) expect(bytes).toEqual(bench.guest.read(Number(address), 4096));
  });

  test('a chain that leads where there is no memory leads there in the files too', () => {
    const bench = new DeviceBench(face, two(), { layout });
    bench.start([0]);
    bench.offer(0, 0x50_0000);
    const { snapshot } = saveDevice(bench.device);
    expect(snapshot.unreachable).toEqual(['0x500000']);
    expect(explainFiles(bench.device)).toContainEqual({
      level: 'problem',
      queue: 0,
      text: expect.stringContaining('0x500000'),
      clause: expect.objectContaining({ id: `ring.${layout}.buffer-unmapped`, by: 'driver' }),
    });
  });
});

test('a snapshot over PCI by hand: status, features, registers, positions, vectors', () => {
  const bench = new DeviceBench('pci', two(), { accept: [29] });
  bench.start([1]);
  bench.probe(1);
  expect(snapshotDevice(bench.device)).toMatchObject({
    schema: 'ringwire.device/1',
    deviceId: 4,
    deviceType: 'RNG',
    status: 15,
    statusNames: ['ACKNOWLEDGE', 'DRIVER', 'DRIVER_OK', 'FEATURES_OK'],
    live: true,
    dmaEnabled: true,
    accepted: { bits: '0x120000000', names: ['VIRTIO_F_EVENT_IDX', 'VIRTIO_F_VERSION_1'] },
    featuresRefusal: null,
    config: { generation: 0, bytes: '0102030405060708' },
    counters: { kicks: 1, usedNotifications: 1 },
    queues: [
      { index: 0, sizeMax: 16, size: 16, enabled: false, desc: '0x0', layout: null, position: null, counters: null },
      {
        ...{ index: 1, sizeMax: 16, size: 8, enabled: true, refusal: null },
        ...{ desc: '0x13000', driver: '0x14000', device: '0x15000', layout: 'split' },
        position: { layout: 'split', lastAvailIdx: 1, usedIdx: 1 },
        ...{ inFlight: 0, ringFault: null, counters: { taken: 1, used: 1, notifications: 1, chainFaults: {} } },
      },
    ],
    transport: {
      ...{ kind: 'pci', memoryEnabled: true, busMaster: true, intxDisabled: false, isr: 0 },
      ...{ configVector: 0, queueVectors: [null, 2] },
      msix: { enabled: true, functionMasked: false, vectors: Array(3).fill({ masked: false, pending: false }) },
    },
    model: null,
  });
});

test('an address of 64 bits is told in full', () => {
  const bench = new DeviceBench('mmio', two());
  bench.negotiate();
  bench.face.place(0, { ...placeOf(0), desc: 0xfedc_ba98_7654_3210n });
  expect(snapshotDevice(bench.device).queues[0]!.desc).toBe('0xfedcba9876543210');
});

test('an address at which there was nothing ends what can be read', () => {
  const bench = new DeviceBench('mmio', two());
  bench.start([0]);
  const reads: [bigint, number][] = [];
  const { snapshot, pages } = saveDevice(bench.device);
  const memory = new RecordedMemory(
    new SavedMemory(pages),
    [BigInt(AT.rings) + 0x80n, BigInt(AT.rings) + 0x20n].concat(snapshot.unreachable.map(BigInt)),
  );
  for (const [address, length] of [[0x10000n, 0x20] as const, [0x10000n, 0x21] as const, [0x10021n, 0x10] as const]) {
    if (memory.read(address, length) !== null) reads.push([address, length]);
  }
  expect(reads).toEqual([
    [0x10000n, 0x20],
    [0x10021n, 0x10],
  ]);
  expect(memory.probe(0x10000n, 0x1000n)).toEqual({ state: 'unmapped', at: 0x10020n });
  expect(memory.probe(0x10021n, 0x1000n)).toEqual({ state: 'unmapped', at: 0x10080n });
  expect(memory.probe(0x10081n, 0x10n)).toEqual({ state: 'saved' });
});

test('a masked vector and a missing one are told apart', () => {
  const bench = new DeviceBench('pci', two());
  const { virtio } = bench.face as PciFace;
  bench.start([0, 1]);
  const table = virtio.pci.configRead(virtio.pci.capabilityAt(0x11) + 4, 4) & ~7;
  virtio.pci.barWrite(0, table + 16 + 12, 4, 1);
  bench.probe(0);
  virtio.common.resetQueue(1);
  const why = explainDevice(bench.device);
  expect(why).toContain('MSI-X vector 1 of queue 0 is pending: the vector is masked.');
  expect(why).toContain('Queue 1 has no MSI-X vector: nothing interrupts for it.');
  virtio.pci.configWrite(4, 2, 4);
  expect(explainDevice(bench.device)).toContain(
    'Memory space is off in the Command register, or in VF MSE: accesses do not reach the registers.',
  );
});

test('a reset that is needed and that nothing could tell of', () => {
  const bench = new DeviceBench('pci', two());
  const face = bench.face as PciFace;
  bench.start([0]);
  face.writeCommon(0x10, 2, 0xffff);
  bench.breakRing(0);
  bench.device.step(SIZE);
  expect(face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
  expect(explainDevice(bench.device)).toContain(
    'Configuration changes have no MSI-X vector: nothing told the driver that a reset is needed.',
  );
});
