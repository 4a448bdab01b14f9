import {
  AUTOC,
  CTRL,
  CTRL_EXT,
  DMATXCTL,
  EEC,
  EICR,
  FCTRL,
  GCR_EXT,
  GPIE,
  HLREG0,
  IVAR,
  IXGBE_COUNT,
  ivarOffset,
  ivarShift,
  MAXFRS,
  MCSTCTRL,
  MRQC,
  PF_REG,
  PF_ROW,
  PFDTXGSWC,
  PFVTCTL,
  RDRXCTL,
  RETA,
  RXCSUM,
  RXCTRL,
  rowAt,
  SECRXCTRL,
  SECRXSTAT,
  VLNCTRL,
} from '@ringwire/nic-spec/ixgbe';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import { type Patience, waitFor } from '../patience.js';
import { macOfWords } from './mac-address.js';
import type { PoolPlan } from './pf-pools.js';
import type { Registers } from './registers.js';

const ALL = 0xffff_ffff;
const PLAIN = 1518;
/** Interrupt bits of vectors; those above are causes. */
const VECTORS = EICR.RTX_QUEUE;

/** Reset the card, and wait until it has read its EEPROM. @returns RESET_TIMEOUT, REMOVED. 82599 datasheet §4.6.3 */
export function resetCard(registers: Registers, patience: Patience): Breakdown | undefined {
  registers.write(PF_REG.EIMC, ALL);
  registers.change(PF_REG.CTRL, CTRL.RST | CTRL.LRST, 0);
  const isDone = (at: number, bits: number, wanted: number): boolean =>
    waitFor(() => !registers.isGone(at) && (registers.read(at) & bits) === wanted, patience);
  const name = !isDone(PF_REG.CTRL, CTRL.RST | CTRL.LRST, 0)
    ? 'CTRL.RST does not end'
    : !isDone(PF_REG.EEC, EEC.AUTO_RD, EEC.AUTO_RD)
      ? 'EEC.AUTO_RD does not read 1'
      : !isDone(PF_REG.RDRXCTL, RDRXCTL.DMAIDONE, RDRXCTL.DMAIDONE)
        ? 'RDRXCTL.DMAIDONE does not read 1'
        : undefined;
  if (registers.isGone(PF_REG.CTRL)) return breakdown(BREAK.REMOVED, 'CTRL reads all ones: the card is not there');
  registers.write(PF_REG.EIMC, ALL);
  registers.read(PF_REG.EICR);
  return name === undefined ? undefined : breakdown(BREAK.RESET_TIMEOUT, `${name} (82599 datasheet §4.6.3)`);
}

/** The address that the card has from its EEPROM. */
export const burntMac = (registers: Registers): Uint8Array<ArrayBuffer> =>
  macOfWords(registers.read(rowAt(PF_ROW.RAL, 0)), registers.read(rowAt(PF_ROW.RAH, 0)));

/** Share the card out to pools, each of which gets frames by address and VLAN; all of them are closed. 82599 datasheet §4.6.11.2 */
export function sharePools(registers: Registers, plan: PoolPlan): void {
  registers.write(PF_REG.GCR_EXT, GCR_EXT.MSIX_EN | plan.vtMode);
  const { MSIX_MODE, OCD, EIAME, PBA_SUPPORT } = GPIE;
  registers.write(PF_REG.GPIE, MSIX_MODE | OCD | EIAME | PBA_SUPPORT | plan.gpieMode);
  for (let half = 0; half < PF_ROW.PFVFRE.count; half++) {
    registers.write(rowAt(PF_ROW.PFVFRE, half), 0);
    registers.write(rowAt(PF_ROW.PFVFTE, half), 0);
  }
  registers.write(PF_REG.PFVTCTL, PFVTCTL.VT_ENA | PFVTCTL.RPL_EN | (plan.own << PFVTCTL.DEF_PL_SHIFT));
  // Functions of the card send to each other without the wire.
  registers.write(PF_REG.PFDTXGSWC, PFDTXGSWC.LBE);
  registers.write(PF_REG.MTQC, plan.mtqc);
  for (let row = 0; row < PF_ROW.PFMBIMR.count; row++) registers.write(rowAt(PF_ROW.PFMBIMR, row), ALL);
}

