import type { WireControl } from '@ringwire/eswitch';
import { DELIVERED, type Delivered, type Frame, type FrameRun } from '@ringwire/net-backend';
import {
  EICR,
  INTEL_VENDOR_ID,
  IVAR,
  IXGBE_CLASS_CODE,
  IXGBE_COUNT,
  IXGBE_DEVICE_ID,
  IXGBE_MSIX,
  IXGBE_PF_BAR,
  IXGBE_REVISION,
  ivarOffset,
  ivarShift,
  MRQC,
  PF_REG,
  PF_ROW,
  PSRTYPE,
  rowAt,
} from '@ringwire/nic-spec/ixgbe';
import { msix, PciFunction, pciExpress, powerManagement } from '@ringwire/pci';
import type { PhysicalPlace } from '@ringwire/sriov-nic';
import type { PhysicalSide } from './card.js';
import type { FrameFacts } from './frame-facts.js';
import type { IxgbeFunctionOptions } from './function-options.js';
import { IxgbeFunction } from './ixgbe-function.js';
import { PhysicalInterrupts } from './pf-interrupts.js';
import { PhysicalRegisters } from './pf-registers.js';
import { PoolChoice } from './pool-choice.js';
import { physicalSettings } from './switch-settings.js';
import { SwitchSettler } from './switch-settler.js';
import { VectorCauses } from './vector-causes.js';
import { WireSettler } from './wire-registers.js';
import { wordsRegion } from './words-region.js';

const { QUEUES, POOLS } = IXGBE_COUNT;
const SUBSYSTEM_ID = 3;
const INTA = 1;
/** First byte of an address: a group's. */
const GROUP = 1;
/** Most queues that RSS spreads over where there are no pools. */
const RSS_QUEUES = 16;

/** The physical function of the 82599: registers that the whole card works by, and the queues that no virtual one has. */
export class PhysicalIxgbe extends IxgbeFunction implements PhysicalSide {
  readonly pci: PciFunction;
  protected readonly causes: VectorCauses;
  private readonly interrupts: PhysicalInterrupts;
  private readonly registers: PhysicalRegisters;
  private readonly settler: SwitchSettler;
  private readonly wireSettler: WireSettler;
  private readonly pools: PoolChoice;

  constructor(place: PhysicalPlace, options: IxgbeFunctionOptions) {
    super(place, options, QUEUES);
    const { card, port } = this;
    this.causes = new VectorCauses(
      IXGBE_MSIX.PF_VECTORS,
      (vector) => this.pci.msix!.raise(vector),
      card.now,
      this.awaken,
    );
    this.interrupts = new PhysicalInterrupts(card.registers, this.causes, (isAsserted) => this.pci.setIntx(isAsserted));
    this.registers = new PhysicalRegisters(card, this.interrupts, this.causes, {
      port,
      virtualFunctions: place.virtualFunctions,
      reset: () => this.resetCard(),
    });
    this.settler = new SwitchSettler(port);
    this.wireSettler = new WireSettler(card, port);
    this.pools = new PoolChoice(card);
    this.pci = this.makePci(place, options);
    this.interrupts.reset();
    card.attachPhysical(this);
    port.onLink = () => {
      // Rates are parts of the link's speed.
      card.settingsVersion++;
      this.cause(EICR.LSC);
    };
    this.plugIn();
  }

  cause(bits: number): void {
    this.interrupts.cause(bits);
  }

  globalIndex(queue: number): number {
    return queue;
  }

  protected poolOf(queue: number): number {
    const { queuesPerPool } = this.card;
    return queuesPerPool === 0 ? 0 : Math.floor(queue / queuesPerPool);
  }

  /** A queue of a virtual function is not the physical one's, whatever its registers were set to before. */
  protected mayTransmit(queue: number): boolean {
    const { card } = this;
    if (!card.hasPools) return card.sends;
    return card.ownerOf(queue) === this && card.mayTransmit(this.poolOf(queue));
  }

  protected get mayReceive(): boolean {
    return this.card.receives;
  }

  insertsTags(queue: number): boolean {
    return !this.card.hasPools || this.card.insertsTags(this.poolOf(queue));
  }

  /** Of several pools each may take a group's frames. */
  override receiveRun(run: FrameRun): number {
    return this.card.hasPools && (run.word0 & GROUP) !== 0 ? 0 : super.receiveRun(run);
  }

  /** A group's frame goes to each of its pools that takes it; it was received when one did. */
  protected override deliver(frame: Frame, facts: FrameFacts): Delivered {
    if (!this.card.hasPools || !facts.isGroup) return super.deliver(frame, facts);
    let delivered: Delivered = DELIVERED.DROPPED;
    for (let pool = this.pools.nextOfGroup(facts, 0); pool >= 0; pool = this.pools.nextOfGroup(facts, pool + 1)) {
      const queue = this.queueIn(pool, facts);
      if (queue >= 0 && this.place(queue, frame, facts) === DELIVERED.ACCEPTED) delivered = DELIVERED.ACCEPTED;
    }
    return delivered === DELIVERED.ACCEPTED ? delivered : this.giveUp();
  }

