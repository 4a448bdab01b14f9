import type { WireControl } from '@ringwire/eswitch';
import type { HostMemory } from '@ringwire/guest-memory';
import {
  AUTOC,
  DMATXCTL,
  EICR,
  GCR_EXT,
  HLREG0,
  IXGBE_COUNT,
  MAXFRS,
  PF_REG,
  PF_ROW,
  PFMBICR,
  PFVMVIR,
  PFVTCTL,
  RXCTRL,
  rowAt,
  VLNCTRL,
} from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IxgbeFunction } from './ixgbe-function.js';
import { Mailbox } from './mailbox.js';
import { RegisterFile } from './register-file.js';
import { CardStatistics } from './statistics.js';
import { Steering } from './steering.js';

const { QUEUES, POOLS } = IXGBE_COUNT;
const CRC_BYTES = 4;
const TAG_BYTES = 4;
const ETHERNET_MOST = 1518;

/** What an {@link IxgbeCard} is made with. */
export interface IxgbeCardOptions {
  readonly memory: HostMemory;
  /** The address that the card came with, which RAL and RAH 0 have after a reset: 6 bytes. */
  readonly mac: Uint8Array;
  /** In µs, for EITR and retries. Without it, time stands still, and nothing is moderated. */
  readonly now?: () => number;
  /** Called when a register was written that makes work for a function's `step`. */
  readonly wake?: () => void;
}

/** What of the card the physical function does: what others have to tell it. */
export interface PhysicalSide extends IxgbeFunction {
  readonly wire: WireControl | undefined;
  /** Set causes of EICR. */
  cause(bits: number): void;
}

/**
 * What the functions of one card share: registers of the physical one, by which all of them work, mailboxes, counters.
 * Made before the functions, and given to each.
 */
export class IxgbeCard {
  readonly memory: HostMemory;
  readonly registers: RegisterFile = new RegisterFile();
  readonly steering: Steering;
  readonly mailboxes: readonly Mailbox[];
  readonly statistics: CardStatistics = new CardStatistics();
  /** PFQDE.ENABLE by queue. */
  readonly dropQueues: Uint8Array = new Uint8Array(QUEUES);
  /** RTTBCNRC by queue. */
  readonly rates: Uint32Array = new Uint32Array(QUEUES);
  /** Goes on when something is written that the switch's settings follow from. */
  settingsVersion = 1;
  readonly now: () => number;
  readonly wake: () => void;
  private readonly mac: Uint8Array;
  private settledVersion = 0;
  private physical: PhysicalSide | undefined;
  private readonly virtual: (IxgbeFunction | undefined)[] = new Array<IxgbeFunction | undefined>(POOLS).fill(undefined);

  /** @throws VirtioError for an address that is none */
  constructor({ memory, mac, now = () => 0, wake = () => {} }: IxgbeCardOptions) {
    if (mac.length !== 6) throw new VirtioError('mac.length', mac.length, '6 bytes', '82599 datasheet §8.2.3.7, RAL');
    this.memory = memory;
    this.mac = mac.slice();
    this.now = now;
    this.wake = wake;
    this.steering = new Steering(this.registers);
    this.mailboxes = Array.from({ length: POOLS }, (_, vf) => this.mailboxOf(vf));
    this.resetRegisters();
  }

  attachPhysical(physical: PhysicalSide | undefined): void {
    this.physical = physical;
    this.settingsVersion++;
  }

  /** A virtual function came, or went. @param vf from 0 on, which is its pool */
  attachVirtual(vf: number, virtual: IxgbeFunction | undefined): void {
    this.virtual[vf] = virtual;
    this.mailboxes[vf]!.virtualReset();
    this.settingsVersion++;
  }

  /** There may be something to be done for any function. */
  awaken(): void {
    this.physical?.awaken();
    for (const virtual of this.virtual) virtual?.awaken();
  }

  virtualAt(vf: number): IxgbeFunction | undefined {
    return this.virtual[vf];
  }

