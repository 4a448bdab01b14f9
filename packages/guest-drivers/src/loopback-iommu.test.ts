import { ACCESS, HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { BUS_WORDS, InvalidationBus, IommuDomain, IommuSpace, Iotlb, RequesterTable, VtdUnit } from '@ringwire/iommu';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { NetDevice, VirtioMmio } from '@ringwire/virtio-device';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { type DmaMapping, guestDma } from './dma-memory.js';
import { openMmioTransport } from './mmio-transport.js';
import { openNetDriver } from './net-driver.js';
import { SENT } from './net-tx-queue.js';
import { frameOf } from './testing/net-stage.js';
import { STATION } from './testing/real-stage.js';

const RAM_BYTES = 0x80_0000;
const TABLES = 0x80_0000;
const TABLE_BYTES = 0x20_0000;
const SCRATCH = 0xa0_0000;
const CABLE = 0xb0_0000;
const SOURCE = 0x0018;
const IOVA = 0x7f_0000_0000;
/** Root table pointer, and the commands that take it and switch translation on. VT-d 4.1 §11.4.4, §11.4.5 */
const RTADDR = 0x20;
const GCMD = 0x18;
const SRTP = 0x4000_0000;
const TE = 0x8000_0000;

/** A device behind a VT-d unit, whose tables one domain fills. */
function machine() {
  const memory = HostMemory.create(0x100_0000);
  const physical = new IdentitySpace(memory);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const allocator = new PageAllocator(TABLES, TABLE_BYTES);
  const owner = new InvalidationBus(words);
  const requesters = new RequesterTable({ physical, allocator, sink: owner });
  const domain = new IommuDomain({ id: 1, physical, allocator, sink: owner });
  requesters.attach(SOURCE, domain);
  const bus = new InvalidationBus(words);
  const unit = new VtdUnit({ memory: physical, sink: bus });
  unit.write(RTADDR, 8, BigInt(requesters.root));
  unit.write(GCMD, 4, SRTP);
  unit.write(GCMD, 4, TE);
  const space = new IommuSpace({ unit, sourceId: SOURCE, physical, iotlb: new Iotlb(256), bus });
  return { memory, physical, domain, space };
}

test.each([false, true])(
  'drv.basic.reserved-features.4: behind an IOMMU the driver’s mappings are all that the device reaches, packed %s',
  (isPacked) => {
    const { memory, physical, domain, space } = machine();
    const backend = new LoopbackBackend(new FrameQueue(memory, CABLE, 0x10_0000, 64));
    const model = new NetDevice({ memory, scratch: SCRATCH, backend, mac: STATION, holdWhenFull: true });
    const mmio = new VirtioMmio({ model, space, translated: true, interrupt: () => {} });
    let next = IOVA;
    const mapping: DmaMapping = {
      map(gpa, bytes) {
        const iova = next;
        next += bytes + 0x1000;
        domain.map(iova, gpa, bytes, ACCESS.READ | ACCESS.WRITE);
        return iova;
      },
      unmap: (iova, bytes) => domain.unmap(iova, bytes),
    };
    const transport = openMmioTransport(mmio);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const heard: Uint8Array[] = [];
    const ring = [VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX, ...(isPacked ? [VIRTIO_F.RING_PACKED] : [])];
    const pages = new PageAllocator(0, RAM_BYTES);
    const driver = openNetDriver({
      transport,
      dma: guestDma(physical, pages, mapping),
      features: featureWords([
        VIRTIO_F.VERSION_1,
        VIRTIO_F.ACCESS_PLATFORM,
        VIRTIO_NET_F.MAC,
        VIRTIO_NET_F.MRG_RXBUF,
        ...ring,
      ]),
      mergeableBytes: 512,
      queueSize: 64,
      now: () => 0,
      events: { frame: (frame) => heard.push(frame.bytes()) },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    expect(hasFeature(driver.features, VIRTIO_F.ACCESS_PLATFORM)).toBe(true);
    const settle = (): void => {
      while (mmio.device.step(64) > 0) {
        driver.interrupt();
        while (driver.needsPoll) driver.poll();
      }
    };
    const frames = Array.from({ length: 200 }, (_, i) => {
      const frame = frameOf(60 + ((i * 31) % 1450), i);
      frame.set(STATION);
      return frame;
    });
    // A few at a time: the device drops a frame for which some of the buffers are missing.
    for (const [i, frame] of frames.entries()) {
      expect(driver.sendBytes(frame)).toBe(SENT.OK);
      if (i % 8 === 7) settle();
    }
    expect(heard).toEqual(frames);
    driver.close();
    expect([domain.mappedBytes, pages.inUse]).toEqual([0, 0]);
  },
);
