import { VirtioError } from '@ringwire/virtio-spec';

/**
 * One ring's part of the area that tells which chains are in flight. Bytes; little-endian here.
 * @see vhost-user, Inflight I/O tracking: QueueRegionSplit and DescStateSplit
 */
export const SPLIT_REGION = {
  features: 0,
  version: 8,
  desc_num: 10,
  last_batch_head: 12,
  used_idx: 14,
  desc: 16,
} as const;
export const SPLIT_STATE = { inflight: 0, next: 6, counter: 8, SIZE: 16 } as const;

/** The same for packed rings: QueueRegionPacked and DescStatePacked. */
export const PACKED_REGION = {
  features: 0,
  version: 8,
  desc_num: 10,
  free_head: 12,
  old_free_head: 14,
  used_idx: 16,
  old_used_idx: 18,
  used_wrap_counter: 20,
  old_used_wrap_counter: 21,
  desc: 32,
} as const;
export const PACKED_STATE = {
  inflight: 0,
  next: 2,
  last: 4,
  num: 6,
  counter: 8,
  id: 16,
  flags: 18,
  len: 20,
  addr: 24,
  SIZE: 32,
} as const;

/** 0 in a region that nobody has used yet. */
export const REGION_VERSION = 1;

/** Regions are laid one behind the other at multiples of this, as other back-ends do; the protocol says nothing of it. */
const ALIGN = 64;

/** Bytes from one ring's region to the next. @param size descriptors of each ring */
export function regionBytes(size: number, packed: boolean): number {
  if (!Number.isInteger(size) || size < 1) throw new VirtioError('size', size, 'descriptors of a ring', 'regionBytes');
  const bytes = packed ? PACKED_REGION.desc + size * PACKED_STATE.SIZE : SPLIT_REGION.desc + size * SPLIT_STATE.SIZE;
  return Math.ceil(bytes / ALIGN) * ALIGN;
}