  /** How many virtual functions there are. */
  get virtualCount(): number {
    let count = 0;
    for (const virtual of this.virtual) if (virtual !== undefined) count++;
    return count;
  }

  /** Queues of a pool: 2, 4 or 8; 0 while virtual functions have none. GCR_EXT.VT_Mode */
  get queuesPerPool(): number {
    switch (this.registers.get(PF_REG.GCR_EXT) & GCR_EXT.VT_MODE_MASK) {
      case GCR_EXT.VT_MODE_16:
        return 8;
      case GCR_EXT.VT_MODE_32:
        return 4;
      case GCR_EXT.VT_MODE_64:
        return 2;
      default:
        return 0;
    }
  }

  /** Queues belong to pools: PFVTCTL.VT_Ena. */
  get hasPools(): boolean {
    return (this.registers.get(PF_REG.PFVTCTL) & PFVTCTL.VT_ENA) !== 0 && this.queuesPerPool > 0;
  }

  get defaultPool(): number {
    return (this.registers.get(PF_REG.PFVTCTL) >>> PFVTCTL.DEF_PL_SHIFT) & PFVTCTL.DEF_PL_MASK;
  }

  /** The virtual function whose queue it is, or undefined: it is the physical one's. @param queue 0 to 127 */
  ownerOf(queue: number): IxgbeFunction | undefined {
    const { queuesPerPool } = this;
    return queuesPerPool === 0 ? this.physical : (this.virtual[Math.floor(queue / queuesPerPool)] ?? this.physical);
  }

  /** The wire, as far as it is the physical function's to set: what LINKS says is its speed then. */
  get wire(): WireControl | undefined {
    return this.physical?.wire;
  }

  /** Mbit/s that the link has. */
  get wireMbits(): number {
    return this.wire?.link.speed ?? this.linkMbits;
  }

  /** Speed that the wire is to have: 10000 or 1000 Mbit/s. AUTOC.LMS */
  get linkMbits(): number {
    const mode = (this.registers.get(PF_REG.AUTOC) >>> AUTOC.LMS_SHIFT) & AUTOC.LMS_MASK;
    return mode === AUTOC.LMS_1G ? 1000 : 10_000;
  }

  /** Frames that the switch dropped because their source was not their sender's, of all functions. */
  get spoofed(): number {
    let count = this.physical?.spoofed ?? 0;
    for (const virtual of this.virtual) count += virtual?.spoofed ?? 0;
    return count;
  }

  get receives(): boolean {
    return (this.registers.get(PF_REG.RXCTRL) & RXCTRL.RXEN) !== 0;
  }

  get sends(): boolean {
    return (this.registers.get(PF_REG.DMATXCTL) & DMATXCTL.TE) !== 0;
  }

  /** Pools receive, or send: RXCTRL and PFVFRE, DMATXCTL and PFVFTE. */
  mayReceive(pool: number): boolean {
    return this.receives && this.isEnabled(PF_ROW.PFVFRE, pool);
  }

  mayTransmit(pool: number): boolean {
    return this.sends && this.isEnabled(PF_ROW.PFVFTE, pool);
  }

  /** EtherType of the tags that the card knows. */
  get tagType(): number {
    return this.registers.get(PF_REG.VLNCTRL) & VLNCTRL.VET_MASK;
  }

  /** Longest frame that is received, without check sequence; one with a tag may have its bytes more. */
  get longestFrame(): number {
    const isJumbo = (this.registers.get(PF_REG.HLREG0) & HLREG0.JUMBOEN) !== 0;
    const longest = isJumbo ? this.registers.get(PF_REG.MAXFRS) >>> MAXFRS.MFS_SHIFT : ETHERNET_MOST;
    return longest - CRC_BYTES;
  }

  fits(bytes: number, isTagged: boolean): boolean {
    return bytes <= this.longestFrame + (isTagged ? TAG_BYTES : 0);
  }

  get padsFrames(): boolean {
    return (this.registers.get(PF_REG.HLREG0) & HLREG0.TXPADEN) !== 0;
  }

