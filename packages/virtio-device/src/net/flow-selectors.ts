import {
  VIRTIO_NET_FF_LIST,
  VIRTIO_NET_FF_MASK_BYTES,
  VIRTIO_NET_FF_MASK_F,
  VIRTIO_NET_FF_MASK_FIELDS,
  VIRTIO_NET_FF_MASK_TYPE,
  VIRTIO_NET_FF_SELECTOR,
} from '@ringwire/virtio-spec/admin';

const AT = VIRTIO_NET_FF_SELECTOR;
const T = VIRTIO_NET_FF_MASK_TYPE;
const ALL_ONES = 0xff;

/** Which fields of one header count. */
export interface FlowSelector {
  /** A `VIRTIO_NET_FF_MASK_TYPE`. */
  readonly type: number;
  /** `VIRTIO_NET_FF_MASK_F` */
  readonly flags: number;
  readonly mask: Uint8Array;
}

/** Every field of every header, in whole or in part: what the device can match. */
export const ALL_SELECTORS: readonly FlowSelector[] = Object.values(T).map((type) => ({
  type,
  flags: VIRTIO_NET_FF_MASK_F.PARTIAL_MASK,
  mask: new Uint8Array(VIRTIO_NET_FF_MASK_BYTES[type]!).fill(ALL_ONES),
}));

/** u8 count, 7 reserved bytes, the selectors. */
export function encodeSelectors(selectors: readonly FlowSelector[]): Uint8Array {
  const bytes = [selectors.length, 0, 0, 0, 0, 0, 0, 0];
  for (const { type, flags, mask } of selectors) bytes.push(type, flags, 0, 0, mask.length, 0, 0, 0, ...mask);
  return Uint8Array.from(bytes);
}

/**
 * Read selectors, foreign; what the bytes end before is zero.
 * @param limits what of each type may be matched
 * @returns undefined when there is one of another type, flag, length or bit than in `limits`
 */
export function readSelectors(bytes: Uint8Array, limits: readonly FlowSelector[]): FlowSelector[] | undefined {
  const selectors: FlowSelector[] = [];
  let at: number = VIRTIO_NET_FF_LIST.entries;
  for (let left = bytes[VIRTIO_NET_FF_LIST.count] ?? 0; left > 0; left--) {
    const [type, flags, length] = [bytes[at + AT.type] ?? 0, bytes[at + AT.flags] ?? 0, bytes[at + AT.length] ?? 0];
    const limit = limits.find((selector) => selector.type === type);
    if (limit === undefined || (flags & ~limit.flags) !== 0 || length !== limit.mask.length) return undefined;
    const mask = new Uint8Array(length);
    mask.set(bytes.subarray(at + AT.mask, at + AT.mask + length));
    if (mask.some((bits, i) => (bits & ~limit.mask[i]!) !== 0)) return undefined;
    selectors.push({ type, flags, mask });
    at += AT.mask + length;
  }
  return selectors;
}

/** Whether each field counts in whole or not at all. */
export function masksWholeFields({ type, mask }: FlowSelector): boolean {
  let bit = 0;
  for (const width of VIRTIO_NET_FF_MASK_FIELDS[type]!) {
    let ones = 0;
    for (const end = bit + width; bit < end; bit++) ones += (mask[bit >>> 3]! >>> (7 - (bit & 7))) & 1;
    if (ones !== 0 && ones !== width) return false;
  }
  return true;
}
