import { isPvirtqSize, VIRTIO_F, VIRTQ_SIZE_MAX, VirtioError } from '@ringwire/virtio-spec';
import { ADDRESS_END, hex, type MemoryReader } from './memory-reader.js';
import type { RingLayout } from './report.js';

/** A position that the device reports of itself. Packed: `wrap` is asked for. */
export interface GivenPosition {
  /** Split: 0 to 65535, free-running. Packed: a slot, below the queue size. */
  readonly index: number;
  readonly wrap?: 0 | 1;
}

/** One virtqueue, as far as the caller knows it. */
export interface RingInput {
  readonly memory: MemoryReader;
  readonly layout: RingLayout;
  /** Queue Size: 1 to 32768; a split queue that is no power of two is a finding. */
  readonly size: number;
  /** Descriptor area: split the descriptor table, packed the descriptor ring. */
  readonly desc: bigint;
  /** Driver area: split the available ring, packed the driver event suppression. */
  readonly driver: bigint;
  /** Device area: split the used ring, packed the device event suppression. */
  readonly device: bigint;
  /** Negotiated feature bits. Unknown: only what is wrong with every choice of features is a violation. */
  readonly features?: bigint;
  /** Next element that the device takes; inferred when not given. */
  readonly lastAvail?: GivenPosition;
  /** Next element that the device returns; inferred when not given. */
  readonly used?: GivenPosition;
  /** Split only: the next used index that the driver looks at. Then what it has yet to see is judged too. */
  readonly driverUsedIdx?: number;
  /** Device status byte, virtio 1.4 §2.1. */
  readonly deviceStatus?: number;
  /** The transport's queue_enable or queue_ready. */
  readonly queueEnabled?: boolean;
  /** Descriptors to decode at most, indirect tables included; default 262144. It bounds work and report. */
  readonly maxDescriptors?: number;
  /** Violations to list at most, and remarks likewise; default 200. The rest is counted. */
  readonly maxFindings?: number;
}

/** A negotiated feature: yes, no, or not known. */
type Known = boolean | undefined;

/** Negotiated features that change how a ring is to be read. */
export interface RingFeatures {
  readonly indirectDesc: Known;
  readonly eventIdx: Known;
  readonly inOrder: Known;
  readonly ringPacked: Known;
}

const MAX_DESCRIPTORS = 1 << 18;
const MAX_FINDINGS = 200;

/** @throws VirtioError for what no caller may ask; whatever a driver may write into its ring passes. */
export function checkInput(input: RingInput): void {
  const { layout, size } = input;
  if (layout !== 'split' && layout !== 'packed') {
    throw new VirtioError('layout', String(layout), 'split or packed', 'virtio 1.4 §2.6');
  }
  if (!isPvirtqSize(size)) throw new VirtioError('queue_size', size, `1 to ${VIRTQ_SIZE_MAX}`, `virtio 1.4 §2.7`);
  for (const area of ['desc', 'driver', 'device'] as const) {
    const address = input[area];
    if (address < 0n || address >= ADDRESS_END) {
      throw new VirtioError(`queue_${area}`, hex(address), '0 to 0xffffffffffffffff', 'virtio 1.4 §4.1.4.3');
    }
  }
  checkPosition(input, 'lastAvail');
  checkPosition(input, 'used');
  if (layout === 'packed' && input.lastAvail !== undefined && input.used !== undefined) {
    const inFlight = packedDistance(size, input.used, input.lastAvail);
    if (inFlight < 0 || inFlight > size) {
      const { index, wrap } = input.used;
      throw new VirtioError('used', `${index} wrap ${wrap}`, 'at most a lap behind lastAvail', 'virtio 1.4 §2.8.1');
    }
  }
  const { driverUsedIdx } = input;
  if (driverUsedIdx !== undefined && !isIndex(driverUsedIdx, 0x10000)) {
    throw new VirtioError('driverUsedIdx', driverUsedIdx, '0 to 65535', 'virtio 1.4 §2.7.8');
  }
  for (const limit of ['maxDescriptors', 'maxFindings'] as const) {
    const value = input[limit];
    if (value !== undefined && !isIndex(value, 2 ** 31)) {
      throw new VirtioError(limit, value, '0 to 2147483647', 'a bound for the report');
    }
  }
}

function checkPosition(input: RingInput, name: 'lastAvail' | 'used'): void {
  const given = input[name];
  if (given === undefined) return;
  const packed = input.layout === 'packed';
  const limit = packed ? input.size : 0x10000;
  if (!isIndex(given.index, limit)) throw new VirtioError(name, given.index, `0 to ${limit - 1}`, 'virtio 1.4 §2.7.6');
  if (packed && given.wrap !== 0 && given.wrap !== 1) {
    throw new VirtioError(`${name} wrap counter`, String(given.wrap), '0 or 1', 'virtio 1.4 §2.8.1');
  }
}

const isIndex = (value: number, limit: number): boolean => Number.isInteger(value) && value >= 0 && value < limit;

/** Slots from one packed position on to another, at most a lap ahead; negative or larger when it is not. */
export function packedDistance(size: number, from: GivenPosition, to: GivenPosition): number {
  return to.index - from.index + (from.wrap === to.wrap ? 0 : size);
}

export function ringFeatures(features: bigint | undefined): RingFeatures {
  const has = (bit: number): Known => (features === undefined ? undefined : ((features >> BigInt(bit)) & 1n) === 1n);
  return {
    indirectDesc: has(VIRTIO_F.INDIRECT_DESC),
    eventIdx: has(VIRTIO_F.EVENT_IDX),
    inOrder: has(VIRTIO_F.IN_ORDER),
    ringPacked: has(VIRTIO_F.RING_PACKED),
  };
}

export const descriptorLimit = (input: RingInput): number => input.maxDescriptors ?? MAX_DESCRIPTORS;
export const findingLimit = (input: RingInput): number => input.maxFindings ?? MAX_FINDINGS;
