/**
 * What is said to and by Linux's VDUSE, as its include/uapi/linux/vduse.h lays it out (API version 0): byte offsets; fields
 * are little-endian, as the machines are that run it here.
 */

/** struct vduse_dev_config: what CREATE_DEV is told, with the configuration's bytes behind it. */
export const DEV_CONFIG = {
  name: 0,
  vendor_id: 256,
  device_id: 260,
  features: 264,
  vq_num: 272,
  vq_align: 276,
  reserved: 280,
  config_size: 332,
  SIZE: 336,
} as const;
/** Bytes of a name, with a zero at its end: all that DESTROY_DEV is told. */
export const NAME_BYTES = 256;

/** struct vduse_iotlb_entry: asks with `start` and `last`, and is answered with a whole region. */
export const IOTLB_ENTRY = { offset: 0, start: 8, last: 16, perm: 24, SIZE: 32 } as const;

/** struct vduse_config_data, with the bytes behind it. */
export const CONFIG_DATA = { offset: 0, length: 4, SIZE: 8 } as const;

/** struct vduse_vq_config. */
export const VQ_CONFIG = { index: 0, max_size: 4, reserved: 6, SIZE: 32 } as const;

/** struct vduse_vq_info. `state` is one of the unions below. */
export const VQ_INFO = {
  index: 0,
  num: 4,
  desc_addr: 8,
  driver_addr: 16,
  device_addr: 24,
  state: 32,
  ready: 40,
  SIZE: 48,
} as const;

/** struct vduse_vq_state_split, and struct vduse_vq_state_packed: 16-bit words in the same place. */
export const VQ_STATE_SPLIT = { avail_index: 0 } as const;
export const VQ_STATE_PACKED = {
  last_avail_counter: 0,
  last_avail_idx: 2,
  last_used_counter: 4,
  last_used_idx: 6,
  SIZE: 8,
} as const;

/** struct vduse_vq_eventfd; -1 takes the event away. */
export const VQ_EVENTFD = { index: 0, fd: 4, SIZE: 8 } as const;

/** struct vduse_dev_request, which is read. The fields from 24 on are a union, by type. */
export const REQUEST = {
  type: 0,
  request_id: 4,
  reserved: 8,
  vq_index: 24,
  status: 24,
  iova_start: 24,
  iova_last: 32,
  SIZE: 152,
} as const;

/** struct vduse_dev_response, which is written. */
export const RESPONSE = { request_id: 0, result: 4, reserved: 8, vq_index: 24, vq_state: 28, SIZE: 152 } as const;

export const REQUEST_TYPE = { GET_VQ_STATE: 0, SET_STATUS: 1, UPDATE_IOTLB: 2 } as const;
export const RESULT = { OK: 0, FAILED: 1 } as const;

/** Of asm-generic/ioctl.h: who reads and who writes what a request is about, its bytes, whose it is, its number. */
const NONE = 0;
const WRITE = 1;
const READ = 2;
const VDUSE_BASE = 0x81;
const request = (direction: number, number: number, bytes: number): number =>
  direction * 0x4000_0000 + bytes * 0x1_0000 + VDUSE_BASE * 0x100 + number;

/** Of /dev/vduse/control. */
export const CONTROL_IOCTL: Readonly<Record<'SET_API_VERSION' | 'CREATE_DEV' | 'DESTROY_DEV', number>> = {
  SET_API_VERSION: request(WRITE, 1, 8),
  CREATE_DEV: request(WRITE, 2, DEV_CONFIG.SIZE),
  DESTROY_DEV: request(WRITE, 3, NAME_BYTES),
};

type DeviceIoctl =
  | 'IOTLB_GET_FD'
  | 'DEV_GET_FEATURES'
  | 'DEV_SET_CONFIG'
  | 'DEV_INJECT_CONFIG_IRQ'
  | 'VQ_SETUP'
  | 'VQ_GET_INFO'
  | 'VQ_SETUP_KICKFD'
  | 'VQ_INJECT_IRQ';

/** Of /dev/vduse/NAME. */
export const DEVICE_IOCTL: Readonly<Record<DeviceIoctl, number>> = {
  IOTLB_GET_FD: request(READ | WRITE, 0x10, IOTLB_ENTRY.SIZE),
  DEV_GET_FEATURES: request(READ, 0x11, 8),
  DEV_SET_CONFIG: request(WRITE, 0x12, CONFIG_DATA.SIZE),
  DEV_INJECT_CONFIG_IRQ: request(NONE, 0x13, 0),
  VQ_SETUP: request(WRITE, 0x14, VQ_CONFIG.SIZE),
  VQ_GET_INFO: request(READ | WRITE, 0x15, VQ_INFO.SIZE),
  VQ_SETUP_KICKFD: request(WRITE, 0x16, VQ_EVENTFD.SIZE),
  VQ_INJECT_IRQ: request(WRITE, 0x17, 4),
};
