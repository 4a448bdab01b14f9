import {
  VIRTIO_DEV_PART,
  VIRTIO_DEV_PART_F,
  VIRTIO_DEV_PART_HDR,
  VIRTIO_DEV_PART_SELECTOR_BYTES,
} from '@ringwire/virtio-spec/admin';

const HDR = VIRTIO_DEV_PART_HDR;
const { OPTIONAL } = VIRTIO_DEV_PART_F;
const NO_SELECTOR = new Uint8Array(VIRTIO_DEV_PART_SELECTOR_BYTES);

/** A part longer than this is none of ours: the longest has the VLAN table, 4096 ids. */
const PART_BYTES_MAX = 0x1_0000;

/**
 * Where a device stands in a queue. virtio 1.4 has no part for it, and a packed ring does not tell: so this one, of a type
 * that is reserved, is optional, comes last, and is left out by whoever does not know it. `selector` begins with le16 index.
 */
export const QUEUE_POSITION = 0xff00;

/** One part of a device's state. @see virtio 1.4 §2.14 */
export interface DevicePart {
  /** part_type */
  readonly type: number;
  /** The device can do without it. */
  readonly isOptional: boolean;
  /** 8 bytes that say which of several parts of the type it is. */
  readonly selector: Uint8Array;
  readonly value: Uint8Array;
}

export function devicePart(
  type: number,
  value: Uint8Array,
  { selector = NO_SELECTOR, isOptional = false }: { selector?: Uint8Array; isOptional?: boolean } = {},
): DevicePart {
  return { type, isOptional, selector, value };
}

/** A selector that begins with a little-endian number: `pci_common_cfg.offset`, `vq_index.index`. */
export function numbered(number: number): Uint8Array {
  const selector = new Uint8Array(VIRTIO_DEV_PART_SELECTOR_BYTES);
  new DataView(selector.buffer).setUint32(0, number, true);
  return selector;
}

/** Bytes of the selector that mean something, by part type; with others all of them do, for all that is known here. */
const SELECTOR_BYTES: Readonly<Record<number, number>> = {
  [VIRTIO_DEV_PART.DEV_FEATURES]: 0,
  [VIRTIO_DEV_PART.DRV_FEATURES]: 0,
  [VIRTIO_DEV_PART.PCI_COMMON_CFG]: 4,
  [VIRTIO_DEV_PART.DEVICE_STATUS]: 0,
  [VIRTIO_DEV_PART.VQ_CFG]: 2,
  [VIRTIO_DEV_PART.VQ_NOTIFY_CFG]: 2,
  [QUEUE_POSITION]: 2,
};

/** What a selector says, its reserved bytes left out. */
const meaningOf = ({ type, selector }: Pick<DevicePart, 'type' | 'selector'>): Uint8Array =>
  selector.subarray(0, SELECTOR_BYTES[type]);

/** The number that a selector is: a field's offset or a queue's index. */
export const selectorNumber = (part: DevicePart): number =>
  meaningOf(part).reduceRight((number, byte) => number * 256 + byte, 0);

/** What tells parts of one device apart. */
export const partKey = (part: Pick<DevicePart, 'type' | 'selector'>): string =>
  `${part.type} ${meaningOf(part).join(' ')}`;

/** Headers and values one behind the other, as commands carry them. @param withValues headers alone otherwise */
export function encodeParts(parts: readonly DevicePart[], withValues: boolean): Uint8Array {
  const total = parts.reduce((sum, { value }) => sum + HDR.SIZE + (withValues ? value.length : 0), 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { type, isOptional, selector, value } of parts) {
    view.setUint16(at + HDR.part_type, type, true);
    view.setUint8(at + HDR.flags, isOptional ? OPTIONAL : 0);
    bytes.set(selector, at + HDR.selector);
    view.setUint32(at + HDR.length, value.length, true);
    at += HDR.SIZE;
    if (!withValues) continue;
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}

/**
 * Read parts, foreign. What the bytes end before is zero (virtio 1.4 §2.13), and a header of zeros is the end: buffers are
 * padded, and may be longer than what is in them.
 * @returns undefined when a part is longer than any is
 */
export function decodeParts(bytes: Uint8Array): DevicePart[] | undefined {
  const parts: DevicePart[] = [];
  for (let at = 0; hasHeader(bytes, at); ) {
    const length = lengthAt(bytes, at);
    if (length > PART_BYTES_MAX) return undefined;
    const value = new Uint8Array(length);
    value.set(bytes.subarray(at + HDR.SIZE, at + HDR.SIZE + length));
    parts.push({ ...identityAt(bytes, at), isOptional: (bytes[at + HDR.flags]! & OPTIONAL) !== 0, value });
    at += HDR.SIZE + length;
  }
  return parts;
}

/** Those of a device's parts that a list of headers, foreign, asks for; in the device's own order, each once. */
export function selectParts(parts: readonly DevicePart[], headers: Uint8Array): DevicePart[] {
  const own = new Map(parts.map((part) => [partKey(part), part]));
  const wanted = new Set<DevicePart>();
  for (let at = 0; hasHeader(headers, at); at += HDR.SIZE) {
    const part = own.get(partKey(identityAt(headers, at)));
    if (part !== undefined) wanted.add(part);
  }
  return parts.filter((part) => wanted.has(part));
}

const hasHeader = (bytes: Uint8Array, at: number): boolean =>
  at + HDR.SIZE <= bytes.length && bytes.subarray(at, at + HDR.SIZE).some((byte) => byte !== 0);

const lengthAt = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + HDR.length, true);

function identityAt(bytes: Uint8Array, at: number): Pick<DevicePart, 'type' | 'selector'> {
  const type = bytes[at + HDR.part_type]! | (bytes[at + HDR.part_type + 1]! << 8);
  const from = at + HDR.selector;
  return { type, selector: bytes.slice(from, from + VIRTIO_DEV_PART_SELECTOR_BYTES) };
}
