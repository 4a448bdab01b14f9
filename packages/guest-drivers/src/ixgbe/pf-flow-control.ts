import { FCCFG, FCRTH, FCRTL, FCTTV, MFLCN, PF_REG, PF_ROW, rowAt } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import type { Registers } from './registers.js';

const SECTION = '82599 datasheet §3.7.7';
/** Granularity of watermarks, in bytes. */
const UNIT = 32;

/** What the host says of PAUSE frames. IEEE 802.3 annex 31B */
export interface FlowControl {
  /** Those that come stop what the card sends. */
  readonly receive: boolean;
  /** The card sends them. */
  readonly send: boolean;
  /** Bytes in the card's receive buffer above which the other end is to pause, and at which it may go on; multiples of 32. */
  readonly high: number;
  readonly low: number;
  /** For how long, in quanta of 512 bit times: 1 to 65535. */
  readonly time: number;
}

/** 82599 datasheet §3.7.7.3 */
export function setFlowControl(registers: Registers, { receive, send, high, low, time }: FlowControl): void {
  registers.write(rowAt(PF_ROW.FCTTV, 0), time);
  registers.write(rowAt(PF_ROW.FCRTL, 0), send ? (low | FCRTL.XONE) >>> 0 : 0);
  registers.write(rowAt(PF_ROW.FCRTH, 0), send ? (high | FCRTH.FCEN) >>> 0 : 0);
  registers.change(PF_REG.MFLCN, receive ? MFLCN.RFCE : 0, receive ? 0 : MFLCN.RFCE);
  registers.change(PF_REG.FCCFG, send ? FCCFG.TFCE_802_3X : 0, FCCFG.TFCE_MASK);
}

/** @throws VirtioError for what the card has not */
export function checkFlowControl({ high, low, time }: FlowControl): void {
  const isIn = (value: number, mask: number): boolean => Number.isInteger(value) && value >= 0 && (value & ~mask) === 0;
  if (!isIn(high, FCRTH.RTH_MASK) || high === 0)
    throw new VirtioError('high', high, `bytes, a multiple of ${UNIT} up to ${FCRTH.RTH_MASK}`, SECTION);
  if (!isIn(low, FCRTL.RTL_MASK) || low >= high)
    throw new VirtioError('low', low, `bytes, a multiple of ${UNIT} below high, ${high}`, SECTION);
  if (!isIn(time, FCTTV.TTV_MASK) || time === 0)
    throw new VirtioError('time', time, 'quanta, an integer from 1 to 65535', SECTION);
}
