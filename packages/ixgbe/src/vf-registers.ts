import {
  IVAR,
  IXGBE_COUNT,
  IXGBE_MSIX,
  PF_ROW,
  RX_QUEUE,
  rowAt,
  TX_QUEUE,
  VF_QUEUES_AT,
  VF_REG,
  VFCTRL,
  VFMBMEM_WORDS,
  VTEICR_MASK,
} from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';
import type { IxgbePort } from './function-options.js';
import type { Mailbox } from './mailbox.js';
import type { RxQueue } from './rx-queue.js';
import type { FunctionStatistics } from './statistics.js';
import type { TxQueue } from './tx-queue.js';
import type { VectorCauses } from './vector-causes.js';
import { linksOf, timerOf } from './wire-registers.js';

const WORD = 0x1_0000_0000;
const IVARS = 4;
const VECTORS = IXGBE_MSIX.VF_VECTORS;
const QUEUE_BYTES: number = IXGBE_COUNT.VF_QUEUES * RX_QUEUE.STRIDE;

/** What registers of a virtual function are about, and what they do outside of themselves. */
export interface VirtualParts {
  /** Which virtual function it is, and which pool. */
  readonly index: number;
  readonly port: IxgbePort;
  readonly causes: VectorCauses;
  readonly statistics: FunctionStatistics;
  /** The queue of a number, if the function has it by now. */
  rxQueue(queue: number): RxQueue | undefined;
  txQueue(queue: number): TxQueue | undefined;
  /** VFCTRL.RST was set. */
  reset(): void;
  /** The tail of a queue was written: receive queue i is 2i, transmit queue i is 2i + 1. @returns whether that was all */
  notified(queue: number): boolean;
}

/** Reads and writes of a virtual function's registers, by offset in BAR 0. What is no register reads as 0. */
export class VirtualRegisters {
  /** VTIVAR, and VTIVAR_MISC. */
  readonly ivar: Uint32Array = new Uint32Array(IVARS);
  ivarMisc = 0;
  private readonly card: IxgbeCard;
  private readonly parts: VirtualParts;
  private readonly mailbox: Mailbox;
  /** Where the card has its PSRTYPE. */
  private readonly splitAt: number;

  constructor(card: IxgbeCard, parts: VirtualParts) {
    this.card = card;
    this.parts = parts;
    this.mailbox = card.mailboxes[parts.index]!;
    this.splitAt = rowAt(PF_ROW.PSRTYPE, parts.index);
  }

  reset(): void {
    this.ivar.fill(0);
    this.ivarMisc = 0;
  }

  read(at: number): number {
    const rx = at - VF_QUEUES_AT.RX;
    const tx = at - VF_QUEUES_AT.TX;
    if (isStatistic(at)) return this.statistic(at);
    if (rx >= 0 && rx < QUEUE_BYTES) return this.rxAt(rx)?.read(rx % RX_QUEUE.STRIDE) ?? 0;
    if (tx >= 0 && tx < QUEUE_BYTES) return this.txAt(tx)?.read(tx % TX_QUEUE.STRIDE) ?? 0;
    const { mailbox } = this;
    const word = (at - VF_REG.VFMBMEM) >>> 2;
    if (at >= VF_REG.VFMBMEM && word < VFMBMEM_WORDS) return mailbox.memory[word]!;
    const { causes } = this.parts;
    switch (at) {
      case VF_REG.VFSTATUS:
        return 0;
      case VF_REG.VFLINKS:
        return linksOf(this.card, this.parts.port);
      case VF_REG.VFFRTIMER:
        return timerOf(this.card);
      case VF_REG.VTEICR:
        return this.takeCauses();
      case VF_REG.VTEICS:
        return causes.cause[0]! >>> 0;
      case VF_REG.VTEIMS:
        return causes.enabled[0]! >>> 0;
      case VF_REG.VTEIAC:
        return causes.autoClear[0]! >>> 0;
      case VF_REG.VTEIAM:
        return causes.autoMask[0]! >>> 0;
      case VF_REG.VTIVAR_MISC:
        return this.ivarMisc;
      case VF_REG.VFMAILBOX:
        return mailbox.readVirtual();
      case VF_REG.VFPSRTYPE:
        return this.card.registers.get(this.splitAt);
      default:
        return this.readRow(at);
    }
  }

