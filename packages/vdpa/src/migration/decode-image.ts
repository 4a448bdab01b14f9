import { crc32 } from '@ringwire/guest-memory';
import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, isPvirtqSize, isVirtqSize, VIRTIO_F } from '@ringwire/virtio-spec';
import { type QueueState, queueStateProblem } from '@ringwire/virtqueue';
import { type DeviceImage, type ImageRefusal, isImageRefusal, type QueueImage, refuse } from './device-image.js';
import { DEVICE, HEADER, QUEUE, SECTION, STREAM, TAG, TRAILER_BYTES } from './image-layout.js';

const TWO_32 = 0x1_0000_0000;
const ADDRESS_END_HI = 0x20_0000;
const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const AGREED = ACKNOWLEDGE | DRIVER | FEATURES_OK;
/** What the status can be on its way up: virtio 1.4 §3.1.1. A device that failed is not moved. */
const STATUSES: readonly number[] = [0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER, AGREED, AGREED | DRIVER_OK];

/**
 * Read an image out of foreign bytes. It is a possible one then; whether a device can take it {@link imageProblem} says.
 * Never throws, and makes nothing whose size the bytes choose beyond their own.
 */
export function decodeImage(stream: Uint8Array): DeviceImage | ImageRefusal {
  const contents = sectionsOf(stream);
  if (isImageRefusal(contents)) return contents;
  const [device, config, list, state] = contents as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  if (device.length !== DEVICE.SIZE) return refuse(`section DEVICE has ${device.length} bytes, want ${DEVICE.SIZE}`);
  const view = viewOf(device);
  const status = view.getUint32(DEVICE.status, true);
  if (!STATUSES.includes(status)) return refuse(`status is 0x${status.toString(16)}, want one that a driver reaches`);
  const features = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) =>
    view.getUint32(DEVICE.features + 4 * word, true),
  );
  const queues = queuesOf(list, hasFeature(features, VIRTIO_F.RING_PACKED));
  if (isImageRefusal(queues)) return queues;
  if (queues.length > 0 && (status & FEATURES_OK) === 0)
    return refuse('queues are ready before FEATURES_OK: no driver reaches that');
  const deviceId = view.getUint32(DEVICE.deviceId, true);
  return { deviceId, features, status, config: Uint8Array.from(config), queues, state: Uint8Array.from(state) };
}

/** The contents of the sections. */
function sectionsOf(stream: Uint8Array): readonly Uint8Array[] | ImageRefusal {
  const problem = frameProblem(stream);
  if (problem !== undefined) return refuse(problem);
  const view = viewOf(stream);
  const end = stream.length - TRAILER_BYTES;
  const contents: Uint8Array[] = [];
  let at: number = HEADER.SIZE;
  for (const [name, tag] of Object.entries(TAG)) {
    if (end - at < SECTION.SIZE) return refuse(`section ${name} is missing`);
    const found = view.getUint32(at + SECTION.tag, true);
    if (found !== tag) return refuse(`a section has tag ${found}, want ${tag}, ${name}`);
    if (view.getUint32(at + SECTION.zero, true) !== 0) return refuse(`section ${name} has flags, want none`);
    const bytes = view.getUint32(at + SECTION.bytes, true) + view.getUint32(at + SECTION.bytes + 4, true) * TWO_32;
    at += SECTION.SIZE;
    if (bytes > end - at) return refuse(`section ${name} has ${bytes} bytes, want at most the ${end - at} that follow`);
    contents.push(stream.subarray(at, at + bytes));
    at += bytes;
  }
  return at === end ? contents : refuse(`${end - at} bytes follow the last section, want none`);
}

