import { VirtioError } from '@ringwire/virtio-spec';

/** @returns the capacity of a burst or list. @throws VirtioError unless a queue's chains can be that many */
export function checkedCapacity(capacity: number): number {
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > 32768)
    throw new VirtioError('capacity', capacity, '1 to 32768', 'virtio 1.4 §2.7');
  return capacity;
}
