import { certify } from '@ringwire/certify';
import { expect, test } from 'vitest';
import * as driver from './driver.js';

test('a driver of one’s own passes with split rings, and is told what it has not', async () => {
  const { cells, passed } = await certify(driver, { backends: ['pci', 'mmio', 'vdpa-82599'], iommu: [true] });
  expect(passed).toBe(true);
  for (const { rings, iommu, backend, outcome, because, scenarios } of cells) {
    const wanted = rings === 'split' ? ['passed', null] : ['skipped', 'driver and device do not agree on RING_PACKED'];
    expect([outcome, because], `${backend} ${iommu}`).toEqual(wanted);
    const found = scenarios.flatMap(({ findings }) => findings.map(({ fails, message }) => `${fails} ${message}`));
    const advice = backend === 'pci' ? ['false VIRTIO_F_NOTIF_CONFIG_DATA is offered and not accepted'] : [];
    expect([...new Set(found)]).toEqual(rings === 'split' ? advice : []);
  }
});
