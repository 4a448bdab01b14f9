import type { AddressSpace } from '@ringwire/guest-memory';
import type { GuardedGuest } from '@ringwire/guest-memory/testing';
import { BUS_WORDS, InvalidationBus, IommuSpace, Iotlb, VirtioIommu } from '@ringwire/iommu';
import { featureWords } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { saveDevice } from './inspection/save-device.js';
import { IommuModel } from './iommu-model.js';
import { AT, DeviceBench, EVERYWHERE, F, FACES, placeOf, S, SIZE } from './testing/device-bench.js';
import { RecordingModel } from './testing/recording-model.js';

const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;
const ENDPOINT = 8;
const IOVA = 0x40_0000;
const PAGE = 0x1000;
/** Features by hand, virtio 1.4 §5.13.3: INPUT_RANGE, MAP_UNMAP, BYPASS_CONFIG. */
const FEATURES = [0, 2, 6];
const AREA = { request: AT.buffers, reply: AT.buffers + 0x100, report: AT.buffers + 0x200 };

const u32 = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
/** Requests by hand, virtio 1.4 §5.13.6: type, then fields; 64-bit ones as low and high word. */
const ATTACH = u32(1, 1, ENDPOINT, 0, 0);
const map = (iova: number, physical: number, bytes: number): Uint8Array =>
  u32(3, 1, iova, 0, iova + bytes - 1, 0, physical, 0, 3);
const unmap = (iova: number, bytes: number): Uint8Array => u32(4, 1, iova, 0, iova + bytes - 1, 0, 0);

/** An IOMMU on a transport, and what it takes to be its driver. */
class IommuDevice {
  readonly iommu: VirtioIommu;
  readonly bus = new InvalidationBus(new Int32Array(BUS_WORDS));
  readonly bench: DeviceBench<IommuModel>;
  wakes = 0;

  constructor(face: (typeof FACES)[number][0], layout: 'split' | 'packed') {
    this.iommu = new VirtioIommu({ invalidations: this.bus });
    this.iommu.addEndpoint(ENDPOINT);
    const wake = (): void => {
      this.wakes++;
    };
    this.bench = new DeviceBench(face, new IommuModel(this.iommu, 16), { layout, accept: FEATURES, wake });
  }

  /** @returns the status of the answer */
  ask(request: Uint8Array): number {
    const { bench } = this;
    bench.guest.write(AREA.request, request);
    const ring = bench.rings[0]!;
    ring.add(bench.list().addReadable(AREA.request, request.length).addWritable(AREA.reply, 4));
    ring.publish();
    bench.face.kick(0);
    bench.device.step(SIZE);
    expect(bench.collect(0)).toEqual([4]);
    return bench.guest.read(AREA.reply, 1)[0]!;
  }

  /** What an endpoint behind it reaches memory through. */
  space(guest: GuardedGuest): AddressSpace {
    return new IommuSpace({
      unit: this.iommu,
      sourceId: ENDPOINT,
      physical: guest.space,
      iotlb: new Iotlb(),
      bus: this.bus,
    });
  }
}

test.each(FACES)('over %s the configuration is that of the IOMMU, and bypass alone is written', (face) => {
  const { bench } = new IommuDevice(face, 'split');
  expect([bench.face.config(0, 4), bench.face.config(32, 4)]).toEqual([0x4020_1000, 512]);
  bench.start([0, 1]);
  for (const at of [0, 4, 8, 32]) bench.face.writeConfig(at, 4, 0);
  bench.face.writeConfig(36, 1, 1);
  expect([bench.face.config(0, 4), bench.face.config(32, 4), bench.face.config(36, 1)]).toEqual([0x4020_1000, 512, 1]);
  bench.face.writeConfig(36, 1, 2);
  expect(bench.face.config(36, 1)).toBe(1);
  bench.model.systemReset();
  expect(bench.face.config(36, 1)).toBe(0);
});