  /** Tags of a pool's frames are what its descriptors say. PFVMVIR.VLANA */
  insertsTags(pool: number): boolean {
    return (this.registers.get(rowAt(PF_ROW.PFVMVIR, pool)) & PFVMVIR.VLANA_MASK) === PFVMVIR.VLANA_DESCRIPTOR;
  }

  /** Tell the switch what was written since the last time. */
  settle(): void {
    if (this.settledVersion === this.settingsVersion) return;
    this.settledVersion = this.settingsVersion;
    // An address that goes from one port to another is refused as long as the first one has it.
    if (this.settlePorts() > 0) this.statistics.refusedSettings += this.settlePorts();
  }

  /** A queue of a pool was stopped: the physical function's driver is told which, and why. */
  misbehaved(queue: number, pool: number, isTransmit: boolean, cause: number): void {
    const { registers } = this;
    const bits = rowAt(isTransmit ? PF_ROW.WQBR_TX : PF_ROW.WQBR_RX, queue >>> 5);
    registers.set(bits, registers.get(bits) | (1 << (queue & 31)));
    registers.set(isTransmit ? PF_REG.LMVM_TX : PF_REG.LMVM_RX, pool);
    registers.set(isTransmit ? PF_REG.LVMMC_TX : PF_REG.LVMMC_RX, cause);
    this.physical?.cause(EICR.MAILBOX);
  }

  /** A virtual function was reset: by its VFCTRL, or as a function. 82599 datasheet §4.2.2 */
  virtualWasReset(vf: number): void {
    const { registers } = this;
    const bit = 1 << (vf & 31);
    const word = vf >>> 5;
    for (const row of [PF_ROW.PFVFRE, PF_ROW.PFVFTE])
      registers.set(rowAt(row, word), registers.get(rowAt(row, word)) & ~bit);
    const events = rowAt(PF_ROW.PFVFLRE, word);
    registers.set(events, registers.get(events) | bit);
    this.mailboxes[vf]!.virtualReset();
    this.physical?.cause(EICR.MAILBOX);
  }

  /** All registers are as after power-on. Virtual functions stand still until the physical one's driver is there again. */
  reset(): void {
    this.resetRegisters();
    for (const mailbox of this.mailboxes) mailbox.physicalReset();
    for (const virtual of this.virtual) virtual?.stop();
  }

  private settlePorts(): number {
    let refused = this.physical?.settle() ?? 0;
    for (const virtual of this.virtual) refused += virtual?.settle() ?? 0;
    return refused;
  }

  private resetRegisters(): void {
    this.registers.reset(this.mac);
    this.dropQueues.fill(0);
    this.rates.fill(0);
    this.steering.changed();
    this.steering.keyChanged();
    this.settingsVersion++;
  }

  private isEnabled(row: { at: number; stride: number }, pool: number): boolean {
    return ((this.registers.get(rowAt(row, pool >>> 5)) >>> (pool & 31)) & 1) !== 0;
  }

  private mailboxOf(vf: number): Mailbox {
    const { registers } = this;
    const at = rowAt(PF_ROW.PFMBICR, Math.floor(vf / PFMBICR.VFS));
    const bit = 1 << (vf % PFMBICR.VFS);
    const raise = (bits: number): void => {
      registers.set(at, registers.get(at) | bits);
      const mask = registers.get(rowAt(PF_ROW.PFMBIMR, vf >>> 5));
      if (((mask >>> (vf & 31)) & 1) !== 0) this.physical?.cause(EICR.MAILBOX);
    };
    return new Mailbox({
      request: () => raise(bit),
      acknowledged: () => raise(bit << PFMBICR.VFACK_SHIFT),
      interrupt: () => this.virtual[vf]?.mailboxCalled(),
      answers: (words) => this.virtual[vf]?.answersMail(words) ?? false,
      forget: () => registers.set(at, registers.get(at) & ~(bit | (bit << PFMBICR.VFACK_SHIFT))),
    });
  }
}
