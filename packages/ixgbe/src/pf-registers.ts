import {
  AUTOC,
  CTRL,
  CTRL_EXT,
  EEC,
  PF_REG,
  PF_ROW,
  PFQDE,
  RDRXCTL,
  RTTDQSEL,
  RX_QUEUE,
  rowAt,
  SECRXSTAT,
  SECTXSTAT,
  STATUS,
  SWSM,
  TX_QUEUE,
  VFMBMEM_WORDS,
} from '@ringwire/nic-spec/ixgbe';
import type { VirtualFunctions } from '@ringwire/pci';
import type { IxgbeCard } from './card.js';
import type { IxgbePort } from './function-options.js';
import type { PhysicalInterrupts } from './pf-interrupts.js';
import { StatisticsRegisters } from './pf-statistics.js';
import { isStatistic, isSteering, ROW_OF, type RowName } from './register-kinds.js';
import { mailboxWordAt, readEeprom, rxQueueAt, txQueueAt, vectorOf } from './register-places.js';
import type { RxQueue } from './rx-queue.js';
import type { TxQueue } from './tx-queue.js';
import type { VectorCauses } from './vector-causes.js';
import { linksOf, timerOf } from './wire-registers.js';

/** What the registers do outside of themselves. */
export interface PhysicalParts {
  readonly port: IxgbePort;
  readonly virtualFunctions: VirtualFunctions;
  /** CTRL.RST or CTRL.LRST was set. */
  reset(): void;
}

/** Reads and writes of the physical function's registers, by offset in BAR 0. What is no register reads as 0. */
export class PhysicalRegisters {
  private readonly card: IxgbeCard;
  private readonly interrupts: PhysicalInterrupts;
  private readonly causes: VectorCauses;
  private readonly parts: PhysicalParts;
  private readonly statistics: StatisticsRegisters;

  constructor(card: IxgbeCard, interrupts: PhysicalInterrupts, causes: VectorCauses, parts: PhysicalParts) {
    this.card = card;
    this.interrupts = interrupts;
    this.causes = causes;
    this.parts = parts;
    this.statistics = new StatisticsRegisters(card);
  }

  read(at: number): number {
    const rx = rxQueueAt(at);
    if (rx >= 0) return this.rxQueue(rx)?.read(at % RX_QUEUE.STRIDE) ?? 0;
    const tx = txQueueAt(at);
    if (tx >= 0) return this.txQueue(tx)?.read(at % TX_QUEUE.STRIDE) ?? 0;
    const mailbox = mailboxWordAt(at);
    if (mailbox >= 0) return this.card.mailboxes[mailbox >>> 4]!.memory[mailbox & (VFMBMEM_WORDS - 1)]!;
    if (!this.card.registers.has(at)) return 0;
    const row = ROW_OF.get(at);
    return row === undefined ? this.readSingle(at) : this.readRow(row.name, row.index, at);
  }

  write(at: number, value: number): void {
    const rx = rxQueueAt(at);
    const tx = txQueueAt(at);
    const mailbox = mailboxWordAt(at);
    if (rx >= 0) this.rxQueue(rx)?.write(at % RX_QUEUE.STRIDE, value);
    else if (tx >= 0) this.txQueue(tx)?.write(at % TX_QUEUE.STRIDE, value);
    else if (mailbox >= 0) this.card.mailboxes[mailbox >>> 4]!.memory[mailbox & (VFMBMEM_WORDS - 1)] = value;
    else if (this.card.registers.has(at)) this.writeRegister(at, value);
  }

  private writeRegister(at: number, value: number): void {
    const row = ROW_OF.get(at);
    if (row === undefined) this.writeSingle(at, value);
    else this.writeRow(row.name, row.index, at, value);
  }

  /** The register file is as after power-on: what is kept elsewhere follows. */
  reset(): void {
    this.causes.eitr.fill(0);
  }