test.each(EVERYWHERE)('over %s and %s rings, what is mapped is what a device behind it reaches', (face, layout) => {
  const iommu = new IommuDevice(face, layout);
  iommu.bench.start([0, 1]);
  const accept = [F.ACCESS_PLATFORM];
  const device = new DeviceBench(face, new RecordingModel(), {
    layout,
    accept,
    translated: true,
    space: (guest) => iommu.space(guest),
  });
  expect(iommu.ask(ATTACH)).toBe(0);
  expect(iommu.ask(map(AT.rings, AT.rings, 0x4_0000))).toBe(0);
  expect(iommu.ask(map(IOVA, AT.buffers, PAGE))).toBe(0);
  device.start();
  // The device writes where the mapping points.
  device.offer(0, IOVA);
  device.face.kick(0);
  expect(device.device.step(SIZE)).toBe(1);
  expect(device.collect(0)).toEqual([16]);
  expect(device.guest.read(AT.buffers, 1)[0]).toBe(0xa5);
  // Unmapped, it does not, and the fault is reported.
  expect(iommu.ask(unmap(IOVA, PAGE))).toBe(0);
  iommu.bench.rings[1]!.addWritable(AREA.report, 24);
  iommu.bench.rings[1]!.publish();
  iommu.wakes = 0;
  device.offer(0, IOVA);
  device.face.kick(0);
  const since = device.guest.snapshot();
  device.device.step(SIZE);
  expect(device.collect(0)).toEqual([0]);
  expect(device.strayChanges(since, [0])).toEqual([]);
  expect(iommu.wakes).toBeGreaterThan(0);
  iommu.bench.face.takeInterrupts();
  iommu.bench.device.step(SIZE);
  expect(iommu.bench.face.takeInterrupts().used).toBe(true);
  expect(iommu.bench.collect(1)).toEqual([24]);
  // MAPPING, WRITE with an address, endpoint, address.
  expect([...iommu.bench.guest.read(AREA.report, 20)]).toEqual([
    2, 0, 0, 0, 2, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0,
  ]);
});

test.each(EVERYWHERE)('over %s and %s rings, a device behind it is saved as it reaches memory', (face, layout) => {
  const iommu = new IommuDevice(face, layout);
  iommu.bench.start([0, 1]);
  const options = { layout, accept: [F.ACCESS_PLATFORM], translated: true };
  const bench = new DeviceBench(face, new RecordingModel(), { ...options, space: (guest) => iommu.space(guest) });
  iommu.ask(ATTACH);
  iommu.ask(map(AT.rings, AT.rings, 0x4_0000));
  bench.start();
  bench.offer(0, IOVA);
  const { snapshot, pages } = saveDevice(bench.device);
  // Its buffer is not mapped.
  expect(snapshot.unreachable).toEqual(['0x400000']);
  const { desc, driver, device } = placeOf(0);
  expect(pages.map(({ address }) => Number(address))).toEqual([desc, driver, device]);
  for (const { address, bytes } of pages) expect(bytes).toEqual(bench.guest.read(Number(address), PAGE));
  expect(snapshot.accepted.names).toContain('VIRTIO_F_ACCESS_PLATFORM');
});

test('rings that are unmapped under a running device stop it, and a reset with them mapped again mends it', () => {
  const iommu = new IommuDevice('pci', 'split');
  iommu.bench.start([0, 1]);
  const device = new DeviceBench('pci', new RecordingModel(), {
    accept: [F.ACCESS_PLATFORM],
    translated: true,
    space: (guest) => iommu.space(guest),
  });
  iommu.ask(ATTACH);
  iommu.ask(map(AT.rings, AT.rings, 0x4_0000));
  iommu.ask(map(IOVA, AT.buffers, PAGE));
  device.start();
  const probe = (): void => {
    device.offer(0, IOVA);
    device.face.kick(0);
    device.device.step(SIZE);
    expect(device.collect(0)).toEqual([16]);
  };
  probe();
  iommu.ask(unmap(AT.rings, 0x4_0000));
  const since = device.guest.snapshot();
  device.face.kick(0);
  expect(device.device.step(SIZE)).toBe(0);
  expect(device.face.status()).toBe(RUNNING | S.NEEDS_RESET);
  expect(device.device.resetReason).toBe('queue 0 cannot be trusted: UNREACHABLE');
  expect(device.strayChanges(since)).toEqual([]);
  // A queue in memory that is not mapped is not enabled.
  device.negotiate();
  device.face.place(0, placeOf(0));
  device.face.enable(0);
  expect(device.face.enabled(0)).toBe(0);
  iommu.ask(map(AT.rings, AT.rings, 0x4_0000));
  device.start();
  probe();
});

