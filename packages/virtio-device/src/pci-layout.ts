import { VirtioError } from '@ringwire/virtio-spec';
import { COMMON_CFG_SIZE } from '@ringwire/virtio-spec/transport';
import type { DeviceModel, SharedMemoryRegion } from './device-model.js';

/** Where a structure lies: bytes from the start of its BAR. */
export interface Place {
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

/** The structures of virtio 1.4 §4.1.4 in the function's BARs, and MSI-X with them. */
export interface PciLayout {
  readonly common: Place;
  readonly notify: Place;
  readonly isr: Place;
  readonly config: Place;
  readonly msixTable: Place;
  readonly msixPba: Place;
  readonly shared: readonly { readonly place: Place; readonly region: SharedMemoryRegion }[];
  /** Sizes of the two BARs, in bytes; the second is 0 without shared memory. */
  readonly registersSize: number;
  readonly sharedSize: number;
}

/** All registers are in one 64-bit BAR, shared memory is in another. */
export const REGISTERS_BAR = 0;
export const SHARED_BAR = 2;

/** Structures start on pages, so that a host can map or trap each by itself. */
const PAGE = 4096;
const VECTOR_BYTES = 16;

/**
 * @param vectors of MSI-X, 0 for none
 * @param multiplier bytes from one queue's notification address to the next; 0: all queues share one
 */
export function layOutPci(
  model: Pick<DeviceModel, 'config' | 'queueSizes' | 'sharedMemory'>,
  vectors: number,
  multiplier: number,
): PciLayout {
  let end = 0;
  const put = (length: number): Place => {
    const place = { bar: REGISTERS_BAR, offset: end, length };
    end = pages(end + Math.max(length, 1));
    return place;
  };
  const common = put(COMMON_CFG_SIZE);
  const isr = put(1);
  const config = put(model.config.length);
  const msixTable = put(vectors * VECTOR_BYTES);
  const msixPba = put(Math.ceil(vectors / 64) * 8);
  const notify = put(Math.max(4, model.queueSizes.length * multiplier));
  const registersSize = powerOfTwo(end);
  let sharedEnd = 0;
  const ids = new Set<number>();
  const shared = (model.sharedMemory ?? []).map((region) => {
    const { id, bytes } = region;
    if (!Number.isInteger(id) || id < 0 || id > 255 || ids.has(id))
      throw new VirtioError('sharedMemory id', id, '0 to 255, once in a device', 'virtio 1.4 §4.1.4.7.1');
    ids.add(id);
    const place = { bar: SHARED_BAR, offset: sharedEnd, length: bytes.length };
    sharedEnd = pages(sharedEnd + bytes.length);
    return { place, region };
  });
  const sharedSize = sharedEnd === 0 ? 0 : powerOfTwo(sharedEnd);
  return { common, notify, isr, config, msixTable, msixPba, shared, registersSize, sharedSize };
}

/**
 * Bytes of the BAR with the registers, for those who have to give it room before there is a device: SR-IOV's VF BARs.
 * @param queues   virtqueues, the control queue included
 * @param vectors, multiplier as of `VirtioPciConfig`
 */
export function registersBarBytes(queues: number, vectors: number = queues + 1, multiplier = 4): number {
  const model = { config: new Uint8Array(PAGE), queueSizes: new Array<number>(queues).fill(1) };
  return layOutPci(model, vectors, multiplier).registersSize;
}

const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
const powerOfTwo = (bytes: number): number => 2 ** Math.ceil(Math.log2(bytes));
