import { ACCESS, type AddressSpace, type HostMemory } from '@ringwire/guest-memory';
import {
  hasFeature,
  isPvirtqSize,
  isVirtqSize,
  PVIRTQ_DESC,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  VIRTIO_F,
  VIRTQ_AVAIL,
  VIRTQ_DESC,
  VIRTQ_USED,
  VirtioError,
  virtqAvailBytes,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';

/** Where a virtqueue lies and what was negotiated for it. Addresses are those of `space`. */
export interface QueueConfig {
  readonly space: AddressSpace;
  /** Queue Size in descriptors: split a power of two ≤ 32768, packed 1 to 32768. */
  readonly size: number;
  /** Descriptor Area: split descriptor table, packed descriptor ring. Aligned to 16. */
  readonly desc: number;
  /** Driver Area: available ring (aligned to 2), or driver event suppression (aligned to 4). */
  readonly driver: number;
  /** Device Area: used ring, or device event suppression. Aligned to 4. */
  readonly device: number;
  /** Negotiated feature bits as 32-bit words: RING_PACKED, INDIRECT_DESC, EVENT_IDX and IN_ORDER matter here. */
  readonly features: Uint32Array;
}

/** Why a queue cannot run where the driver put it. The device leaves it disabled and touches nothing. */
export interface QueueRefusal {
  /** The offending field of {@link QueueConfig}. */
  readonly field: 'size' | 'desc' | 'driver' | 'device' | 'state';
  /** Names field, value and what was wanted. */
  readonly message: string;
}

/** A refusal with the parts of its message, for an error of our own caller's. */
export interface LayoutRefusal extends QueueRefusal {
  readonly want: string;
  readonly spec: string;
}

/** A queue's parts as host offsets, and its features as plain booleans: worked out once, when the queue starts. */
export interface QueueLayout {
  readonly memory: HostMemory;
  readonly space: AddressSpace;
  readonly size: number;
  /** Host offsets in bytes. */
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly packed: boolean;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly inOrder: boolean;
  /** What it was worked out from. */
  readonly config: QueueConfig;
}

interface Part {
  readonly field: 'desc' | 'driver' | 'device';
  readonly address: number;
  readonly bytes: number;
  readonly align: number;
  /** What the side that resolves it does to the part: `ACCESS` bits. */
  readonly access: number;
}

const RW = ACCESS.READ | ACCESS.WRITE;

/**
 * Find the parts of a queue in host memory.
 * @param side the device only reads a split descriptor table and the driver area; the driver writes those and only
 *             reads the device area
 * @returns the layout, or why the queue is refused: what a driver programmed is foreign input
 * @see virtio 1.4 §2.7, §2.8.10.1 (size and alignment of each part)
 */
export function layOutQueue(config: QueueConfig, side: 'device' | 'driver'): QueueLayout | LayoutRefusal {
  const { space, size, features } = config;
  const packed = hasFeature(features, VIRTIO_F.RING_PACKED);
  if (packed ? !isPvirtqSize(size) : !isVirtqSize(size)) {
    const want = packed ? '1 to 32768' : 'a power of two ≤ 32768';
    return refuse('size', size, want, packed ? '§2.8' : '§2.7');
  }
  const own = side === 'device' ? RW : ACCESS.READ;
  const theirs = side === 'device' ? ACCESS.READ : RW;
  const parts: readonly [Part, Part, Part] = packed
    ? [
        part('desc', config.desc, pvirtqDescBytes(size), PVIRTQ_DESC.ALIGN, RW),
        part('driver', config.driver, PVIRTQ_EVENT_SUPPRESS.SIZE, PVIRTQ_EVENT_SUPPRESS.ALIGN, theirs),
        part('device', config.device, PVIRTQ_EVENT_SUPPRESS.SIZE, PVIRTQ_EVENT_SUPPRESS.ALIGN, own),
      ]
    : [
        part('desc', config.desc, virtqDescBytes(size), VIRTQ_DESC.ALIGN, theirs),
        part('driver', config.driver, virtqAvailBytes(size), VIRTQ_AVAIL.ALIGN, theirs),
        part('device', config.device, virtqUsedBytes(size), VIRTQ_USED.ALIGN, own),
      ];
  const spec = packed ? '§2.8.10.1' : '§2.7';
  const at: number[] = [];
  for (const { field, address, bytes, align, access } of parts) {
    if (address % align !== 0) return refuse(field, address, `a multiple of ${align}`, spec);
    const offset = space.resolve(address, bytes, access);
    if (offset < 0) return refuse(field, address, `${bytes} bytes of contiguous memory within reach`, spec);
    // Only a foreign memory's placement can spoil this: its own base is not aligned as the guest's addresses are.
    if (offset % Math.min(align, 4) !== 0) return refuse(field, address, `a host offset aligned to ${align}`, spec);
    at.push(offset);
  }
  for (const [a, b] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    const lower = at[a]! <= at[b]! ? a : b;
    const upper = lower === a ? b : a;
    if (at[upper]! < at[lower]! + parts[lower].bytes)
      return refuse(parts[b].field, parts[b].address, `memory apart from the ${parts[a].field} area`, spec);
  }
  return {
    memory: space.memory,
    space,
    size,
    desc: at[0]!,
    driver: at[1]!,
    device: at[2]!,
    packed,
    indirect: hasFeature(features, VIRTIO_F.INDIRECT_DESC),
    eventIdx: hasFeature(features, VIRTIO_F.EVENT_IDX),
    inOrder: hasFeature(features, VIRTIO_F.IN_ORDER),
    config,
  };
}

/** Tell a refusal from a queue. */
export const isRefusal = (outcome: object): outcome is QueueRefusal => 'message' in outcome && 'field' in outcome;

function part(field: Part['field'], address: number, bytes: number, align: number, access: number): Part {
  return { field, address, bytes, align, access };
}

function refuse(field: QueueRefusal['field'], value: number, want: string, section: string): LayoutRefusal {
  const spec = `virtio 1.4 ${section}`;
  return { field, message: new VirtioError(field, value, want, spec).message, want, spec };
}