/** How frames are taken, and how they are spread over the queues of a pool. 82599 datasheet §4.6.7, §7.1.2.8 */
export function setReception(
  registers: Registers,
  plan: PoolPlan,
  longestFrame: number,
  hashKey: Uint8Array,
  indirection: Uint8Array,
): void {
  registers.write(PF_REG.FCTRL, FCTRL.BAM);
  registers.change(PF_REG.VLNCTRL, VLNCTRL.VFE, VLNCTRL.CFIEN);
  registers.write(PF_REG.MCSTCTRL, MCSTCTRL.MFE);
  const { TXCRCEN, RXCRCSTRP, TXPADEN, JUMBOEN } = HLREG0;
  registers.write(PF_REG.HLREG0, TXCRCEN | RXCRCSTRP | TXPADEN | (longestFrame > PLAIN ? JUMBOEN : 0));
  registers.write(PF_REG.MAXFRS, longestFrame << MAXFRS.MFS_SHIFT);
  registers.change(PF_REG.RDRXCTL, RDRXCTL.CRCSTRIP, 0);
  // Hashes are told, in place of the sum of the whole frame.
  registers.write(PF_REG.RXCSUM, RXCSUM.PCSD);
  const { RSS_TCP_IPV4, RSS_IPV4, RSS_IPV6, RSS_TCP_IPV6, RSS_UDP_IPV4, RSS_UDP_IPV6 } = MRQC;
  const kinds = RSS_TCP_IPV4 | RSS_IPV4 | RSS_IPV6 | RSS_TCP_IPV6 | RSS_UDP_IPV4 | RSS_UDP_IPV6;
  const key = new DataView(hashKey.buffer, hashKey.byteOffset, hashKey.length);
  for (let word = 0; word < PF_ROW.RSSRK.count; word++)
    registers.write(rowAt(PF_ROW.RSSRK, word), key.getUint32(word * 4, true));
  for (let register = 0; register < PF_ROW.RETA.count; register++) {
    let value = 0;
    for (let i = 0; i < RETA.PER_REGISTER; i++) value |= indirection[register * RETA.PER_REGISTER + i]! << (8 * i);
    registers.write(rowAt(PF_ROW.RETA, register), value);
  }
  registers.write(PF_REG.MRQC, plan.mrqc | kinds);
}

/** Switch both directions on: queues are enabled afterwards. 82599 datasheet §4.6.7, §4.6.8 */
export function startTraffic(registers: Registers, patience: Patience): void {
  registers.change(PF_REG.DMATXCTL, DMATXCTL.TE, 0);
  registers.change(PF_REG.SECRXCTRL, SECRXCTRL.RX_DIS, 0);
  waitFor(() => (registers.read(PF_REG.SECRXSTAT) & SECRXSTAT.SECRX_RDY) !== 0, patience);
  registers.change(PF_REG.RXCTRL, RXCTRL.RXEN, 0);
  registers.change(PF_REG.SECRXCTRL, 0, SECRXCTRL.RX_DIS);
}

/** Say which vector tells of what; all stay masked. @param others vector of mailboxes and link */
export function mapVectors(registers: Registers, queue: number, vector: number, others: number): void {
  const at = rowAt(PF_ROW.IVAR, 0) + ivarOffset(queue);
  const entry = IVAR.VALID | vector;
  const shifts = [ivarShift(queue, false), ivarShift(queue, true)] as const;
  for (const shift of shifts) registers.change(at, entry << shift, 0xff << shift);
  registers.write(PF_REG.IVAR_MISC, (IVAR.VALID | others) << 8);
  // A message clears and masks its own cause, until it was looked after.
  registers.write(PF_REG.EIAC, VECTORS);
  registers.write(PF_REG.EIAM, VECTORS);
}

/** Causes that the last vector tells of, as bits of EICR; asking takes the note away. */
export function takeCauses(registers: Registers): number {
  const causes = registers.read(PF_REG.EICR) & ~VECTORS;
  registers.write(PF_REG.EICR, causes);
  return causes;
}

/** Queues that the card stopped because of what was in them; asking takes the note away. @returns numbers, 0 to 127 */
export function takeStopped(registers: Registers): readonly { readonly queue: number; readonly isReceive: boolean }[] {
  const stopped: { queue: number; isReceive: boolean }[] = [];
  for (const isReceive of [true, false]) {
    const row = isReceive ? PF_ROW.WQBR_RX : PF_ROW.WQBR_TX;
    for (let word = 0; word < row.count; word++) {
      const bits = registers.read(rowAt(row, word));
      if (bits === 0 || bits === ALL) continue;
      registers.write(rowAt(row, word), bits);
      for (let bit = 0; bit < IXGBE_COUNT.QUEUES / row.count; bit++)
        if (((bits >>> bit) & 1) === 1) stopped.push({ queue: word * 32 + bit, isReceive });
    }
  }
  return stopped;
}

/** Mbit/s that the wire can be set to. */
export type LinkSpeed = 10_000 | 1000;

/** Set the wire's speed, and bring the link up anew. 82599 datasheet §8.2.3.22, AUTOC */
export function setSpeed(registers: Registers, speed: LinkSpeed): void {
  const mode = speed === 10_000 ? AUTOC.LMS_10G_SFI : AUTOC.LMS_1G;
  const set = (mode << AUTOC.LMS_SHIFT) | AUTOC.RESTART_AN;
  registers.change(PF_REG.AUTOC, set, AUTOC.LMS_MASK << AUTOC.LMS_SHIFT);
}

/** Stop the card: virtual functions notice. */
export function stopCard(registers: Registers): void {
  registers.write(PF_REG.EIMC, ALL);
  sayPresent(registers, false);
  registers.change(PF_REG.CTRL, CTRL.RST, 0);
}

/** Tell virtual functions that the physical one is there, or is not. */
export function sayPresent(registers: Registers, isPresent: boolean): void {
  const { PFRSTD, DRV_LOAD } = CTRL_EXT;
  registers.change(PF_REG.CTRL_EXT, isPresent ? PFRSTD | DRV_LOAD : 0, isPresent ? 0 : PFRSTD | DRV_LOAD);
}
