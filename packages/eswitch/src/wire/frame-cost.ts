import type { Frame } from '@ringwire/net-backend';
import { wireBytes } from './wire-bytes.js';

/** Bytes on the wire that a frame takes, or all segments that it is to be cut up into. */
export function frameCost({ length, gsoType, gsoSize, hdrLen }: Frame): number {
  if (gsoType === 0 || gsoSize === 0) return wireBytes(1, length);
  const segments = Math.max(1, Math.ceil((length - hdrLen) / gsoSize));
  return wireBytes(segments, length + (segments - 1) * hdrLen);
}
