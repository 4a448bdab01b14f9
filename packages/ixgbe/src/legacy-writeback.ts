import type { HostMemory } from '@ringwire/guest-memory';
import { RX_ERROR, RX_LEGACY_ERROR, RX_STATUS } from '@ringwire/nic-spec/ixgbe';
import type { FrameFacts } from './frame-facts.js';

const LEGACY_STATUS = 0xff;

/**
 * Write a legacy receive descriptor back, but for its last word. 82599 datasheet §7.1.5
 * @param word index of the descriptor in `memory.u32`
 * @param bytes in this buffer
 * @returns the last word: status, errors, VLAN
 */
export function writeLegacy(
  memory: HostMemory,
  word: number,
  bytes: number,
  isLast: boolean,
  isStripped: boolean,
  facts: FrameFacts,
): number {
  memory.u32[word + 2] = bytes;
  if (!isLast) return RX_STATUS.DD;
  const status = (facts.status & LEGACY_STATUS) | RX_STATUS.DD | RX_STATUS.EOP | (isStripped ? RX_STATUS.VP : 0);
  return (status | (legacyErrors(facts.status) << 8) | (isStripped ? facts.vlan << 16 : 0)) >>> 0;
}

function legacyErrors(status: number): number {
  return (
    ((status & RX_ERROR.RXE) !== 0 ? RX_LEGACY_ERROR.RXE : 0) |
    ((status & RX_ERROR.L4E) !== 0 ? RX_LEGACY_ERROR.L4E : 0) |
    ((status & RX_ERROR.IPE) !== 0 ? RX_LEGACY_ERROR.IPE : 0)
  );
}
