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
  rowAt,
} from '@ringwire/nic-spec/ixgbe';
import { alternativeRoutingId, msix, PciFunction, type PciHost, pciExpress } from '@ringwire/pci';
import { VirtioPlane, type VirtualPlace } from '@ringwire/sriov-nic';
import type { FrameFacts } from './frame-facts.js';
import type { IxgbeFunctionOptions, VirtioOption } from './function-options.js';
import { IxgbeFunction } from './ixgbe-function.js';
import { poolSettings } from './switch-settings.js';
import { SwitchSettler } from './switch-settler.js';
import { VectorCauses } from './vector-causes.js';
import { VirtualRegisters } from './vf-registers.js';
import { answerVirtioMail } from './virtio-mail.js';
import { wordsRegion } from './words-region.js';

const VECTORS = IXGBE_MSIX.VF_VECTORS;
const SUBSYSTEM_ID = 3;
/** Largest Queue Size of a virtqueue. */
const VIRTQUEUE_SIZE = 256;

/** A virtual function of the 82599: its own registers, and a slice of the card's queues. */
export class VirtualIxgbe extends IxgbeFunction {
  readonly pci: PciFunction;
  protected readonly causes: VectorCauses;
  /** Which virtual function it is, and which pool. */
  private readonly index: number;
  private readonly registers: VirtualRegisters;
  private readonly settler: SwitchSettler;
  private readonly virtioOption: VirtioOption | undefined;
  private readonly openPlane: (mac: Uint8Array, option: VirtioOption) => VirtioPlane;
  private plane: VirtioPlane | undefined = undefined;

  constructor(place: VirtualPlace, options: IxgbeFunctionOptions) {
    super(place, options, IXGBE_COUNT.VF_QUEUES);
    this.index = place.seat.index;
    const { card } = this;
    this.causes = new VectorCauses(VECTORS, (vector) => this.pci.msix!.raise(vector), card.now, this.awaken);
    this.registers = new VirtualRegisters(card, {
      index: this.index,
      port: this.port,
      causes: this.causes,
      statistics: this.statistics,
      rxQueue: (queue) => (queue < this.queues ? this.rx[queue] : undefined),
      txQueue: (queue) => (queue < this.queues ? this.tx[queue] : undefined),
      reset: () => this.resetByDriver(),
      notified: (queue) => this.notified(queue),
    });
    this.settler = new SwitchSettler(this.port);
    this.virtioOption = options.virtio;
    this.openPlane = (mac, option) => this.planeIn(place, mac, option);
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
    const entry = this.registers.ivar[ivarOffset(queue) >>> 2]! >>> ivarShift(queue, isTransmit);
    return (entry & IVAR.VALID) === 0 ? -1 : entry & IVAR.VF_VECTOR_MASK;
  }

  settle(): number {
    return this.settler.settle(poolSettings(this.card, this.index));
  }

  mailboxCalled(): void {
    const { ivarMisc } = this.registers;
    if ((ivarMisc & IVAR.VALID) !== 0) this.causes.set(ivarMisc & IVAR.VF_VECTOR_MASK);
  }

  /** The data plane of virtio's, while the function's driver wants one. */
  get virtio(): VirtioPlane | undefined {
    return this.plane;
  }

  override answersMail(words: Uint32Array): boolean {
    return answerVirtioMail(words, this.plane, (mac) => this.enterVirtio(mac));
  }

  override step(budget: number): number {
    const { plane } = this;
    if (plane === undefined) return super.step(budget);
    this.card.settle();
    // The physical function decides, as of every other queue.
    const mayRun = this.card.mayTransmit(this.index) && this.card.mayReceive(this.index);
    plane.device.dmaEnabled = this.pci.mayMaster && mayRun;
    const done = plane.device.step(budget);
    this.causes.check(this.card.now());
    return done;
  }

  override deadline(): number {
    return Math.min(this.plane?.device.deadline() ?? Number.POSITIVE_INFINITY, super.deadline());
  }

  protected override resetQueues(isWhole: boolean): void {
    super.resetQueues(isWhole);
    this.leaveVirtio();
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
    const region = wordsRegion(
      IXGBE_VF_BAR.REGISTERS_BYTES,
      (at) => this.registers.read(at),
      (at, value) => {
        this.registers.write(at, value);
        this.awaken();
      },
    );
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
            regions: [region],
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
        masterChanged: () => this.wake(),
        removed: () => this.resetQueues(true),
      },
    );
  }

  private enterVirtio(mac: Uint8Array): VirtioPlane | undefined {
    const isStation = (mac[0]! & 1) === 0 && mac.some((byte) => byte !== 0);
    if (this.virtioOption === undefined || !isStation) return undefined;
    super.resetQueues(false);
    this.leaveVirtio();
    this.plane = this.openPlane(mac, this.virtioOption);
    return this.plane;
  }

  private planeIn({ space }: VirtualPlace, mac: Uint8Array, option: VirtioOption): VirtioPlane {
    const { card, backend } = this;
    const { scratch, pairs = 1, net = {}, wake = () => this.card.wake() } = option;
    return new VirtioPlane({
      memory: card.memory,
      scratch,
      backend,
      space,
      mac,
      pairs,
      queueSize: VIRTQUEUE_SIZE,
      // Addresses and modes are asked for in the mailbox: the physical function grants them, and no command does.
      net: {
        policy: {
          request: ({ mac: another, promiscuous }) => another === undefined && promiscuous !== true,
          forget: () => {},
        },
        ...net,
      },
      port: undefined,
      usedBuffer: (queue) => {
        const vector = this.vectorOf(queue >>> 1, (queue & 1) === 1);
        if (vector >= 0) this.causes.set(vector);
      },
      configChange: () => this.mailboxCalled(),
      wake,
      now: card.now,
      broke: () => this.mailboxCalled(),
    });
  }

  private leaveVirtio(): void {
    if (this.plane === undefined) return;
    this.plane.close();
    this.plane = undefined;
    this.plugIn();
  }

  /** A tail register was written. @returns whether it is a doorbell of virtio's now */
  private notified(queue: number): boolean {
    this.plane?.device.notify(queue);
    return this.plane !== undefined;
  }

  /** VFCTRL.RST: queues stand still, interrupts are as after power-on; the rest stays. */
  private resetByDriver(): void {
    this.resetQueues(false);
    this.resetInterrupts();
    this.card.virtualWasReset(this.index);
  }

  private resetInterrupts(): void {
    this.causes.reset();
    this.registers.reset();
  }
}
