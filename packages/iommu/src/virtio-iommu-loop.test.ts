import { GuardedGuest } from '@ringwire/guest-memory/testing';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { isRefusal, openDeviceQueue, openDriverQueue } from '@ringwire/virtqueue';
import { expect, test } from 'vitest';
import { LAYOUTS, READ, WRITE } from './testing/virtio-iommu-bench.js';
import { NO_PASID, newTranslation, TRANSLATED } from './translation.js';
import { VirtioIommu } from './virtio-iommu-device.js';
import { openVirtioIommuDriver } from './virtio-iommu-driver.js';
import { acceptIommuFeatures } from './virtio-iommu-driver-config.js';

test.each(LAYOUTS)('driver and device over a %s ring: probe, attach, map, fault, unmap, detach', (layout) => {
  const guest = new GuardedGuest([{ gpa: 0x1_0000, size: 0x1_0000 }]);
  const { space, memory } = guest;
  const device = new VirtioIommu({ domainRange: { start: 1, end: 4 } });
  device.addEndpoint(8, [{ kind: 'msi', start: 0xfee0_0000, end: 0xfeef_ffff }]);
  const ring = featureWords(layout === 'packed' ? [VIRTIO_F.RING_PACKED] : []);
  const place = (at: number) => {
    return { space, size: 16, desc: at, driver: at + 0x1000, device: at + 0x2000, features: ring };
  };
  const features = acceptIommuFeatures(device.features);
  const driver = openVirtioIommuDriver({
    features,
    config: {
      read: (offset, into) => device.readConfig(offset, into),
      write: (offset, bytes) => device.writeConfig(offset, bytes),
    },
    request: openDriverQueue(place(0x1_0000)),
    event: openDriverQueue(place(0x1_4000)),
    requestArea: { space, address: 0x1_8000, bytes: 0x2000 },
    eventArea: { space, address: 0x1_c000, bytes: 0x100 },
  });
  if (typeof driver === 'string') throw new Error(driver);
  const request = openDeviceQueue(place(0x1_0000));
  const event = openDeviceQueue(place(0x1_4000));
  if (isRefusal(request) || isRefusal(event)) throw new Error('a queue is refused');
  const notified: number[] = [];
  device.start(features, { memory, request, event, notify: (queue) => void notified.push(queue) });

  const run = (ticket: number): number => {
    let found = -2;
    driver.publish((queue) => void (queue.outstanding > 0 && device.serveRequests(16)));
    driver.poll((one, status) => {
      if (one === ticket) found = status;
    });
    return found;
  };
  const out = newTranslation();
  const dma = (address: number, access: number): number => device.translate(8, NO_PASID, address, access, out);

  expect(run(driver.probe(8))).toBe(0);
  expect(run(driver.attach(8, 1))).toBe(0);
  expect(run(driver.map(1, 0x1000, 0x2fff, 0x1_8000, { read: true }))).toBe(0);
  expect(() => driver.map(1, 0xfee0_0000, 0xfee0_0fff, 0, { write: true })).toThrow('reserved');
  expect([dma(0x2345, READ), out.physical]).toEqual([TRANSLATED.OK, 0x1_9345]);
  expect(dma(0x2345, WRITE)).toBe(TRANSLATED.FAULT);
  const faults: unknown[] = [];
  driver.pollFaults((fault) => faults.push(fault));
  expect(faults).toEqual([{ reason: 2, endpoint: 8, read: false, write: true, address: 0x2345 }]);
  expect(run(driver.unmap(1, 0x1000, 0x2fff))).toBe(0);
  expect(dma(0x2345, READ)).toBe(TRANSLATED.FAULT);
  expect(run(driver.detach(8))).toBe(0);
  driver.bypass = true;
  expect(driver.bypass).toBe(true);
  expect([dma(0x2345, READ), out.physical]).toEqual([TRANSLATED.PASS_THROUGH, 0x2345]);
  expect(notified).toEqual([0, 0, 0, 1, 0, 1, 0]);
});
