import { type DevicePart, positionPart, QUEUE_POSITION, readPosition } from '@ringwire/virtio-device';
import {
  VIRTIO_DEV_PART_DEVICE_TYPE,
  VIRTIO_DEV_PART_F,
  VIRTIO_DEV_PART_HDR,
  VIRTIO_DEV_PART_SELECTOR_BYTES,
} from '@ringwire/virtio-spec/admin';
import type { QueueState } from '@ringwire/virtqueue';

const HDR = VIRTIO_DEV_PART_HDR;

/**
 * What the owner of a virtual function's group does with it by administration commands: stop and resume it, get its device parts
 * and set others. Parts are as commands carry them, one behind the other. @see virtio 1.4 §2.12.1.4
 */
export interface VpMember {
  /** @returns false: it did not obey */
  stop(): boolean;
  resume(): boolean;
  /** All of them; undefined when they cannot be had. */
  parts(): Uint8Array | undefined;
  /** While stopped: they count from {@link resume} on. @returns false for parts that are refused */
  setParts(parts: Uint8Array): boolean;
}

/** Parts out of bytes, foreign; undefined where they do not end as their headers say. */
export function splitParts(bytes: Uint8Array): DevicePart[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts: DevicePart[] = [];
  let at = 0;
  while (at + HDR.SIZE <= bytes.length) {
    const length = view.getUint32(at + HDR.length, true);
    const from = at + HDR.SIZE;
    if (length > bytes.length - from) return undefined;
    parts.push({
      type: view.getUint16(at + HDR.part_type, true),
      isOptional: (bytes[at + HDR.flags]! & VIRTIO_DEV_PART_F.OPTIONAL) !== 0,
      selector: bytes.slice(at + HDR.selector, at + HDR.selector + VIRTIO_DEV_PART_SELECTOR_BYTES),
      value: bytes.slice(from, from + length),
    });
    at = from + length;
  }
  return at === bytes.length ? parts : undefined;
}

/** Parts one behind the other. */
export function joinParts(parts: readonly DevicePart[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { value }) => sum + HDR.SIZE + value.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { type, isOptional, selector, value } of parts) {
    view.setUint16(at + HDR.part_type, type, true);
    bytes[at + HDR.flags] = isOptional ? VIRTIO_DEV_PART_F.OPTIONAL : 0;
    bytes.set(selector, at + HDR.selector);
    view.setUint32(at + HDR.length, value.length, true);
    bytes.set(value, at + HDR.SIZE);
    at += HDR.SIZE + value.length;
  }
  return bytes;
}

const isOfType = ({ type }: DevicePart): boolean =>
  type >= VIRTIO_DEV_PART_DEVICE_TYPE.FIRST && type <= VIRTIO_DEV_PART_DEVICE_TYPE.LAST;

/** The device type's parts among a member's. */
export function typePartsIn(bytes: Uint8Array): Uint8Array | undefined {
  const parts = splitParts(bytes);
  return parts === undefined ? undefined : joinParts(parts.filter(isOfType));
}

/** Whether bytes are parts of a device type, and nothing else. */
export const areTypeParts = (bytes: Uint8Array): boolean => splitParts(bytes)?.every(isOfType) ?? false;

/** Where a member says that it stands in a queue; undefined where it does not say. */
export function positionIn(bytes: Uint8Array, index: number, isPacked: boolean): QueueState | undefined {
  const part = splitParts(bytes)?.find(
    ({ type, selector }) => type === QUEUE_POSITION && (selector[0]! | (selector[1]! << 8)) === index,
  );
  return part === undefined ? undefined : readPosition(part, isPacked);
}

/** Parts that make a device of its type be as others were, and stand where they stood. */
export function memberParts(typeParts: Uint8Array, positions: ReadonlyMap<number, QueueState>): Uint8Array {
  const placed = joinParts([...positions].map(([index, position]) => positionPart(index, position)));
  const bytes = new Uint8Array(typeParts.length + placed.length);
  bytes.set(typeParts);
  bytes.set(placed, typeParts.length);
  return bytes;
}