  write(at: number, value: number): void {
    const rx = at - VF_QUEUES_AT.RX;
    const tx = at - VF_QUEUES_AT.TX;
    const tail = tailOf(rx, tx);
    if (tail >= 0 && this.parts.notified(tail)) return;
    if (rx >= 0 && rx < QUEUE_BYTES) {
      if (!isStatistic(at)) this.rxAt(rx)?.write(rx % RX_QUEUE.STRIDE, value);
      return;
    }
    if (tx >= 0 && tx < QUEUE_BYTES) {
      if (!isStatistic(at)) this.txAt(tx)?.write(tx % TX_QUEUE.STRIDE, value);
      return;
    }
    const { mailbox } = this;
    const word = (at - VF_REG.VFMBMEM) >>> 2;
    if (at >= VF_REG.VFMBMEM && word < VFMBMEM_WORDS) {
      mailbox.memory[word] = value;
      return;
    }
    const { causes } = this.parts;
    const vectors = value & VTEICR_MASK;
    switch (at) {
      case VF_REG.VFCTRL:
        if ((value & VFCTRL.RST) !== 0) this.parts.reset();
        return;
      case VF_REG.VTEICR:
        causes.clear(0, vectors);
        return;
      case VF_REG.VTEICS:
        causes.setBits(0, vectors);
        return;
      case VF_REG.VTEIMS:
        causes.enable(0, vectors);
        return;
      case VF_REG.VTEIMC:
        causes.disable(0, vectors);
        return;
      case VF_REG.VTEIAC:
        causes.autoClear[0] = vectors;
        return;
      case VF_REG.VTEIAM:
        causes.autoMask[0] = vectors;
        return;
      case VF_REG.VTIVAR_MISC:
        this.ivarMisc = value & (IVAR.VALID | IVAR.VF_VECTOR_MASK);
        return;
      case VF_REG.VFMAILBOX:
        mailbox.writeVirtual(value);
        return;
      case VF_REG.VFPSRTYPE:
        this.card.registers.set(this.splitAt, value);
        return;
      default:
        this.writeRow(at, value);
    }
  }

  private readRow(at: number): number {
    const ivar = (at - VF_REG.VTIVAR) >>> 2;
    if (at >= VF_REG.VTIVAR && ivar < IVARS) return this.ivar[ivar]!;
    const eitr = (at - VF_REG.VTEITR) >>> 2;
    return at >= VF_REG.VTEITR && eitr < VECTORS ? this.parts.causes.eitr[eitr]! : 0;
  }

  private writeRow(at: number, value: number): void {
    const ivar = (at - VF_REG.VTIVAR) >>> 2;
    if (at >= VF_REG.VTIVAR && ivar < IVARS) this.ivar[ivar] = value;
    const eitr = (at - VF_REG.VTEITR) >>> 2;
    if (at >= VF_REG.VTEITR && eitr < VECTORS) this.parts.causes.moderate(eitr, value);
  }

  private rxAt(offset: number): RxQueue | undefined {
    return this.parts.rxQueue(Math.floor(offset / RX_QUEUE.STRIDE));
  }

  private txAt(offset: number): TxQueue | undefined {
    return this.parts.txQueue(Math.floor(offset / TX_QUEUE.STRIDE));
  }

  private takeCauses(): number {
    const { causes } = this.parts;
    const found = causes.cause[0]! >>> 0;
    causes.clear(0, found);
    return found;
  }

  private statistic(at: number): number {
    const { statistics } = this.parts;
    switch (at) {
      case VF_REG.VFGPRC:
        return statistics.rxFrames % WORD;
      case VF_REG.VFGORC_LSB:
        return statistics.rxBytes % WORD;
      case VF_REG.VFGORC_MSB:
        return Math.floor(statistics.rxBytes / WORD) & 0xf;
      case VF_REG.VFMPRC:
        return statistics.rxMulticast % WORD;
      case VF_REG.VFGPTC:
        return statistics.txFrames % WORD;
      case VF_REG.VFGOTC_LSB:
        return statistics.txBytes % WORD;
      default:
        return Math.floor(statistics.txBytes / WORD) & 0xf;
    }
  }
}

/** Whose tail the register is, by the numbers of `VirtualParts.notified`; -1 for another register. */
function tailOf(rx: number, tx: number): number {
  if (rx >= 0 && rx < QUEUE_BYTES && rx % RX_QUEUE.STRIDE === RX_QUEUE.RDT) return 2 * Math.floor(rx / RX_QUEUE.STRIDE);
  if (tx >= 0 && tx < QUEUE_BYTES && tx % TX_QUEUE.STRIDE === TX_QUEUE.TDT)
    return 2 * Math.floor(tx / TX_QUEUE.STRIDE) + 1;
  return -1;
}

/** Statistics lie between the registers of queue 0, where queues have none. */
function isStatistic(at: number): boolean {
  switch (at) {
    case VF_REG.VFGPRC:
    case VF_REG.VFGORC_LSB:
    case VF_REG.VFGORC_MSB:
    case VF_REG.VFMPRC:
    case VF_REG.VFGPTC:
    case VF_REG.VFGOTC_LSB:
    case VF_REG.VFGOTC_MSB:
      return true;
    default:
      return false;
  }
}