test('a fault while the IOMMU is suspended, or needs a reset, is counted and touches no queue', () => {
  const iommu = new IommuDevice('mmio', 'split');
  const bench = new DeviceBench('mmio', new IommuModel(iommu.iommu, 16), { accept: [...FEATURES, F.SUSPEND] });
  bench.start([0, 1]);
  bench.rings[1]!.addWritable(AREA.report, 24);
  bench.rings[1]!.publish();
  const space = iommu.space(bench.guest);
  const since = bench.guest.snapshot();
  const touch = (): void => {
    space.enter();
    expect(space.resolve(IOVA, 1, 1)).toBe(-1);
    space.leave();
  };
  bench.face.setStatus(RUNNING | S.SUSPEND);
  touch();
  expect(iommu.iommu.counters.reportsWithoutBuffer).toBe(1);
  bench.face.setStatus(RUNNING);
  bench.breakRing(0);
  bench.face.kick(0);
  bench.device.step(SIZE);
  expect(bench.face.status()).toBe(RUNNING | S.NEEDS_RESET);
  touch();
  expect(iommu.iommu.counters.reportsWithoutBuffer).toBe(2);
  expect(bench.strayChanges(since).filter((line) => !line.startsWith('0x11002'))).toEqual([]);
});

test('mappings outlive DEVICE_NEEDS_RESET, and a reset of the device takes them away', () => {
  const iommu = new IommuDevice('mmio', 'split');
  iommu.bench.start([0, 1]);
  iommu.ask(ATTACH);
  iommu.ask(map(IOVA, AT.buffers, PAGE));
  iommu.bench.breakRing(0);
  iommu.bench.face.kick(0);
  iommu.bench.device.step(SIZE);
  expect([iommu.bench.face.status(), iommu.iommu.mappings]).toEqual([RUNNING | S.NEEDS_RESET, 1]);
  iommu.bench.face.setStatus(0);
  expect([iommu.iommu.domains, iommu.iommu.mappings]).toEqual([0, 0]);
});

test('an IOMMU whose driver enabled no event queue serves requests, and counts what it cannot report', () => {
  const iommu = new IommuDevice('mmio', 'split');
  iommu.bench.start([0]);
  expect(iommu.ask(ATTACH)).toBe(0);
  const space = iommu.space(iommu.bench.guest);
  space.enter();
  expect(space.resolve(IOVA, 1, 1)).toBe(-1);
  space.leave();
  expect(iommu.iommu.counters.reportsWithoutBuffer).toBe(1);
  // Enabled later, it is used.
  iommu.bench.addQueue(1);
  iommu.bench.rings[1]!.addWritable(AREA.report, 24);
  iommu.bench.rings[1]!.publish();
  space.enter();
  space.resolve(IOVA, 1, 1);
  space.leave();
  iommu.bench.device.step(SIZE);
  expect(iommu.bench.collect(1)).toEqual([24]);
});

test('a device behind an IOMMU may be offered fewer features, and ACCESS_PLATFORM stays', () => {
  const bench = new DeviceBench('pci', new RecordingModel(), { translated: true, offer: featureWords([]) });
  expect([bench.face.offered(0), bench.face.offered(1)]).toEqual([0, 3]);
});
