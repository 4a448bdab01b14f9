import type { QueueState } from '@ringwire/virtqueue';
import { type DevicePart, devicePart, numbered, QUEUE_POSITION } from './device-part.js';

/** le16 position: a free-running index (split) or a place in the ring (packed); u8 wrap counter of the latter. */
const AT = { position: 0, wrap: 2, SIZE: 8 } as const;

/** A queue's position as a device part. @param state with no chain in flight: both of its positions are one */
export function positionPart(index: number, state: QueueState): DevicePart {
  const value = new Uint8Array(AT.SIZE);
  const view = new DataView(value.buffer);
  view.setUint16(AT.position, state.lastAvailIdx, true);
  if (state.layout === 'packed') view.setUint8(AT.wrap, state.lastAvailWrapCounter);
  return devicePart(QUEUE_POSITION, value, { selector: numbered(index), isOptional: true });
}

/** Foreign: what cannot be is found when the queue is opened there. @returns undefined for a part of another length */
export function readPosition({ value }: DevicePart, isPacked: boolean): QueueState | undefined {
  if (value.length !== AT.SIZE) return undefined;
  const view = new DataView(value.buffer, value.byteOffset);
  const at = view.getUint16(AT.position, true);
  if (!isPacked) return { layout: 'split', lastAvailIdx: at, usedIdx: at };
  const wrap = view.getUint8(AT.wrap) as 0 | 1;
  return { layout: 'packed', lastAvailIdx: at, lastAvailWrapCounter: wrap, usedIdx: at, usedWrapCounter: wrap };
}
