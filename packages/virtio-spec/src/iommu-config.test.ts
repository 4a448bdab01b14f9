import { expect, test } from 'vitest';
import {
  VIRTIO_IOMMU_ATTACH_F,
  VIRTIO_IOMMU_CONFIG,
  VIRTIO_IOMMU_CONFIG_SIZE,
  VIRTIO_IOMMU_F,
  VIRTIO_IOMMU_FAULT,
  VIRTIO_IOMMU_FAULT_F,
  VIRTIO_IOMMU_FAULT_R,
  VIRTIO_IOMMU_MAP_F,
  VIRTIO_IOMMU_PROBE_PROPERTY,
  VIRTIO_IOMMU_PROBE_RESV_MEM,
  VIRTIO_IOMMU_PROBE_T,
  VIRTIO_IOMMU_PROBE_T_MASK,
  VIRTIO_IOMMU_REQ_ATTACH,
  VIRTIO_IOMMU_REQ_DETACH,
  VIRTIO_IOMMU_REQ_HEAD,
  VIRTIO_IOMMU_REQ_MAP,
  VIRTIO_IOMMU_REQ_PROBE,
  VIRTIO_IOMMU_REQ_TAIL,
  VIRTIO_IOMMU_REQ_UNMAP,
  VIRTIO_IOMMU_RESV_MEM_T,
  VIRTIO_IOMMU_S,
  VIRTIO_IOMMU_T,
  VIRTIO_IOMMU_VQ,
} from './iommu-config.js';
import { walkLayout, withWidths } from './testing/walk-layout.js';

test('virtio 1.4 §5.13.2, §5.13.3: queues and feature bits', () => {
  expect(VIRTIO_IOMMU_VQ).toEqual({ request: 0, event: 1 });
  expect(Object.entries(VIRTIO_IOMMU_F).map(([name, bit]) => `${bit} ${name}`)).toEqual([
    '0 INPUT_RANGE',
    '1 DOMAIN_RANGE',
    '2 MAP_UNMAP',
    '3 BYPASS',
    '4 PROBE',
    '5 MMIO',
    '6 BYPASS_CONFIG',
  ]);
});

test('virtio 1.4 §5.13.4: the configuration has neither gap nor overlap and ends at 40 bytes', () => {
  expect(walkLayout(VIRTIO_IOMMU_CONFIG, 40)).toEqual([]);
  expect(VIRTIO_IOMMU_CONFIG_SIZE).toBe(40);
});

test('virtio 1.4 §5.13.4: the struct’s widths, written by hand; bypass alone is the driver’s to write', () => {
  expect(Object.entries(VIRTIO_IOMMU_CONFIG).map(([name, { bytes, access }]) => `${name} ${bytes} ${access}`)).toEqual([
    'page_size_mask 8 ro',
    'input_range_start 8 ro',
    'input_range_end 8 ro',
    'domain_range_start 4 ro',
    'domain_range_end 4 ro',
    'probe_size 4 ro',
    'bypass 1 rw',
    'reserved 3 ro',
  ]);
});

test('virtio 1.4 §5.13.6: head and tail have 4 bytes', () => {
  expect(walkLayout(withWidths(VIRTIO_IOMMU_REQ_HEAD, { type: 1, reserved: 3 }), 4)).toEqual([]);
  expect(walkLayout(withWidths(VIRTIO_IOMMU_REQ_TAIL, { status: 1, reserved: 3 }), 4)).toEqual([]);
  expect([VIRTIO_IOMMU_REQ_HEAD.SIZE, VIRTIO_IOMMU_REQ_TAIL.SIZE]).toEqual([4, 4]);
});

test.each([
  ['ATTACH', VIRTIO_IOMMU_REQ_ATTACH, { domain: 4, endpoint: 4, flags: 4, reserved: 4 }, 20],
  ['DETACH', VIRTIO_IOMMU_REQ_DETACH, { domain: 4, endpoint: 4, reserved: 8 }, 20],
  ['MAP', VIRTIO_IOMMU_REQ_MAP, { domain: 4, virt_start: 8, virt_end: 8, phys_start: 8, flags: 4 }, 36],
  ['UNMAP', VIRTIO_IOMMU_REQ_UNMAP, { domain: 4, virt_start: 8, virt_end: 8, reserved: 4 }, 28],
  ['PROBE', VIRTIO_IOMMU_REQ_PROBE, { endpoint: 4, reserved: 64 }, 72],
])('virtio 1.4 §5.13.6: a %s request goes on behind the head without a gap', (_, offsets, widths, size) => {
  const head = { head: { at: 0, bytes: 4 } };
  expect(walkLayout({ ...head, ...withWidths(offsets, widths as Record<string, number>) }, size)).toEqual([]);
  expect(offsets.SIZE).toBe(size);
});

