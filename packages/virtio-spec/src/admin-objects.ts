/** virtio 1.4 §2.12.1.2, data of DEVICE_CAP_GET and DRIVER_CAP_SET: the latter goes on with `cap_specific_data`. */
export const VIRTIO_ADMIN_CAP = { id: 0, reserved: 2, cap_specific_data: 8 } as const;

/** virtio 1.4 §2.12.1.2 Capability ids: those below DEVICE_TYPE are common to all types, END is reserved. */
export const VIRTIO_CAP_RANGES = { DEVICE_TYPE: 0x800, END: 0x1000 } as const;

/** virtio 1.4 §2.12.1.2 Common capability ids. */
export const VIRTIO_CAP = { DEV_PARTS: 0 } as const;

/** virtio 1.4 §2.12.1.4.1, struct virtio_dev_parts_cap. */
export const VIRTIO_DEV_PARTS_CAP = {
  get_parts_resource_objects_limit: 0,
  set_parts_resource_objects_limit: 1,
  SIZE: 2,
} as const;

/** virtio 1.4 §2.12.1.3, struct virtio_admin_cmd_resource_obj_cmd_hdr. */
export const VIRTIO_RESOURCE_OBJ_HDR = { type: 0, reserved: 2, id: 4, SIZE: 8 } as const;

/** virtio 1.4 §2.12.1.3.1, data of CREATE and MODIFY: `flags` is 64 bits; QUERY ends behind them. */
export const VIRTIO_RESOURCE_OBJ = { hdr: 0, flags: 8, specific_data: 16 } as const;

/** virtio 1.4 §2.12.1.3: types of resource objects that all device types have. */
export const VIRTIO_RESOURCE_OBJ_TYPE = { DEV_PARTS: 0 } as const;

/** virtio 1.4 §2.12.1.4.2, struct virtio_resource_obj_dev_parts. */
export const VIRTIO_RESOURCE_OBJ_DEV_PARTS = { type: 0, reserved: 1, SIZE: 8 } as const;

/** virtio 1.4 §2.12.1.4.2: what a device parts object is for. */
export const VIRTIO_DEV_PARTS_OBJ = { GET: 0, SET: 1 } as const;
