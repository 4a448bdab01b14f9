import { crc32 } from '@ringwire/guest-memory';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { DeviceImage, QueueImage } from './device-image.js';
import { DEVICE, HEADER, QUEUE, SECTION, STREAM, TAG, TRAILER_BYTES } from './image-layout.js';

const TWO_32 = 0x1_0000_0000;

/** An image as bytes, for a file or for the other side of a move. @see decodeImage */
export function encodeImage(image: DeviceImage): Uint8Array {
  const sections = [
    section(TAG.DEVICE, deviceBytes(image)),
    section(TAG.CONFIG, image.config),
    section(TAG.QUEUES, queuesBytes(image.queues)),
    section(TAG.STATE, image.state),
  ];
  const bytes = HEADER.SIZE + sections.reduce((sum, { length }) => sum + length, 0) + TRAILER_BYTES;
  const stream = new Uint8Array(bytes);
  const view = new DataView(stream.buffer);
  view.setUint32(HEADER.magic, STREAM.MAGIC, true);
  view.setUint16(HEADER.order, STREAM.ORDER, true);
  view.setUint16(HEADER.major, STREAM.MAJOR, true);
  view.setUint16(HEADER.minor, STREAM.MINOR, true);
  view.setUint32(HEADER.bytes, bytes, true);
  let at: number = HEADER.SIZE;
  for (const part of sections) {
    stream.set(part, at);
    at += part.length;
  }
  view.setUint32(at, crc32(stream.subarray(0, at)), true);
  return stream;
}

function section(tag: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SECTION.SIZE + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(SECTION.tag, tag, true);
  view.setUint32(SECTION.bytes, content.length, true);
  bytes.set(content, SECTION.SIZE);
  return bytes;
}

function deviceBytes({ deviceId, features, status }: DeviceImage): Uint8Array {
  const bytes = new Uint8Array(DEVICE.SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(DEVICE.deviceId, deviceId, true);
  for (let word = 0; word < FEATURE_WORDS; word++)
    view.setUint32(DEVICE.features + 4 * word, features[word] ?? 0, true);
  view.setUint32(DEVICE.status, status, true);
  return bytes;
}

function queuesBytes(queues: readonly QueueImage[]): Uint8Array {
  const bytes = new Uint8Array(queues.length * QUEUE.SIZE);
  for (const [place, { index, size, addresses, position, space }] of queues.entries()) {
    const view = new DataView(bytes.buffer, place * QUEUE.SIZE, QUEUE.SIZE);
    view.setUint32(QUEUE.index, index, true);
    view.setUint32(QUEUE.size, size, true);
    view.setUint32(QUEUE.space, space, true);
    for (const part of ['desc', 'driver', 'device'] as const) {
      view.setUint32(QUEUE[part], addresses[part] >>> 0, true);
      view.setUint32(QUEUE[part] + 4, Math.floor(addresses[part] / TWO_32), true);
    }
    view.setUint16(QUEUE.taken, position.lastAvailIdx, true);
    view.setUint16(QUEUE.used, position.usedIdx, true);
    if (position.layout === 'packed')
      view.setUint32(QUEUE.wraps, position.lastAvailWrapCounter | (position.usedWrapCounter << 1), true);
  }
  return bytes;
}
