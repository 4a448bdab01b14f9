import { RX_QUEUE, RXDCTL, SRRCTL, TX_QUEUE, TXDCTL } from '@ringwire/nic-spec/ixgbe';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import { type Patience, waitFor } from '../patience.js';
import type { Registers } from './registers.js';
import type { RxRing } from './rx-ring.js';
import type { TxRing } from './tx-ring.js';

const WORD = 0x1_0000_0000;
const GONE = 0xffff_ffff;

/** What a receive queue does beside taking frames. */
export interface RxQueueWishes {
  /** Bytes of its buffers, a multiple of 1024. */
  readonly bufferBytes: number;
  /** Tags are taken out. */
  readonly stripsTags: boolean;
}

/**
 * Program a receive queue and switch it on; buffers are given to it afterwards.
 * @param at offset of the queue's registers
 * @returns QUEUE_TIMEOUT when it does not read enabled. 82599 datasheet §4.6.7.1
 */
export function enableRxQueue(
  registers: Registers,
  at: number,
  ring: RxRing,
  wishes: RxQueueWishes,
  patience: Patience,
): Breakdown | undefined {
  writeRing(registers, at + RX_QUEUE.RDBAL, at + RX_QUEUE.RDLEN, ring);
  const { DESCTYPE_ADV_ONE_BUFFER, DROP_EN, BSIZEPACKET_UNIT } = SRRCTL;
  registers.write(at + RX_QUEUE.SRRCTL, DESCTYPE_ADV_ONE_BUFFER | DROP_EN | (wishes.bufferBytes / BSIZEPACKET_UNIT));
  registers.write(at + RX_QUEUE.RDH, 0);
  registers.write(at + RX_QUEUE.RDT, 0);
  registers.write(at + RX_QUEUE.RXDCTL, RXDCTL.ENABLE | (wishes.stripsTags ? RXDCTL.VME : 0));
  return waitForBit(registers, at + RX_QUEUE.RXDCTL, RXDCTL.ENABLE, true, patience, 'RXDCTL');
}

/** Program a transmit queue and switch it on. @see enableRxQueue. 82599 datasheet §4.6.8.1 */
export function enableTxQueue(
  registers: Registers,
  at: number,
  ring: TxRing,
  patience: Patience,
): Breakdown | undefined {
  writeRing(registers, at + TX_QUEUE.TDBAL, at + TX_QUEUE.TDLEN, ring);
  registers.write(at + TX_QUEUE.TDH, 0);
  registers.write(at + TX_QUEUE.TDT, 0);
  // No report of the head in memory: descriptors are written back.
  registers.write(at + TX_QUEUE.TDWBAL, 0);
  registers.write(at + TX_QUEUE.TDWBAH, 0);
  registers.write(at + TX_QUEUE.TXDCTL, TXDCTL.ENABLE);
  return waitForBit(registers, at + TX_QUEUE.TXDCTL, TXDCTL.ENABLE, true, patience, 'TXDCTL');
}

/** Switch a receive queue off. @returns QUEUE_TIMEOUT when it does not end: its memory is not to be used again */
export function disableRxQueue(registers: Registers, at: number, patience: Patience): Breakdown | undefined {
  registers.write(at + RX_QUEUE.RXDCTL, 0);
  return waitForBit(registers, at + RX_QUEUE.RXDCTL, RXDCTL.ENABLE, false, patience, 'RXDCTL');
}

/** Switch a transmit queue off. @see disableRxQueue */
export function disableTxQueue(registers: Registers, at: number, patience: Patience): Breakdown | undefined {
  registers.write(at + TX_QUEUE.TXDCTL, 0);
  return waitForBit(registers, at + TX_QUEUE.TXDCTL, TXDCTL.ENABLE, false, patience, 'TXDCTL');
}

function writeRing(registers: Registers, baseAt: number, lengthAt: number, ring: RxRing | TxRing): void {
  registers.write(baseAt, ring.address % WORD);
  registers.write(baseAt + 4, Math.floor(ring.address / WORD));
  registers.write(lengthAt, ring.bytes);
}

function waitForBit(
  registers: Registers,
  at: number,
  bit: number,
  wanted: boolean,
  patience: Patience,
  name: string,
): Breakdown | undefined {
  const is = (): boolean => {
    const value = registers.read(at);
    // A function that is gone has no queue that is enabled.
    return (value !== GONE && (value & bit) !== 0) === wanted;
  };
  if (waitFor(is, patience)) return undefined;
  const message = `${name} at ${at} does not read ${wanted ? 'enabled' : 'disabled'}`;
  return breakdown(BREAK.QUEUE_TIMEOUT, `${message} (82599 datasheet §4.6.7, §4.6.8)`);
}