  private readSingle(at: number): number {
    const { card } = this;
    const value = card.registers.get(at);
    switch (at) {
      case PF_REG.STATUS:
        return this.status();
      case PF_REG.LINKS:
        return linksOf(card, this.parts.port);
      case PF_REG.FRTIMER:
        return timerOf(card);
      case PF_REG.EEC:
        return EEC.AUTO_RD;
      case PF_REG.SWSM:
        // Whoever reads it first has it. 82599 datasheet §8.2.3.4, SWSM.SMBI
        card.registers.set(at, value | SWSM.SMBI);
        return value;
      case PF_REG.EICR:
      case PF_REG.EICS:
      case PF_REG.EIMS:
      case PF_REG.EIMC:
      case PF_REG.EIAC:
      case PF_REG.EIAM:
        return this.interrupts.read(at);
      case PF_REG.RDRXCTL:
        return value | RDRXCTL.DMAIDONE;
      case PF_REG.SECTXSTAT:
        return SECTXSTAT.SECTX_RDY;
      case PF_REG.SECRXSTAT:
        return SECRXSTAT.SECRX_RDY;
      case PF_REG.RTTBCNRC:
        return card.rates[card.registers.get(PF_REG.RTTDQSEL) & RTTDQSEL.QUEUE_MASK]!;
      case PF_REG.LVMMC_RX:
      case PF_REG.LVMMC_TX:
      case PF_REG.LMVM_RX:
      case PF_REG.LMVM_TX:
        card.registers.set(at, 0);
        return value;
      default:
        return isStatistic(at) ? this.statistics.read(at) : value;
    }
  }

  private writeSingle(at: number, value: number): void {
    const { card } = this;
    const { registers } = card;
    switch (at) {
      case PF_REG.CTRL:
        registers.set(at, value & CTRL.PCIE_MASTER_DISABLE);
        if ((value & (CTRL.RST | CTRL.LRST)) !== 0) this.parts.reset();
        return;
      case PF_REG.CTRL_EXT:
        registers.set(at, value & ~CTRL_EXT.PFRSTD);
        if ((value & CTRL_EXT.PFRSTD) !== 0) for (const mailbox of card.mailboxes) mailbox.physicalIsBack();
        return;
      case PF_REG.EICR:
      case PF_REG.EICS:
      case PF_REG.EIMS:
      case PF_REG.EIMC:
      case PF_REG.EIAC:
      case PF_REG.EIAM:
        this.interrupts.write(at, value);
        return;
      case PF_REG.EERD:
        registers.set(at, readEeprom(value));
        return;
      case PF_REG.PFQDE:
        this.writeDropEnable(value);
        return;
      case PF_REG.RTTBCNRC:
        card.rates[registers.get(PF_REG.RTTDQSEL) & RTTDQSEL.QUEUE_MASK] = value;
        card.settingsVersion++;
        return;
      case PF_REG.AUTOC:
        this.store(at, value & ~AUTOC.RESTART_AN);
        return;
      case PF_REG.STATUS:
      case PF_REG.LINKS:
      case PF_REG.FRTIMER:
      case PF_REG.EEC:
      case PF_REG.SECTXSTAT:
      case PF_REG.SECRXSTAT:
        return;
      default:
        if (!isStatistic(at)) this.store(at, value);
    }
  }

  private readRow(name: RowName, index: number, at: number): number {
    const { card, causes } = this;
    switch (name) {
      case 'RAL_ALIAS':
        return card.registers.get(rowAt(PF_ROW.RAL, index));
      case 'RAH_ALIAS':
        return card.registers.get(rowAt(PF_ROW.RAH, index));
      case 'SRRCTL_ALIAS':
        return this.rxQueue(index)?.read(RX_QUEUE.SRRCTL) ?? 0;
      case 'DCA_RXCTRL_ALIAS':
        return this.rxQueue(index)?.read(RX_QUEUE.DCA_RXCTRL) ?? 0;
      case 'PFMAILBOX':
        return card.mailboxes[index]!.readPhysical();
      case 'EITR_LOW':
      case 'EITR_HIGH':
        return causes.eitr[vectorOf(at)] ?? 0;
      case 'EIMS_EX':
      case 'EIMC_EX':
        return causes.enabled[index]! >>> 0;
      case 'EICS_EX':
        return causes.cause[index]! >>> 0;
      case 'EIAM_EX':
        return causes.autoMask[index]! >>> 0;
      default:
        return isStatistic(at) ? this.statistics.read(at) : card.registers.get(at);
    }
  }

