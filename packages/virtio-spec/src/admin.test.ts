import { expect, test } from 'vitest';
import * as admin from './admin.js';

const list = (table: Readonly<Record<string, number>>): string =>
  Object.entries(table)
    .map(([name, value]) => `${name} ${value.toString(16)}`)
    .join(', ');

test('virtio 1.4 §2.12.1: struct virtio_admin_cmd, by hand', () => {
  // le16, le16, u8[12], le64
  expect(Object.values(admin.VIRTIO_ADMIN_CMD)).toEqual([0, 2, 4, 4 + 12, 16 + 8]);
  // le16, le16, u8[4]
  expect(Object.values(admin.VIRTIO_ADMIN_RESULT)).toEqual([0, 2, 4, 4 + 4]);
  expect(admin.VIRTIO_ADMIN_GROUP_TYPE).toEqual({ SELF: 0, SRIOV: 1 });
});

test('virtio 1.4 §2.12.1: opcodes as the commands’ own sections number them', () => {
  expect(list(admin.VIRTIO_ADMIN_OPCODE)).toBe(
    'LIST_QUERY 0, LIST_USE 1, LEGACY_COMMON_CFG_WRITE 2, LEGACY_COMMON_CFG_READ 3, LEGACY_DEV_CFG_WRITE 4, ' +
      'LEGACY_DEV_CFG_READ 5, LEGACY_NOTIFY_INFO 6, CAP_ID_LIST_QUERY 7, DEVICE_CAP_GET 8, DRIVER_CAP_SET 9, ' +
      'RESOURCE_OBJ_CREATE a, RESOURCE_OBJ_MODIFY b, RESOURCE_OBJ_QUERY c, RESOURCE_OBJ_DESTROY d, ' +
      'DEV_PARTS_METADATA_GET e, DEV_PARTS_GET f, DEV_PARTS_SET 10, DEV_MODE_SET 11',
  );
});

test('virtio 1.4 §2.12.1: status is a Linux error number, the qualifier counts on', () => {
  expect(admin.VIRTIO_ADMIN_STATUS).toEqual({
    OK: 0,
    ENXIO: 6,
    EAGAIN: 11,
    ENOMEM: 12,
    EBUSY: 16,
    EEXIST: 17,
    EINVAL: 22,
    ENOSPC: 28,
  });
  expect(list(admin.VIRTIO_ADMIN_STATUS_Q)).toBe(
    'OK 0, INVALID_COMMAND 1, INVALID_OPCODE 2, INVALID_FIELD 3, INVALID_GROUP 4, INVALID_MEMBER 5, ' +
      'NORESOURCE 6, TRYAGAIN 7',
  );
});

test('virtio 1.4 §2.12.1.1 to .3: data of legacy, capability and object commands, by hand', () => {
  // u8, u8[7], data
  expect(Object.values(admin.VIRTIO_ADMIN_LEGACY)).toEqual([0, 1, 1 + 7]);
  // u8, u8, u8[6], le64
  expect(Object.values(admin.VIRTIO_PCI_LEGACY_NOTIFY_INFO)).toEqual([0, 1, 1 + 1 + 6, 16, 4]);
  expect(admin.VIRTIO_PCI_LEGACY_NOTIFY).toEqual({ END: 0, OWNER: 1, MEMBER: 2 });
  // le16, u8[6], data
  expect(Object.values(admin.VIRTIO_ADMIN_CAP)).toEqual([0, 2, 2 + 6]);
  expect(Object.values(admin.VIRTIO_DEV_PARTS_CAP)).toEqual([0, 1, 2]);
  expect(admin.VIRTIO_CAP_RANGES).toEqual({ DEVICE_TYPE: 0x800, END: 0x1000 });
  expect(admin.VIRTIO_CAP).toEqual({ DEV_PARTS: 0 });
  // le16, u8[2], le32; then le64 flags, data
  expect(Object.values(admin.VIRTIO_RESOURCE_OBJ_HDR)).toEqual([0, 2, 2 + 2, 4 + 4]);
  expect(Object.values(admin.VIRTIO_RESOURCE_OBJ)).toEqual([0, 8, 8 + 8]);
  expect(admin.VIRTIO_RESOURCE_OBJ_TYPE).toEqual({ DEV_PARTS: 0 });
  // u8, u8[7]
  expect(Object.values(admin.VIRTIO_RESOURCE_OBJ_DEV_PARTS)).toEqual([0, 1, 8]);
  expect(admin.VIRTIO_DEV_PARTS_OBJ).toEqual({ GET: 0, SET: 1 });
});

