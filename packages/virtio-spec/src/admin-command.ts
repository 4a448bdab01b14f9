/**
 * virtio 1.4 §2.12.1, struct virtio_admin_cmd, device-readable part: byte offsets. `command_specific_data` follows.
 * The specification writes the data as le64[]; what they are is each command's.
 */
export const VIRTIO_ADMIN_CMD = {
  opcode: 0,
  group_type: 2,
  reserved1: 4,
  group_member_id: 16,
  command_specific_data: 24,
} as const;

/** virtio 1.4 §2.12.1, struct virtio_admin_cmd, device-writable part: byte offsets. `command_specific_result` follows. */
export const VIRTIO_ADMIN_RESULT = {
  status: 0,
  status_qualifier: 2,
  reserved2: 4,
  command_specific_result: 8,
} as const;

/** virtio 1.4 §2.12 Device groups: `group_type`. */
export const VIRTIO_ADMIN_GROUP_TYPE = { SELF: 0, SRIOV: 1 } as const;

/**
 * virtio 1.4 §2.12.1: `opcode`. The table there has MODIFY at 0xc and QUERY at 0xb, the sections of both commands
 * (§2.12.1.3.2, §2.12.1.3.3) the other way round; the sections decide, which say what else the commands are.
 */
export const VIRTIO_ADMIN_OPCODE = {
  LIST_QUERY: 0x00,
  LIST_USE: 0x01,
  LEGACY_COMMON_CFG_WRITE: 0x02,
  LEGACY_COMMON_CFG_READ: 0x03,
  LEGACY_DEV_CFG_WRITE: 0x04,
  LEGACY_DEV_CFG_READ: 0x05,
  LEGACY_NOTIFY_INFO: 0x06,
  CAP_ID_LIST_QUERY: 0x07,
  DEVICE_CAP_GET: 0x08,
  DRIVER_CAP_SET: 0x09,
  RESOURCE_OBJ_CREATE: 0x0a,
  RESOURCE_OBJ_MODIFY: 0x0b,
  RESOURCE_OBJ_QUERY: 0x0c,
  RESOURCE_OBJ_DESTROY: 0x0d,
  DEV_PARTS_METADATA_GET: 0x0e,
  DEV_PARTS_GET: 0x0f,
  DEV_PARTS_SET: 0x10,
  DEV_MODE_SET: 0x11,
} as const;

/** virtio 1.4 §2.12.1: `status`, numbered as Linux errors are. EEXIST is used in §2.12.1.3.5 and missing in the table. */
export const VIRTIO_ADMIN_STATUS = {
  OK: 0,
  ENXIO: 6,
  EAGAIN: 11,
  ENOMEM: 12,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
} as const;

/** virtio 1.4 §2.12.1: `status_qualifier`. */
export const VIRTIO_ADMIN_STATUS_Q = {
  OK: 0,
  INVALID_COMMAND: 1,
  INVALID_OPCODE: 2,
  INVALID_FIELD: 3,
  INVALID_GROUP: 4,
  INVALID_MEMBER: 5,
  NORESOURCE: 6,
  TRYAGAIN: 7,
} as const;

/** virtio 1.4 §2.12.1.1, the legacy commands: data of reads ends behind `offset`, that of writes has `data`. */
export const VIRTIO_ADMIN_LEGACY = { offset: 0, reserved: 1, data: 8 } as const;

/** virtio 1.4 §2.12.1.1.5, struct virtio_pci_legacy_notify_info; a result has four. `offset` is 64 bits. */
export const VIRTIO_PCI_LEGACY_NOTIFY_INFO = { flags: 0, bar: 1, offset: 8, SIZE: 16, ENTRIES: 4 } as const;

/** virtio 1.4 §2.12.1.1.5: `flags`. */
export const VIRTIO_PCI_LEGACY_NOTIFY = { END: 0, OWNER: 1, MEMBER: 2 } as const;

/** virtio 1.4 §2.12.1.4.3.4, struct virtio_admin_cmd_dev_mode_set_data: bits of its one byte, `flags`. */
export const VIRTIO_ADMIN_DEV_MODE = { STOPPED: 1 } as const;
