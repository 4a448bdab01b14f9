import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  type DriverQueue,
  isRefusal,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  UsedBurst,
} from '@ringwire/virtqueue';
import { IommuDomain } from '../domain.js';
import { BUS_WORDS, InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { RequesterTable } from '../requester-table.js';
import { type MemoryRegion, SystemMap, type SystemRegion, type WindowRegion } from '../system-map.js';
import { VtdUnit } from '../vtd-unit.js';
import { EchoDevice } from './echo-device.js';

const RW = 3;
const PAGE = 4096;
export const SOURCE = 0x18;

/** The machine's map. Registers of two functions and of the IOMMU, as on a PC. */
export const AT = {
  ring: 0x1_0000,
  buffers: 0x2_0000,
  tables: 0x8_0000,
  rom: 0xf_0000,
  notify: 0xfe00_0000,
  common: 0xfe00_1000,
  msix: 0xfe00_2000,
  otherBar: 0xfe10_0000,
  iommu: 0xfed9_0000,
  interrupts: 0xfee0_0000,
  dimm: 0x1_0000_0000,
} as const;
const RAM_BYTES = 0xf_0000;
const DIMM_BYTES = 0x1_0000;

/** A register window that remembers every access, and does what the test says. */
class TestWindow implements WindowRegion {
  readonly kind = 'window';
  readonly address: number;
  readonly size = PAGE;
  readonly calls: string[] = [];
  onWrite: (offset: number, value: number) => void = () => {};

  constructor(address: number) {
    this.address = address;
  }

  read(offset: number, bytes: number): number {
    this.calls.push(`read ${offset} ${bytes}`);
    return 0;
  }

  write(offset: number, bytes: number, value: number): void {
    this.calls.push(`write ${offset} ${bytes} ${value}`);
    this.onWrite(offset, value);
  }
}

/**
 * A machine with memory, read-only memory, a module that can be unplugged, and registers; a driver, and a device that is
 * given physical addresses or addresses behind an IOMMU. There every address leads to itself, registers included: what a
 * careless owner of the tables may do.
 */
export class Machine {
  readonly memory: HostMemory = HostMemory.create(0x11_0000);
  readonly windows = {
    notify: new TestWindow(AT.notify),
    common: new TestWindow(AT.common),
    msix: new TestWindow(AT.msix),
    otherBar: new TestWindow(AT.otherBar),
    iommu: new TestWindow(AT.iommu),
  };
  readonly dimm: MemoryRegion = { kind: 'memory', address: AT.dimm, size: DIMM_BYTES, host: 0x10_0000 };
  readonly map: SystemMap;
  readonly unit: VtdUnit;
  readonly domain: IommuDomain;
  /** What the device is given. */
  readonly space: SystemMap | IommuSpace;
  private readonly features: Uint32Array;

  constructor(layout: 'split' | 'packed', path: 'direct' | 'iommu') {
    const { memory } = this;
    const regions: SystemRegion[] = [
      { kind: 'memory', address: 0, size: RAM_BYTES, host: 0 },
      { kind: 'memory', address: AT.rom, size: PAGE, host: AT.rom, readOnly: true },
      this.dimm,
      { kind: 'interrupt', address: AT.interrupts, size: 0x10_0000 },
      ...Object.values(this.windows),
    ];
    const bus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
    this.map = new SystemMap({ memory, regions, bus });
    const physical = this.map;
    const allocator = new PageAllocator(AT.tables, RAM_BYTES - AT.tables);
    const requesters = new RequesterTable({ physical, allocator, sink: bus });
    this.domain = new IommuDomain({ id: 1, physical, allocator, sink: bus, largestPage: PAGE });
    this.domain.map(0, 0, 0x10_0000, RW);
    this.domain.map(AT.dimm, AT.dimm, DIMM_BYTES, RW);
    for (const { address } of Object.values(this.windows)) this.domain.map(address, address, PAGE, RW);
    requesters.attach(SOURCE, this.domain);
    this.unit = new VtdUnit({ memory: physical, sink: bus });
    this.unit.write(0x20, 8, BigInt(requesters.root));
    this.unit.write(0x18, 4, 0x4000_0000);
    this.unit.write(0x18, 4, 0x8000_0000);
    const behind = { unit: this.unit, sourceId: SOURCE, physical, iotlb: new Iotlb(64), bus };
    this.space = path === 'direct' ? this.map : new IommuSpace(behind);
    this.features = featureWords([
      VIRTIO_F.VERSION_1,
      VIRTIO_F.INDIRECT_DESC,
      ...(layout === 'packed' ? [VIRTIO_F.RING_PACKED] : []),
    ]);
  }

  /** Where a queue is, from `ring` on. */
  place(ring: number = AT.ring): QueueConfig {
    const { space, features } = this;
    return { space, size: 8, desc: ring, driver: ring + PAGE, device: ring + 2 * PAGE, features };
  }

  /** A driver's queue and a device on it. */
  openPair(ring: number = AT.ring): { driver: DriverQueue; device: EchoDevice } {
    const config = this.place(ring);
    const driver = openDriverQueue({ ...config, space: this.map }, { address: ring + 3 * PAGE, entries: 4 });
    const queue = openDeviceQueue(config);
    if (isRefusal(queue)) throw new Error(queue.message);
    return { driver, device: new EchoDevice(queue, this.space) };
  }

  /** Calls of all windows. */
  get calls(): string[] {
    return Object.values(this.windows).flatMap(({ calls }) => calls);
  }

  /** Reason, requester and address of the oldest fault record, which is taken; undefined without one. */
  takeFault(): { reason: number; sourceId: number; address: number } | undefined {
    const high = this.unit.read(0x228, 8);
    const low = this.unit.read(0x220, 8);
    if (high >> 63n === 0n) return undefined;
    this.unit.write(0x22c, 4, 0x8000_0000);
    return { reason: Number((high >> 32n) & 0xffn), sourceId: Number(high & 0xffffn), address: Number(low) };
  }
}

/** Lengths of the buffers that came back. */
export function usedLengths(driver: DriverQueue): number[] {
  const used = new UsedBurst(8);
  driver.takeUsed(used, 8);
  return [...used.written.subarray(0, used.count)];
}