test('virtio 1.4 §2.14, §2.12.1.4: device parts and their commands, by hand', () => {
  // le16, u8, u8, u8[8], le32
  expect(Object.values(admin.VIRTIO_DEV_PART_HDR)).toEqual([0, 2, 3, 4, 4 + 8, 12 + 4]);
  expect(admin.VIRTIO_DEV_PART_SELECTOR_BYTES).toBe(8);
  expect(admin.VIRTIO_DEV_PART_F).toEqual({ OPTIONAL: 1 << 0 });
  expect(list(admin.VIRTIO_DEV_PART)).toBe(
    'DEV_FEATURES 100, DRV_FEATURES 101, PCI_COMMON_CFG 102, DEVICE_STATUS 103, VQ_CFG 104, VQ_NOTIFY_CFG 105',
  );
  expect(admin.VIRTIO_DEV_PART_DEVICE_TYPE).toEqual({ FIRST: 0x200, LAST: 0x5ff });
  // 4 × le16, 3 × le64
  expect(Object.values(admin.VIRTIO_DEV_PART_VQ_CFG)).toEqual([0, 2, 4, 6, 8, 16, 24, 32]);
  // le16, le16, u8[4]
  expect(Object.values(admin.VIRTIO_DEV_PART_VQ_NOTIFY)).toEqual([0, 2, 4, 8]);
  expect(admin.VIRTIO_NET_DEV_PART_CVQ_CFG).toBe(0x200);
  expect(admin.VIRTIO_NET_DEV_PART_CVQ_SELECTOR).toEqual({ class: 0, command: 1 });
  expect(Object.values(admin.VIRTIO_DEV_PARTS_METADATA)).toEqual([0, 8, 16]);
  expect(admin.VIRTIO_DEV_PARTS_METADATA_TYPE).toEqual({ SIZE: 0, COUNT: 1, LIST: 2 });
  expect(Object.values(admin.VIRTIO_DEV_PARTS_METADATA_RESULT)).toEqual([0, 4, 8]);
  expect(Object.values(admin.VIRTIO_DEV_PARTS_GET)).toEqual([0, 8, 16]);
  expect(admin.VIRTIO_DEV_PARTS_GET_TYPE).toEqual({ SELECTED: 0, ALL: 1 });
  expect(Object.values(admin.VIRTIO_DEV_PARTS_SET)).toEqual([0, 8]);
  expect(admin.VIRTIO_ADMIN_DEV_MODE).toEqual({ STOPPED: 1 << 0 });
});

test('virtio 1.4 §5.1.9.6: flow filters of a network device, by hand', () => {
  expect(list(admin.VIRTIO_NET_CAP)).toBe('FF_RESOURCE 800, FF_SELECTOR 801, FF_ACTION 802');
  expect(list(admin.VIRTIO_NET_RESOURCE_OBJ)).toBe('FF_GROUP 200, FF_CLASSIFIER 201, FF_RULE 202');
  // 4 × le32, u8, u8, u8[2]
  expect(Object.values(admin.VIRTIO_NET_FF_CAP)).toEqual([0, 4, 8, 12, 16, 17, 18, 20]);
  // u8, u8, u8[2], u8, u8[3], mask
  expect(Object.values(admin.VIRTIO_NET_FF_SELECTOR)).toEqual([0, 1, 2, 4, 5, 8]);
  expect(admin.VIRTIO_NET_FF_MASK_F).toEqual({ PARTIAL_MASK: 1 << 0 });
  expect(list(admin.VIRTIO_NET_FF_MASK_TYPE)).toBe('ETH 1, IPV4 2, IPV6 3, TCP 4, UDP 5, ESP 6');
  expect(admin.VIRTIO_NET_FF_MASK_BYTES).toEqual({ 1: 14, 2: 20, 3: 40, 4: 20, 5: 8, 6: 8 });
  // A header's fields fill it.
  for (const [type, fields] of Object.entries(admin.VIRTIO_NET_FF_MASK_FIELDS))
    expect(fields.reduce((sum, bits) => sum + bits)).toBe(8 * admin.VIRTIO_NET_FF_MASK_BYTES[Number(type)]!);
  expect(Object.values(admin.VIRTIO_NET_FF_LIST)).toEqual([0, 1, 8]);
  expect(list(admin.VIRTIO_NET_FF_ACTION)).toBe('DROP 1, DIRECT_RX_VQ 2, IPSEC 3, IPSEC_RECIRCULATE 4');
  expect(Object.values(admin.VIRTIO_NET_FF_GROUP)).toEqual([0, 2]);
  // le32, le32, u8 × 4, le16, u8[2], keys
  expect(Object.values(admin.VIRTIO_NET_FF_RULE)).toEqual([0, 4, 8, 9, 10, 11, 12, 14, 16]);
});
