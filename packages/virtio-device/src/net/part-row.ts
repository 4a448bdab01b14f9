import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { NetDeviceSettings } from './net-options.js';

/** One selector: the command that a part is the data of. */
export interface PartRow {
  readonly class: number;
  readonly command: number;
  readonly feature: number;
  /** Not in the table of §5.1.8.1: other devices do without it. */
  readonly isOurs?: boolean;
  /** The command's data as it would make the device be what it is, or undefined when there is nothing to be said. */
  get(): Uint8Array | undefined;
  /** Whether the value can be; its command is negotiated. */
  fits(value: Uint8Array, features: Uint32Array): boolean;
  set(value: Uint8Array): void;
}

/** Queue pairs that a device has with these features. */
export const pairsOf = ({ pairs }: NetDeviceSettings, features: Uint32Array): number =>
  hasFeature(features, VIRTIO_NET_F.MQ) || hasFeature(features, VIRTIO_NET_F.RSS) ? pairs : 1;

/** Fields of a part's value, little-endian; the caller knows that they are there. */
export const u16 = (value: Uint8Array, at = 0): number => value[at]! | (value[at + 1]! << 8);
export const u32 = (value: Uint8Array, at: number): number => (u16(value, at) | (u16(value, at + 2) << 16)) >>> 0;
export const le16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, value >>> 8);

export function le32(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  for (const [at, value] of values.entries()) new DataView(bytes.buffer).setUint32(4 * at, value, true);
  return bytes;
}
