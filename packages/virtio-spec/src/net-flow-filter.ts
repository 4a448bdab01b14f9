/** virtio 1.4 §5.1.6: capabilities of a network device. */
export const VIRTIO_NET_CAP = { FF_RESOURCE: 0x800, FF_SELECTOR: 0x801, FF_ACTION: 0x802 } as const;

/** virtio 1.4 §5.1.7: types of resource objects of a network device. */
export const VIRTIO_NET_RESOURCE_OBJ = { FF_GROUP: 0x200, FF_CLASSIFIER: 0x201, FF_RULE: 0x202 } as const;

/** virtio 1.4 §5.1.9.6.2.1, struct virtio_net_ff_cap_data. */
export const VIRTIO_NET_FF_CAP = {
  groups_limit: 0,
  classifiers_limit: 4,
  rules_limit: 8,
  rules_per_group_limit: 12,
  last_rule_priority: 16,
  selectors_per_classifier_limit: 17,
  reserved: 18,
  SIZE: 20,
} as const;

/** virtio 1.4 §5.1.9.6.2.2, struct virtio_net_ff_selector; `mask`, of `length` bytes, follows. */
export const VIRTIO_NET_FF_SELECTOR = { type: 0, flags: 1, reserved: 2, length: 4, reserved1: 5, mask: 8 } as const;

/** virtio 1.4 §5.1.9.6.2.2: bits of `flags`. */
export const VIRTIO_NET_FF_MASK_F = { PARTIAL_MASK: 1 } as const;

/** virtio 1.4 §5.1.9.6.2.2 Flow filter selector types. */
export const VIRTIO_NET_FF_MASK_TYPE = { ETH: 1, IPV4: 2, IPV6: 3, TCP: 4, UDP: 5, ESP: 6 } as const;

/** virtio 1.4 §5.1.9.6.2.2: bytes of a header that a selector of the type can match, by type. */
export const VIRTIO_NET_FF_MASK_BYTES: Readonly<Record<number, number>> = { 1: 14, 2: 20, 3: 40, 4: 20, 5: 8, 6: 8 };

/**
 * virtio 1.4 §5.1.9.6.2.2: bits of each field of a header, by selector type, in the order of the header. Without
 * PARTIAL_MASK a field counts in whole or not at all; TCP's control bits are fields of their own.
 */
export const VIRTIO_NET_FF_MASK_FIELDS: Readonly<Record<number, readonly number[]>> = {
  1: [48, 48, 16],
  // version, IHL, type of service, length; identification, flags, offset; TTL, protocol, checksum; addresses
  2: [4, 4, 8, 16, 16, 3, 13, 8, 8, 16, 32, 32],
  // version, traffic class, flow label; length, next header, hop limit; addresses
  3: [4, 8, 20, 16, 8, 8, 128, 128],
  // ports, numbers, data offset, reserved, eight control bits, window, checksum, urgent pointer
  4: [16, 16, 32, 32, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1, 16, 16, 16],
  5: [16, 16, 16, 16],
  6: [32, 32],
};

/** Lists of selectors (the capability, a classifier) and of actions: u8 count, 7 reserved bytes, then the entries. */
export const VIRTIO_NET_FF_LIST = { count: 0, reserved: 1, entries: 8 } as const;

/** virtio 1.4 §5.1.9.6.2.3 Flow filter rule actions. */
export const VIRTIO_NET_FF_ACTION = { DROP: 1, DIRECT_RX_VQ: 2, IPSEC: 3, IPSEC_RECIRCULATE: 4 } as const;

/** virtio 1.4 §5.1.9.6.3.1, struct virtio_net_resource_obj_ff_group. */
export const VIRTIO_NET_FF_GROUP = { group_priority: 0, SIZE: 2 } as const;

/** virtio 1.4 §5.1.9.6.3.3, struct virtio_net_resource_obj_ff_rule; `keys`, of `key_length` bytes, follow. */
export const VIRTIO_NET_FF_RULE = {
  group_id: 0,
  classifier_id: 4,
  rule_priority: 8,
  key_length: 9,
  action: 10,
  reserved: 11,
  vq_index: 12,
  reserved1: 14,
  keys: 16,
} as const;
