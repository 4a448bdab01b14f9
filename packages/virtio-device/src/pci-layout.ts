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
  /** Bytes of the BARs: registers, MSI-X where it is not among them, shared memory. 0: there is no such BAR. */
  readonly registersSize: number;
  readonly msixSize: number;
  readonly sharedSize: number;
}

/** All registers are in one BAR, shared memory is in another. */
export const REGISTERS_BAR = 0;
export const SHARED_BAR = 2;
/** MSI-X is memory: beside registers in I/O space it has a BAR to itself. */
export const MSIX_BAR = 4;

/** Where registers are: a 64-bit BAR, or one of I/O space, where a host has no memory to give them. */
export type RegisterSpace = 'memory' | 'io';

/** Structures start on pages, so that a host can map or trap each by itself. */
const PAGE = 4096;
/** In I/O space they are as close as their alignment lets them: a BAR has 256 bytes there. */
const IO_ALIGN = 4;
const IO_BAR_MAX = 256;
const VECTOR_BYTES = 16;

/**
 * @param vectors of MSI-X, 0 for none
 * @param multiplier bytes from one queue's notification address to the next; 0: all queues share one
 * @throws VirtioError for more than I/O space has room for
 */
export function layOutPci(
  model: Pick<DeviceModel, 'config' | 'queueSizes' | 'sharedMemory'>,
  vectors: number,
  multiplier: number,
  space: RegisterSpace = 'memory',
): PciLayout {
  const registers = new BarRoom(REGISTERS_BAR, space === 'io' ? IO_ALIGN : PAGE);
  const messages = space === 'io' ? new BarRoom(MSIX_BAR, PAGE) : registers;
  const common = registers.put(COMMON_CFG_SIZE);
  const isr = registers.put(1);
  const config = registers.put(model.config.length);
  const msixTable = messages.put(vectors * VECTOR_BYTES);
  const msixPba = messages.put(Math.ceil(vectors / 64) * 8);
  const notify = registers.put(Math.max(4, model.queueSizes.length * multiplier));
  const registersSize = powerOfTwo(registers.end);
  const msixSize = space === 'io' && vectors > 0 ? powerOfTwo(messages.end) : 0;
  if (space === 'io' && registersSize > IO_BAR_MAX) {
    const want = `at most ${IO_BAR_MAX}: fewer queues, or a smaller notifyOffMultiplier`;
    throw new VirtioError('bytes of registers', registersSize, want, 'PCIe 5.0 §7.5.1.2.1');
  }
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
  return { common, notify, isr, config, msixTable, msixPba, shared, registersSize, msixSize, sharedSize };
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

/** Gives room in a BAR away, piece by piece. */
class BarRoom {
  end = 0;
  private readonly bar: number;
  private readonly align: number;

  constructor(bar: number, align: number) {
    this.bar = bar;
    this.align = align;
  }

  put(length: number): Place {
    const place = { bar: this.bar, offset: this.end, length };
    this.end = Math.ceil((this.end + Math.max(length, 1)) / this.align) * this.align;
    return place;
  }
}
