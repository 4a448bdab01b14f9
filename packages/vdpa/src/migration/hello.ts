import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { VdpaDevice } from '../vdpa-device.js';
import type { QueuePlace } from './device-image.js';
import { type ImageRefusal, refuse } from './device-image.js';
import type { GuestPages } from './guest-pages.js';
import { type Fit, hasCommands } from './move-obstacles.js';
import { HELLO, HELLO_QUEUE, HELLO_REGION, MOVE } from './record-layout.js';

const TWO_32 = 0x1_0000_0000;
const REGIONS_MAX = 1024;
const QUEUES_MAX = 0x1_0000;

/** What a target is told before anything is moved. */
export interface Hello {
  readonly fit: Fit;
  /** The RAM's regions, by address: gpa and size of each. */
  readonly regions: readonly (readonly [gpa: number, size: number])[];
}

export function encodeHello(device: VdpaDevice, places: readonly QueuePlace[], ram: GuestPages): Uint8Array {
  const listAt = HELLO.SIZE + ram.regions.length * HELLO_REGION.SIZE;
  const bytes = new Uint8Array(listAt + places.length * HELLO_QUEUE.SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(HELLO.magic, MOVE.MAGIC, true);
  view.setUint16(HELLO.order, MOVE.ORDER, true);
  view.setUint16(HELLO.major, MOVE.MAJOR, true);
  view.setUint16(HELLO.minor, MOVE.MINOR, true);
  view.setUint16(HELLO.flags, hasCommands(device) ? HELLO.COMMANDS : 0, true);
  view.setUint32(HELLO.deviceId, device.deviceId, true);
  for (let word = 0; word < FEATURE_WORDS; word++)
    view.setUint32(HELLO.features + 4 * word, device.driverFeatures[word] ?? 0, true);
  view.setUint32(HELLO.configBytes, device.configBytes, true);
  view.setUint32(HELLO.regions, ram.regions.length, true);
  view.setUint32(HELLO.queues, places.length, true);
  for (const [at, { gpa, size }] of ram.regions.entries()) {
    const from = HELLO.SIZE + at * HELLO_REGION.SIZE;
    setU64(view, from + HELLO_REGION.gpa, gpa);
    setU64(view, from + HELLO_REGION.size, size);
  }
  for (const [at, { index, size }] of places.entries()) {
    const from = listAt + at * HELLO_QUEUE.SIZE;
    view.setUint32(from + HELLO_QUEUE.index, index, true);
    view.setUint32(from + HELLO_QUEUE.size, size, true);
    view.setUint32(from + HELLO_QUEUE.space, device.groupSpace(device.queueGroup(index)), true);
  }
  return bytes;
}

/** Read what foreign bytes say of a move. */
export function decodeHello(bytes: Uint8Array): Hello | ImageRefusal {
  if (bytes.length < HELLO.SIZE) return refuse(`HELLO has ${bytes.length} bytes, want at least ${HELLO.SIZE}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = view.getUint32(HELLO.magic, true);
  if (magic !== MOVE.MAGIC) return refuse(`magic is 0x${magic.toString(16)}, want 0x${MOVE.MAGIC.toString(16)}`);
  const order = view.getUint16(HELLO.order, true);
  if (order !== MOVE.ORDER) return refuse(`the byte order mark is 0x${order.toString(16)}, want little-endian`);
  const [major, minor] = [view.getUint16(HELLO.major, true), view.getUint16(HELLO.minor, true)];
  if (major !== MOVE.MAJOR || minor > MOVE.MINOR)
    return refuse(`the version is ${major}.${minor}, want ${MOVE.MAJOR}.${MOVE.MINOR}`);
  const flags = view.getUint16(HELLO.flags, true);
  if ((flags & ~HELLO.COMMANDS) !== 0) return refuse(`flags are 0x${flags.toString(16)}, want ones that are known`);
  const [regionCount, queueCount] = [view.getUint32(HELLO.regions, true), view.getUint32(HELLO.queues, true)];
  if (regionCount > REGIONS_MAX || queueCount > QUEUES_MAX)
    return refuse(`${regionCount} regions and ${queueCount} queues, want at most ${REGIONS_MAX} and ${QUEUES_MAX}`);
  const listAt = HELLO.SIZE + regionCount * HELLO_REGION.SIZE;
  const wanted = listAt + queueCount * HELLO_QUEUE.SIZE;
  if (bytes.length !== wanted) return refuse(`HELLO has ${bytes.length} bytes, want ${wanted}`);
  const regions = Array.from({ length: regionCount }, (_, at) => {
    const from = HELLO.SIZE + at * HELLO_REGION.SIZE;
    return [getU64(view, from + HELLO_REGION.gpa), getU64(view, from + HELLO_REGION.size)] as const;
  });
  const queues = Array.from({ length: queueCount }, (_, at) => {
    const from = listAt + at * HELLO_QUEUE.SIZE;
    return {
      index: view.getUint32(from + HELLO_QUEUE.index, true),
      size: view.getUint32(from + HELLO_QUEUE.size, true),
      space: view.getUint32(from + HELLO_QUEUE.space, true),
    };
  });
  const fit = {
    deviceId: view.getUint32(HELLO.deviceId, true),
    features: Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => view.getUint32(HELLO.features + 4 * word, true)),
    configBytes: view.getUint32(HELLO.configBytes, true),
    queues,
    commands: (flags & HELLO.COMMANDS) !== 0,
  };
  return { fit, regions };
}

/** Why RAM of another layout than the source's cannot take its pages. */
export function ramProblem({ regions }: Hello, ram: GuestPages): string | undefined {
  const words = (list: Hello['regions']): string => list.map(([gpa, size]) => `${size} bytes at ${gpa}`).join(', ');
  const own = ram.regions.map(({ gpa, size }) => [gpa, size] as const);
  return words(own) === words(regions) ? undefined : `the RAM is ${words(regions)}, and the target’s is ${words(own)}`;
}

export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

/** A number of 64 bits; above 2^53 it is no exact one, and larger than any that is good. */
export const getU64 = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
