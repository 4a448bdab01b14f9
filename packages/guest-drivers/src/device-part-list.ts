import { VIRTIO_DEV_PART_F, VIRTIO_DEV_PART_HDR, VIRTIO_DEV_PART_SELECTOR_BYTES } from '@ringwire/virtio-spec/admin';

const HDR = VIRTIO_DEV_PART_HDR;

/** One part of a device's state, as it is on its way from one device to another. @see virtio 1.4 §2.14 */
export interface DevicePart {
  readonly type: number;
  readonly flags: number;
  /** 8 bytes */
  readonly selector: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * Take a list of parts apart that a device gave, foreign. Zeros behind the last one are padding.
 * @returns undefined when a part is longer than what is left of the list
 */
export function splitParts(bytes: Uint8Array): DevicePart[] | undefined {
  const parts: DevicePart[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + HDR.SIZE <= bytes.length && bytes.subarray(at, at + HDR.SIZE).some((byte) => byte !== 0)) {
    const length = view.getUint32(at + HDR.length, true);
    const from = at + HDR.SIZE;
    if (length > bytes.length - from) return undefined;
    parts.push({
      type: view.getUint16(at + HDR.part_type, true),
      flags: bytes[at + HDR.flags]!,
      selector: bytes.slice(at + HDR.selector, at + HDR.selector + VIRTIO_DEV_PART_SELECTOR_BYTES),
      value: bytes.slice(from, from + length),
    });
    at = from + length;
  }
  return bytes.subarray(at).every((byte) => byte === 0) ? parts : undefined;
}

/** The list that a device is to be given. */
export function joinParts(parts: readonly DevicePart[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { value }) => sum + HDR.SIZE + value.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { type, flags, selector, value } of parts) {
    view.setUint16(at + HDR.part_type, type, true);
    bytes[at + HDR.flags] = flags;
    bytes.set(selector, at + HDR.selector);
    view.setUint32(at + HDR.length, value.length, true);
    bytes.set(value, at + HDR.SIZE);
    at += HDR.SIZE + value.length;
  }
  return bytes;
}

/** Whether parts come in the order in which they may be set, common ones by type. @see virtio 1.4 §2.12.1.4.4 */
export const areOrdered = (parts: readonly DevicePart[]): boolean =>
  parts.every(
    ({ type, flags }, at) => at === 0 || type >= parts[at - 1]!.type || (flags & VIRTIO_DEV_PART_F.OPTIONAL) !== 0,
  );
