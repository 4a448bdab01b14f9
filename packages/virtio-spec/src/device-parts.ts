/** virtio 1.4 §2.14, struct virtio_dev_part_hdr; `value`, of `length` bytes, follows. */
export const VIRTIO_DEV_PART_HDR = { part_type: 0, flags: 2, reserved: 3, selector: 4, length: 12, SIZE: 16 } as const;

/** Bytes of `selector`. */
export const VIRTIO_DEV_PART_SELECTOR_BYTES = 8;

/** virtio 1.4 §2.14: bits of `flags`. The specification gives the number of the bit, 0. */
export const VIRTIO_DEV_PART_F = { OPTIONAL: 1 } as const;

/** virtio 1.4 §2.14.1 Common device parts: `part_type`. */
export const VIRTIO_DEV_PART = {
  DEV_FEATURES: 0x100,
  DRV_FEATURES: 0x101,
  PCI_COMMON_CFG: 0x102,
  DEVICE_STATUS: 0x103,
  VQ_CFG: 0x104,
  VQ_NOTIFY_CFG: 0x105,
} as const;

/** virtio 1.4 §2.14: part types of a device type are from FIRST to LAST. */
export const VIRTIO_DEV_PART_DEVICE_TYPE = { FIRST: 0x200, LAST: 0x5ff } as const;

/** virtio 1.4 §2.14.1.5, struct virtio_dev_part_vq_cfg; addresses are 64 bits. `selector` begins with le16 index. */
export const VIRTIO_DEV_PART_VQ_CFG = {
  queue_size: 0,
  vector: 2,
  enabled: 4,
  reserved: 6,
  queue_desc: 8,
  queue_driver: 16,
  queue_device: 24,
  SIZE: 32,
} as const;

/** virtio 1.4 §2.14.1.6, struct virtio_dev_part_vq_notify_data. `selector` begins with le16 index. */
export const VIRTIO_DEV_PART_VQ_NOTIFY = {
  queue_notify_off: 0,
  queue_notif_config_data: 2,
  reserved: 4,
  SIZE: 8,
} as const;

/** virtio 1.4 §5.1.8.1: the network device's own part, and its selector. */
export const VIRTIO_NET_DEV_PART_CVQ_CFG = 0x200;
/** virtio 1.4 §5.1.8.1: which command a part is for. */
export const VIRTIO_NET_DEV_PART_CVQ_SELECTOR = { class: 0, command: 1 } as const;

/** virtio 1.4 §2.12.1.4.3.1, data of DEV_PARTS_METADATA_GET behind the object's header. */
export const VIRTIO_DEV_PARTS_METADATA = { hdr: 0, type: 8, SIZE: 16 } as const;

/** virtio 1.4 §2.12.1.4.3.1: what of the metadata is asked for. */
export const VIRTIO_DEV_PARTS_METADATA_TYPE = { SIZE: 0, COUNT: 1, LIST: 2 } as const;

/** virtio 1.4 §2.12.1.4.3.1, result: one le32, size or count; a list of headers follows. */
export const VIRTIO_DEV_PARTS_METADATA_RESULT = { value: 0, reserved: 4, hdrs: 8 } as const;

/** virtio 1.4 §2.12.1.4.3.2, data of DEV_PARTS_GET: for SELECTED a list of headers follows. */
export const VIRTIO_DEV_PARTS_GET = { hdr: 0, type: 8, hdr_list: 16 } as const;
/** virtio 1.4 §2.12.1.4.3.2: which parts are asked for. */
export const VIRTIO_DEV_PARTS_GET_TYPE = { SELECTED: 0, ALL: 1 } as const;

/** virtio 1.4 §2.12.1.4.3.3, data of DEV_PARTS_SET. */
export const VIRTIO_DEV_PARTS_SET = { hdr: 0, parts: 8 } as const;
