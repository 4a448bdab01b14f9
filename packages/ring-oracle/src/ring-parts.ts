import {
  PVIRTQ_DESC,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  VIRTQ_AVAIL,
  VIRTQ_DESC,
  VIRTQ_USED,
  virtqAvailBytes,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';
import type { Findings } from './findings.js';
import { ADDRESS_END, hex, type MemoryReader, type Presence } from './memory-reader.js';
import type { PartName, RingPart } from './report.js';
import type { RingInput } from './ring-input.js';

/** One area of a queue with its bytes, read once so that a running guest cannot change them under the walk. */
export class PartView {
  readonly name: PartName;
  readonly area: RingPart['area'];
  readonly address: bigint;
  readonly bytes: number;
  readonly align: number;
  readonly presence: Presence;
  readonly #memory: MemoryReader;
  readonly #whole: DataView | null;

  constructor(memory: MemoryReader, kind: PartKind, address: bigint) {
    this.name = kind.name;
    this.area = kind.area;
    this.address = address;
    this.bytes = kind.bytes;
    this.align = kind.align;
    this.presence = probeRange(memory, address, BigInt(kind.bytes));
    this.#memory = memory;
    const whole = this.presence.state === 'saved' ? memory.read(address, kind.bytes) : null;
    this.#whole = whole === null ? null : new DataView(whole.buffer, whole.byteOffset, whole.length);
  }

  /** `length` bytes at a byte offset; null when they are not known. */
  view(offset: number, length: number): DataView | null {
    const whole = this.#whole;
    if (whole !== null) return new DataView(whole.buffer, whole.byteOffset + offset, length);
    if (this.address + BigInt(offset + length) > ADDRESS_END) return null;
    const bytes = this.#memory.read(this.address + BigInt(offset), length);
    return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** A little-endian 16-bit field. */
  u16(offset: number): number | null {
    return this.#whole?.getUint16(offset, true) ?? this.view(offset, 2)?.getUint16(0, true) ?? null;
  }

  /** True when all of it is known and zero. */
  isZero(): boolean {
    const view = this.#whole;
    if (view === null) return false;
    for (let at = 0; at < view.byteLength; at++) if (view.getUint8(at) !== 0) return false;
    return true;
  }

  report(): RingPart {
    const { name, area, bytes } = this;
    return { name, area, address: hex(this.address), bytes, state: this.presence.state };
  }
}

/** `probe` for a range that may pass the end of the address space, where there is no RAM. */
export function probeRange(memory: MemoryReader, address: bigint, length: bigint): Presence {
  return address + length > ADDRESS_END ? { state: 'unmapped', at: ADDRESS_END } : memory.probe(address, length);
}

interface PartKind {
  readonly name: PartName;
  readonly area: RingPart['area'];
  readonly bytes: number;
  readonly align: number;
}

/** virtio 1.4 §2.7 and §2.8.10.1: the two tables of sizes and alignments. */
function partKinds({ layout, size }: RingInput): readonly [PartKind, PartKind, PartKind] {
  const event = { bytes: PVIRTQ_EVENT_SUPPRESS.SIZE, align: PVIRTQ_EVENT_SUPPRESS.ALIGN };
  return layout === 'split'
    ? [
        { name: 'descriptor table', area: 'desc', bytes: virtqDescBytes(size), align: VIRTQ_DESC.ALIGN },
        { name: 'available ring', area: 'driver', bytes: virtqAvailBytes(size), align: VIRTQ_AVAIL.ALIGN },
        { name: 'used ring', area: 'device', bytes: virtqUsedBytes(size), align: VIRTQ_USED.ALIGN },
      ]
    : [
        { name: 'descriptor ring', area: 'desc', bytes: pvirtqDescBytes(size), align: PVIRTQ_DESC.ALIGN },
        { name: 'driver event suppression', area: 'driver', ...event },
        { name: 'device event suppression', area: 'device', ...event },
      ];
}

export interface RingParts {
  readonly desc: PartView;
  readonly driver: PartView;
  readonly device: PartView;
  readonly all: readonly PartView[];
}

export function readParts(input: RingInput): RingParts {
  const [desc, driver, device] = partKinds(input).map((kind) => new PartView(input.memory, kind, input[kind.area]));
  return { desc: desc!, driver: driver!, device: device!, all: [desc!, driver!, device!] };
}

/** Alignment, RAM behind all of it, and no byte in two areas. */
export function checkParts(input: RingInput, parts: RingParts, find: Findings): void {
  const { layout } = input;
  for (const part of parts.all) {
    const { name, area, address, align, presence } = part;
    if (address % BigInt(align) !== 0n) {
      const message = `queue_${area} is ${hex(address)}, want the ${name} at a multiple of ${align}.`;
      find.violation(`drv.${layout}.alignment.1`, name, address, message);
    }
    if (presence.state === 'unmapped') {
      const message = `The ${name}, ${part.bytes} bytes from ${hex(address)}, is not all RAM: nothing at ${hex(presence.at)}.`;
      find.violation(`ring.${layout}.part-unmapped`, name, presence.at, message);
    }
  }
  for (const [i, a] of parts.all.entries()) {
    for (const b of parts.all.slice(i + 1)) {
      const at = overlap(a.address, BigInt(a.bytes), b.address, BigInt(b.bytes));
      if (at === null) continue;
      const message = `The ${a.name} (${span(a)}) and the ${b.name} (${span(b)}) share bytes, want each area for itself.`;
      find.violation(`ring.${layout}.part-overlap`, a.name, at, message);
    }
  }
}

const span = (part: PartView): string => `${hex(part.address)} to ${hex(part.address + BigInt(part.bytes) - 1n)}`;

/** The first byte that two ranges share; null when they share none. */
export function overlap(a: bigint, aBytes: bigint, b: bigint, bBytes: bigint): bigint | null {
  if (a < b) return b < a + aBytes && bBytes > 0n ? b : null;
  return a < b + bBytes && aBytes > 0n ? a : null;
}