  protected steer(facts: FrameFacts): number {
    const { card } = this;
    if (card.hasPools) {
      const pool = this.pools.ofStation(facts);
      return pool < 0 ? pool : this.queueIn(pool, facts);
    }
    const isSpread = (card.registers.get(PF_REG.MRQC) & MRQC.MRQE_MASK) === MRQC.RSS;
    return card.steering.pick(facts, card.memory.u8, 0, 0, isSpread ? RSS_QUEUES : 1, 0, QUEUES);
  }

  private queueIn(pool: number, facts: FrameFacts): number {
    const { card } = this;
    if (!card.mayReceive(pool)) return -1;
    const { queuesPerPool } = card;
    const first = pool * queuesPerPool;
    const rqpl = (card.registers.get(rowAt(PF_ROW.PSRTYPE, pool)) >>> PSRTYPE.RQPL_SHIFT) & PSRTYPE.RQPL_MASK;
    const spread = Math.min(1 << rqpl, queuesPerPool);
    const queue = card.steering.pick(facts, card.memory.u8, pool, first, spread, 0, QUEUES);
    // A filter may name any queue; one of a virtual function is not reached by way of this port.
    return card.ownerOf(queue) === this ? queue : first;
  }

  protected vectorOf(queue: number, isTransmit: boolean): number {
    const word = this.card.registers.get(PF_ROW.IVAR.at + ivarOffset(queue));
    const entry = word >>> ivarShift(queue, isTransmit);
    return (entry & IVAR.VALID) === 0 ? -1 : entry & IVAR.VECTOR_MASK;
  }

  settle(): number {
    const { settler, wireSettler, card } = this;
    return settler.settle(physicalSettings(card, this.ownPools())) + wireSettler.settle();
  }

  get wire(): WireControl | undefined {
    return this.port.wire;
  }

  mailboxCalled(): void {}

  protected get hasPort(): boolean {
    return true;
  }

  override close(): void {
    super.close();
    this.port.onLink = undefined;
    this.card.attachPhysical(undefined);
  }

  protected override told(): void {
    this.interrupts.followPin();
  }

  private ownPools(): number[] {
    const { card } = this;
    return Array.from({ length: POOLS }, (_, pool) => pool).filter(
      (pool) => pool * card.queuesPerPool < QUEUES && card.virtualAt(pool) === undefined,
    );
  }

  /** CTRL.RST, CTRL.LRST and resets of the function. */
  private resetCard(): void {
    this.resetQueues(true);
    this.card.reset();
    this.interrupts.reset();
    this.registers.reset();
  }

  private makePci(place: PhysicalPlace, options: IxgbeFunctionOptions): PciFunction {
    const { TABLE: table, PBA: pba, PF_VECTORS: vectors } = IXGBE_MSIX;
    const region = wordsRegion(
      IXGBE_PF_BAR.REGISTERS_BYTES,
      (at) => this.registers.read(at),
      (at, value) => {
        const { card } = this;
        const version = card.settingsVersion;
        this.registers.write(at, value);
        // By some of these all functions work; a mailbox or a mask is nobody else's affair.
        if (card.settingsVersion === version) this.awaken();
        else card.awaken();
      },
    );
    const { REGISTERS, REGISTERS_BYTES, MSIX, MSIX_BYTES } = IXGBE_PF_BAR;
    return new PciFunction(
      {
        vendorId: INTEL_VENDOR_ID,
        deviceId: IXGBE_DEVICE_ID.PF,
        subsystemVendorId: options.subsystemVendorId ?? INTEL_VENDOR_ID,
        subsystemId: options.subsystemId ?? SUBSYSTEM_ID,
        revisionId: IXGBE_REVISION,
        classCode: IXGBE_CLASS_CODE,
        interruptPin: INTA,
        bars: [
          { index: REGISTERS, space: 'memory64', size: REGISTERS_BYTES, prefetchable: true, regions: [region] },
          { index: MSIX, space: 'memory64', size: MSIX_BYTES, prefetchable: true, regions: [] },
        ],
        capabilities: [
          powerManagement(true),
          msix({ vectors, table: { bar: MSIX, offset: table }, pba: { bar: MSIX, offset: pba } }),
          pciExpress({ linkSpeed: 2, linkWidth: 8 }),
          ...place.extended,
          place.virtualFunctions.capability,
        ],
      },
      place.host,
      {
        reset: () => this.resetCard(),
        masterChanged: () => this.wake(),
        removed: () => this.resetQueues(true),
      },
    );
  }
}
