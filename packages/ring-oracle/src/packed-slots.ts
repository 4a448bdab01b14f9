import { PVIRTQ_DESC, PVIRTQ_EVENT_MASK, PVIRTQ_EVENT_SUPPRESS, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import { type RawDescriptor, rawDescriptor } from './chain-walk.js';
import type { EventSuppress } from './report.js';
import type { PartView } from './ring-parts.js';

const { AVAIL, USED } = VIRTQ_DESC_F;

/** The AVAIL bit as 0 or 1: parity of the lap in which the driver last wrote this slot. virtio 1.4 §2.8.1. */
export const availBit = (flags: number): 0 | 1 => ((flags & AVAIL) === 0 ? 0 : 1);
export const usedBit = (flags: number): 0 | 1 => ((flags & USED) === 0 ? 0 : 1);

/** virtio 1.4 §2.8.1: AVAIL matches the wrap counter and USED does not. */
export const isAvailable = (flags: number, wrap: 0 | 1): boolean => availBit(flags) === wrap && usedBit(flags) !== wrap;

/** The bits differ: made available in some lap and, for all this slot can tell, not used. */
export const looksAvailable = (flags: number): boolean => availBit(flags) !== usedBit(flags);

/** Descriptors of a packed ring. */
export class PackedSlots {
  readonly size: number;
  readonly #ring: PartView;

  constructor(ring: PartView, size: number) {
    this.#ring = ring;
    this.size = size;
  }

  address(slot: number): bigint {
    return this.#ring.address + BigInt(slot * PVIRTQ_DESC.SIZE);
  }

  flags(slot: number): number | null {
    return this.#ring.u16(slot * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags);
  }

  id(slot: number): number | null {
    return this.#ring.u16(slot * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.id);
  }

  raw(slot: number): RawDescriptor | null {
    const view = this.#ring.view(slot * PVIRTQ_DESC.SIZE, PVIRTQ_DESC.SIZE);
    return view === null ? null : packedDescriptor(view);
  }
}

export const packedDescriptor = (view: DataView): RawDescriptor =>
  rawDescriptor(view, PVIRTQ_DESC.flags, PVIRTQ_DESC.id);

/** virtio 1.4 §2.8.14. `reserved` are the bits of `flags` above desc_event_flags. */
export function readEvent(part: PartView): (EventSuppress & { readonly reserved: number }) | null {
  const desc = part.u16(PVIRTQ_EVENT_SUPPRESS.desc);
  const flags = part.u16(PVIRTQ_EVENT_SUPPRESS.flags);
  if (desc === null || flags === null) return null;
  return {
    desc_event_off: desc & PVIRTQ_EVENT_MASK.desc_event_off,
    desc_event_wrap: (desc & PVIRTQ_EVENT_MASK.desc_event_wrap) === 0 ? 0 : 1,
    desc_event_flags: flags & PVIRTQ_EVENT_MASK.desc_event_flags,
    reserved: flags & ~PVIRTQ_EVENT_MASK.desc_event_flags,
  };
}