/** What is wrong about header, length or checksum. */
function frameProblem(stream: Uint8Array): string | undefined {
  if (stream.length < HEADER.SIZE + TRAILER_BYTES) return `the stream has ${stream.length} bytes: it is cut`;
  if (stream.length > STREAM.BYTES_MAX)
    return `the stream has ${stream.length} bytes, want ${STREAM.BYTES_MAX} at most`;
  const view = viewOf(stream);
  const magic = view.getUint32(HEADER.magic, true);
  if (magic !== STREAM.MAGIC) return `magic is 0x${magic.toString(16)}, want 0x${STREAM.MAGIC.toString(16)}`;
  const order = view.getUint16(HEADER.order, true);
  if (order !== STREAM.ORDER) return `the byte order mark is 0x${order.toString(16)}, want little-endian`;
  const [major, minor] = [view.getUint16(HEADER.major, true), view.getUint16(HEADER.minor, true)];
  if (major !== STREAM.MAJOR || minor > STREAM.MINOR)
    return `the version is ${major}.${minor}, want ${STREAM.MAJOR}.${STREAM.MINOR}`;
  if (view.getUint16(HEADER.zero, true) !== 0) return 'the header has flags, want none';
  const bytes = view.getUint32(HEADER.bytes, true);
  if (bytes !== stream.length) return `the stream has ${stream.length} bytes, and its header says ${bytes}`;
  const end = stream.length - TRAILER_BYTES;
  const wanted = crc32(stream.subarray(0, end));
  const found = view.getUint32(end, true);
  return found === wanted ? undefined : `the checksum is 0x${found.toString(16)}, want 0x${wanted.toString(16)}`;
}

function queuesOf(list: Uint8Array, isPacked: boolean): readonly QueueImage[] | ImageRefusal {
  if (list.length % QUEUE.SIZE !== 0)
    return refuse(`section QUEUES has ${list.length} bytes, want a multiple of ${QUEUE.SIZE}`);
  const queues: QueueImage[] = [];
  for (let at = 0; at < list.length; at += QUEUE.SIZE) {
    const queue = queueOf(viewOf(list.subarray(at, at + QUEUE.SIZE)), isPacked);
    if (isImageRefusal(queue)) return queue;
    const last = queues.at(-1)?.index ?? -1;
    if (queue.index <= last) return refuse(`queue ${queue.index} follows queue ${last}, want ascending indexes`);
    queues.push(queue);
  }
  return queues;
}

function queueOf(view: DataView, isPacked: boolean): QueueImage | ImageRefusal {
  const index = view.getUint32(QUEUE.index, true);
  const size = view.getUint32(QUEUE.size, true);
  const isSize = isPacked ? isPvirtqSize(size) : isVirtqSize(size);
  if (!isSize) return refuse(`queue ${index} has size ${size}, want one that a ring can have`);
  for (const part of ['desc', 'driver', 'device'] as const)
    if (view.getUint32(QUEUE[part] + 4, true) >= ADDRESS_END_HI)
      return refuse(`queue ${index} has its ${part} area at 2^53 or beyond`);
  const wraps = view.getUint32(QUEUE.wraps, true);
  if (wraps > (isPacked ? 3 : 0)) return refuse(`queue ${index} has wrap counters ${wraps}, want single bits`);
  const address = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
  const position = positionOf(view, wraps, isPacked);
  const problem = queueStateProblem(position, isPacked ? 'packed' : 'split', size);
  if (problem !== undefined) return refuse(`queue ${index}: ${problem}`);
  const addresses = { desc: address(QUEUE.desc), driver: address(QUEUE.driver), device: address(QUEUE.device) };
  return { index, size, addresses, position, space: view.getUint32(QUEUE.space, true) };
}

function positionOf(view: DataView, wraps: number, isPacked: boolean): QueueState {
  const lastAvailIdx = view.getUint16(QUEUE.taken, true);
  const usedIdx = view.getUint16(QUEUE.used, true);
  if (!isPacked) return { layout: 'split', lastAvailIdx, usedIdx };
  const [lastAvailWrapCounter, usedWrapCounter] = [(wraps & 1) as 0 | 1, (wraps >>> 1) as 0 | 1];
  return { layout: 'packed', lastAvailIdx, lastAvailWrapCounter, usedIdx, usedWrapCounter };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