  private writeRow(name: RowName, index: number, at: number, value: number): void {
    const { card, interrupts } = this;
    switch (name) {
      case 'RAL_ALIAS':
        this.store(rowAt(PF_ROW.RAL, index), value);
        return;
      case 'RAH_ALIAS':
        this.store(rowAt(PF_ROW.RAH, index), value);
        return;
      case 'SRRCTL_ALIAS':
        this.rxQueue(index)?.write(RX_QUEUE.SRRCTL, value);
        return;
      case 'DCA_RXCTRL_ALIAS':
        this.rxQueue(index)?.write(RX_QUEUE.DCA_RXCTRL, value);
        return;
      case 'PFMAILBOX':
        card.mailboxes[index]!.writePhysical(value);
        return;
      case 'PFMBICR':
        this.clearBits(at, value);
        return;
      case 'PFVFLRE':
        return;
      case 'PFVFLREC':
        this.clearBits(rowAt(PF_ROW.PFVFLRE, index), value);
        return;
      case 'WQBR_RX':
      case 'WQBR_TX':
        this.letGo(name === 'WQBR_TX', index, value);
        this.clearBits(at, value);
        return;
      case 'EITR_LOW':
      case 'EITR_HIGH':
        this.causes.moderate(vectorOf(at), value);
        return;
      case 'EIMS_EX':
        interrupts.enableVectors(index, value);
        return;
      case 'EIMC_EX':
        interrupts.disableVectors(index, value);
        return;
      case 'EICS_EX':
        interrupts.setVectors(index, value);
        return;
      case 'EIAM_EX':
        interrupts.setAutoMask(index, value);
        return;
      default:
        if (!isStatistic(at)) this.store(at, value);
    }
  }

  /** Keep what was written; frames are steered, filtered and sent by it from now on. */
  private store(at: number, value: number): void {
    const { card } = this;
    card.registers.set(at, value);
    if (isSteering(at)) card.steering.changed();
    if (at >= PF_ROW.RSSRK.at && at < rowAt(PF_ROW.RSSRK, PF_ROW.RSSRK.count)) card.steering.keyChanged();
    card.settingsVersion++;
    card.wake();
  }

  private clearBits(at: number, bits: number): void {
    const { registers } = this.card;
    registers.set(at, registers.get(at) & ~bits);
  }

  /** Queues that were stopped may go on. */
  private letGo(isTransmit: boolean, word: number, bits: number): void {
    for (let queue = word * 32; bits !== 0; queue++, bits >>>= 1) {
      if ((bits & 1) === 0) continue;
      const stopped = isTransmit ? this.txQueue(queue) : this.rxQueue(queue);
      if (stopped === undefined) continue;
      stopped.isStopped = false;
      this.card.ownerOf(queue)!.wake();
    }
  }

  /** PFQDE: what is written with WE holds for the queue that it names; with RE it is only read. */
  private writeDropEnable(value: number): void {
    const { card } = this;
    const queue = (value >>> PFQDE.IDX_SHIFT) & PFQDE.IDX_MASK;
    if ((value & PFQDE.WE) !== 0) card.dropQueues[queue] = value & (PFQDE.ENABLE | PFQDE.HIDE_VLAN);
    card.registers.set(PF_REG.PFQDE, (queue << PFQDE.IDX_SHIFT) | card.dropQueues[queue]!);
  }

  private status(): number {
    const { card, parts } = this;
    const isMaster = (card.registers.get(PF_REG.CTRL) & CTRL.PCIE_MASTER_DISABLE) === 0;
    const count = parts.virtualFunctions.functions.length;
    return (
      (isMaster ? STATUS.PCIE_MASTER_ENABLE : 0) |
      (count > 0 ? STATUS.IOV_ACTIVE : 0) |
      ((count & STATUS.NUM_VFS_MASK) << STATUS.NUM_VFS_SHIFT) |
      ((parts.port.isUp ?? true) ? STATUS.LINK_UP : 0)
    );
  }

  private rxQueue(queue: number): RxQueue | undefined {
    const owner = this.card.ownerOf(queue);
    return owner?.rx[queue - owner.globalIndex(0)];
  }

  private txQueue(queue: number): TxQueue | undefined {
    const owner = this.card.ownerOf(queue);
    return owner?.tx[queue - owner.globalIndex(0)];
  }
}
