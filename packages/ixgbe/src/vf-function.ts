import {
  INTEL_VENDOR_ID,
  IVAR,
  IXGBE_CLASS_CODE,
  IXGBE_COUNT,
  IXGBE_DEVICE_ID,
  IXGBE_MSIX,
  IXGBE_REVISION,
  IXGBE_VF_BAR,
  ivarOffset,
  ivarShift,
  PF_ROW,
  PSRTYPE,
  RX_QUEUE,
  rowAt,
  TX_QUEUE,
  VF_QUEUES_AT,
  VF_REG,
  VFCTRL,
  VFMBMEM_WORDS,
  VTEICR_MASK,
} from '@ringwire/nic-spec/ixgbe';
import { alternativeRoutingId, type BarRegion, msix, PciFunction, type PciHost, pciExpress } from '@ringwire/pci';
import type { VirtualPlace } from '@ringwire/sriov-nic';
import type { FrameFacts } from './frame-facts.js';
import { IxgbeFunction, type IxgbeFunctionOptions } from './ixgbe-function.js';
import { linksOf, timerOf } from './link-registers.js';
import { poolSettings } from './switch-settings.js';
import { SwitchSettler } from './switch-settler.js';
import { VectorCauses } from './vector-causes.js';
import { wordsRegion } from './words-region.js';

const WORD = 0x1_0000_0000;
const IVARS = 4;
const VECTORS = IXGBE_MSIX.VF_VECTORS;
const SUBSYSTEM_ID = 3;
const QUEUE_BYTES = IXGBE_COUNT.VF_QUEUES * RX_QUEUE.STRIDE;

/** A virtual function of the 82599: its own registers, and a slice of the card's queues. */
export class VirtualIxgbe extends IxgbeFunction {
  readonly pci: PciFunction;
  protected readonly causes: VectorCauses;
  /** Which virtual function it is, and which pool. */
  private readonly index: number;
  private readonly ivar: Uint32Array = new Uint32Array(IVARS);
  private ivarMisc = 0;
  private readonly settler: SwitchSettler;

  constructor(place: VirtualPlace, options: IxgbeFunctionOptions) {
    super(place, options, IXGBE_COUNT.VF_QUEUES);
    this.index = place.seat.index;
    const { card } = this;
    this.causes = new VectorCauses(VECTORS, (vector) => this.pci.msix!.raise(vector), card.now);
    this.settler = new SwitchSettler(this.port);
    this.pci = this.makePci(place, options, place.host);
    card.attachVirtual(this.index, this);
    this.plugIn();
  }

  /** Queues that it has by now. */
  private get queues(): number {
    return this.card.queuesPerPool;
  }

  globalIndex(queue: number): number {
    return this.index * this.queues + queue;
  }

  protected poolOf(): number {
    return this.index;
  }

  protected mayTransmit(queue: number): boolean {
    return queue < this.queues && this.card.mayTransmit(this.index);
  }

  protected get mayReceive(): boolean {
    return this.queues > 0 && this.card.mayReceive(this.index);
  }

  insertsTags(): boolean {
    return this.card.insertsTags(this.index);
  }

  protected steer(facts: FrameFacts): number {
    const { queues, card, index } = this;
    const first = index * queues;
    const rqpl = (card.registers.get(rowAt(PF_ROW.PSRTYPE, index)) >>> PSRTYPE.RQPL_SHIFT) & PSRTYPE.RQPL_MASK;
    const spread = Math.min(1 << rqpl, queues);
    return card.steering.pick(facts, card.memory.u8, index, first, spread, first, first + queues) - first;
  }

  protected vectorOf(queue: number, isTransmit: boolean): number {
    const entry = this.ivar[ivarOffset(queue) >>> 2]! >>> ivarShift(queue, isTransmit);
    return (entry & IVAR.VALID) === 0 ? -1 : entry & IVAR.VF_VECTOR_MASK;
  }

  settle(): number {
    return this.settler.settle(poolSettings(this.card, this.index));
  }

  mailboxCalled(): void {
    if ((this.ivarMisc & IVAR.VALID) !== 0) this.causes.set(this.ivarMisc & IVAR.VF_VECTOR_MASK);
  }

  protected get hasPort(): boolean {
    return this.card.virtualAt(this.index) === this;
  }

  override close(): void {
    super.close();
    if (this.hasPort) this.card.attachVirtual(this.index, undefined);
  }

