import type { QueueState } from '@ringwire/virtqueue';

/** Bits of a position in a packed ring: index below, wrap counter on top. */
const INDEX = 0x7fff;
const WRAP_SHIFT = 15;

/**
 * The 32 bits of VHOST_SET_VRING_BASE and VHOST_GET_VRING_BASE. Split: the available index. Packed: what is taken next in the
 * low half, what is used next in the high half, each with its wrap counter as bit 15.
 */
export function vringBaseOf(state: QueueState): number {
  if (state.layout === 'split') return state.lastAvailIdx;
  const avail = state.lastAvailIdx | (state.lastAvailWrapCounter << WRAP_SHIFT);
  const used = state.usedIdx | (state.usedWrapCounter << WRAP_SHIFT);
  return (avail | (used << 16)) >>> 0;
}

/** @returns undefined for a number that no ring of the layout is at */
export function stateOfVringBase(base: number, isPacked: boolean): QueueState | undefined {
  if (base >>> 0 !== base) return undefined;
  if (!isPacked) return base > 0xffff ? undefined : { layout: 'split', lastAvailIdx: base, usedIdx: base };
  return {
    layout: 'packed',
    lastAvailIdx: base & INDEX,
    lastAvailWrapCounter: ((base >>> WRAP_SHIFT) & 1) as 0 | 1,
    usedIdx: (base >>> 16) & INDEX,
    usedWrapCounter: (base >>> 31) as 0 | 1,
  };
}