test('virtio 1.4 §5.13.6.7, §5.13.6.8.1: a property’s header, and RESV_MEM behind it', () => {
  expect(walkLayout(withWidths(VIRTIO_IOMMU_PROBE_PROPERTY, { type: 2, length: 2 }), 4)).toEqual([]);
  const rest = withWidths(VIRTIO_IOMMU_PROBE_RESV_MEM, { subtype: 1, reserved: 3, start: 8, end: 8 });
  expect(walkLayout({ head: { at: 0, bytes: 4 }, ...rest }, 24)).toEqual([]);
  expect([VIRTIO_IOMMU_PROBE_PROPERTY.SIZE, VIRTIO_IOMMU_PROBE_RESV_MEM.SIZE]).toEqual([4, 24]);
  expect(VIRTIO_IOMMU_PROBE_T_MASK).toBe(2 ** 12 - 1);
});

test('virtio 1.4 §5.13.6.9: a fault report takes 24 bytes', () => {
  const widths = { reason: 1, reserved: 3, flags: 4, endpoint: 4, reserved1: 4, address: 8 };
  expect(walkLayout(withWidths(VIRTIO_IOMMU_FAULT, widths), 24)).toEqual([]);
  expect(VIRTIO_IOMMU_FAULT.SIZE).toBe(24);
});

test('virtio 1.4 §5.13.6: values of types, states, flags and reasons', () => {
  expect(VIRTIO_IOMMU_T).toEqual({ ATTACH: 1, DETACH: 2, MAP: 3, UNMAP: 4, PROBE: 5 });
  expect(Object.keys(VIRTIO_IOMMU_S)).toEqual([
    'OK',
    'IOERR',
    'UNSUPP',
    'DEVERR',
    'INVAL',
    'RANGE',
    'NOENT',
    'FAULT',
    'NOMEM',
  ]);
  expect(Object.values(VIRTIO_IOMMU_S)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(VIRTIO_IOMMU_ATTACH_F).toEqual({ BYPASS: 1 });
  expect(VIRTIO_IOMMU_MAP_F).toEqual({ READ: 1, WRITE: 2, MMIO: 4 });
  expect(VIRTIO_IOMMU_PROBE_T).toEqual({ NONE: 0, RESV_MEM: 1 });
  expect(VIRTIO_IOMMU_RESV_MEM_T).toEqual({ RESERVED: 0, MSI: 1 });
  expect(VIRTIO_IOMMU_FAULT_F).toEqual({ READ: 1, WRITE: 2, ADDRESS: 256 });
  expect(VIRTIO_IOMMU_FAULT_R).toEqual({ UNKNOWN: 0, DOMAIN: 1, MAPPING: 2 });
});

test('a MAP request by hand: domain 1, 0x1000 to 0x1fff at 0xa000, for reading', () => {
  const bytes = Uint8Array.from(
    '03000000 01000000 0010000000000000 ff1f000000000000 00a0000000000000 01000000'.replaceAll(' ', '').match(/../g)!,
    (pair) => Number.parseInt(pair, 16),
  );
  const view = new DataView(bytes.buffer);
  expect(bytes[VIRTIO_IOMMU_REQ_HEAD.type]).toBe(VIRTIO_IOMMU_T.MAP);
  expect(view.getUint32(VIRTIO_IOMMU_REQ_MAP.domain, true)).toBe(1);
  expect(view.getBigUint64(VIRTIO_IOMMU_REQ_MAP.virt_start, true)).toBe(0x1000n);
  expect(view.getBigUint64(VIRTIO_IOMMU_REQ_MAP.virt_end, true)).toBe(0x1fffn);
  expect(view.getBigUint64(VIRTIO_IOMMU_REQ_MAP.phys_start, true)).toBe(0xa000n);
  expect(view.getUint32(VIRTIO_IOMMU_REQ_MAP.flags, true)).toBe(VIRTIO_IOMMU_MAP_F.READ);
  expect(bytes.length).toBe(VIRTIO_IOMMU_REQ_MAP.SIZE);
});