  private makePci(place: VirtualPlace, options: IxgbeFunctionOptions, host: PciHost): PciFunction {
    const { TABLE: table, PBA: pba } = IXGBE_MSIX;
    return new PciFunction(
      {
        vendorId: INTEL_VENDOR_ID,
        deviceId: IXGBE_DEVICE_ID.VF,
        subsystemVendorId: options.subsystemVendorId ?? INTEL_VENDOR_ID,
        subsystemId: options.subsystemId ?? SUBSYSTEM_ID,
        revisionId: IXGBE_REVISION,
        classCode: IXGBE_CLASS_CODE,
        virtual: place.seat,
        bars: [
          {
            index: IXGBE_VF_BAR.REGISTERS,
            space: 'memory64',
            size: IXGBE_VF_BAR.REGISTERS_BYTES,
            regions: [this.region()],
          },
          { index: IXGBE_VF_BAR.MSIX, space: 'memory64', size: IXGBE_VF_BAR.MSIX_BYTES, regions: [] },
        ],
        capabilities: [
          msix({
            vectors: VECTORS,
            table: { bar: IXGBE_VF_BAR.MSIX, offset: table },
            pba: { bar: IXGBE_VF_BAR.MSIX, offset: pba },
          }),
          pciExpress({ isVirtual: true, linkSpeed: 2, linkWidth: 8 }),
          alternativeRoutingId(0),
        ],
      },
      host,
      {
        reset: () => {
          this.resetQueues(true);
          this.resetInterrupts();
          this.card.virtualWasReset(this.index);
        },
        masterChanged: () => this.card.wake(),
        removed: () => this.resetQueues(true),
      },
    );
  }

  private region(): BarRegion {
    return wordsRegion(
      IXGBE_VF_BAR.REGISTERS_BYTES,
      (at) => this.read(at),
      (at, value) => this.write(at, value),
    );
  }

  private read(at: number): number {
    const rx = at - VF_QUEUES_AT.RX;
    const tx = at - VF_QUEUES_AT.TX;
    if (isStatistic(at)) return this.statistic(at);
    if (rx >= 0 && rx < QUEUE_BYTES) return this.rxAt(rx)?.read(rx % RX_QUEUE.STRIDE) ?? 0;
    if (tx >= 0 && tx < QUEUE_BYTES) return this.txAt(tx)?.read(tx % TX_QUEUE.STRIDE) ?? 0;
    const mailbox = this.card.mailboxes[this.index]!;
    const word = (at - VF_REG.VFMBMEM) >>> 2;
    if (at >= VF_REG.VFMBMEM && word < VFMBMEM_WORDS) return mailbox.memory[word]!;
    const { causes } = this;
    switch (at) {
      case VF_REG.VFSTATUS:
        return 0;
      case VF_REG.VFLINKS:
        return linksOf(this.card, this.port);
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
        return this.card.registers.get(rowAt(PF_ROW.PSRTYPE, this.index));
      default:
        return this.readRow(at);
    }
  }

  private write(at: number, value: number): void {
    const rx = at - VF_QUEUES_AT.RX;
    const tx = at - VF_QUEUES_AT.TX;
    if (rx >= 0 && rx < QUEUE_BYTES) {
      if (!isStatistic(at)) this.rxAt(rx)?.write(rx % RX_QUEUE.STRIDE, value);
      return;
    }
    if (tx >= 0 && tx < QUEUE_BYTES) {
      if (!isStatistic(at)) this.txAt(tx)?.write(tx % TX_QUEUE.STRIDE, value);
      return;
    }
    const mailbox = this.card.mailboxes[this.index]!;
    const word = (at - VF_REG.VFMBMEM) >>> 2;
    if (at >= VF_REG.VFMBMEM && word < VFMBMEM_WORDS) {
      mailbox.memory[word] = value;
      return;
    }
    const { causes } = this;
    const vectors = value & VTEICR_MASK;
    switch (at) {
      case VF_REG.VFCTRL:
        if ((value & VFCTRL.RST) !== 0) this.resetByDriver();
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
        this.card.registers.set(rowAt(PF_ROW.PSRTYPE, this.index), value);
        return;
      default:
        this.writeRow(at, value);
    }
  }

  private readRow(at: number): number {
    const ivar = (at - VF_REG.VTIVAR) >>> 2;
    if (at >= VF_REG.VTIVAR && ivar < IVARS) return this.ivar[ivar]!;
    const eitr = (at - VF_REG.VTEITR) >>> 2;
    return at >= VF_REG.VTEITR && eitr < VECTORS ? this.causes.eitr[eitr]! : 0;
  }

  private writeRow(at: number, value: number): void {
    const ivar = (at - VF_REG.VTIVAR) >>> 2;
    if (at >= VF_REG.VTIVAR && ivar < IVARS) this.ivar[ivar] = value;
    const eitr = (at - VF_REG.VTEITR) >>> 2;
    if (at >= VF_REG.VTEITR && eitr < VECTORS) this.causes.moderate(eitr, value);
  }

  /** The queue at an offset of its registers, if the virtual function has it. */
  private rxAt(offset: number) {
    const queue = Math.floor(offset / RX_QUEUE.STRIDE);
    return queue < this.queues ? this.rx[queue] : undefined;
  }

  private txAt(offset: number) {
    const queue = Math.floor(offset / TX_QUEUE.STRIDE);
    return queue < this.queues ? this.tx[queue] : undefined;
  }

  private takeCauses(): number {
    const found = this.causes.cause[0]! >>> 0;
    this.causes.clear(0, found);
    return found;
  }

  /** VFCTRL.RST: queues stand still, interrupts are as after power-on; the rest stays. */
  private resetByDriver(): void {
    this.resetQueues(false);
    this.resetInterrupts();
    this.card.virtualWasReset(this.index);
  }

  private resetInterrupts(): void {
    this.causes.reset();
    this.ivar.fill(0);
    this.ivarMisc = 0;
  }

  private statistic(at: number): number {
    const { statistics } = this;
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
