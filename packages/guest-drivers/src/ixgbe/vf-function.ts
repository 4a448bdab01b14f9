import {
  INTEL_VENDOR_ID,
  IVAR,
  IXGBE_COUNT,
  IXGBE_DEVICE_ID,
  IXGBE_VF_BAR,
  ivarOffset,
  ivarShift,
  LINKS,
  PSRTYPE,
  RX_QUEUE,
  RXDCTL,
  TX_QUEUE,
  VF_REG,
  VFCTRL,
  VTEICR_MASK,
  vfRxAt,
  vfTxAt,
} from '@ringwire/nic-spec/ixgbe';
import type { PciAccess } from '../access.js';
import { BREAK, type Breakdown, breakdown, isBreakdown } from '../breakdown.js';
import { PATIENCE, type Patience } from '../patience.js';
import { type BoundFunction, bindFunction, type KnownFunction } from './bind.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { disableRxQueue, disableTxQueue } from './queue-registers.js';
import type { Registers } from './registers.js';
import { VfMailbox } from './vf-mailbox.js';
import { type ResetAnswer, VfRequests } from './vf-requests.js';

const KNOWN: KnownFunction = {
  name: '82599 virtual function',
  vendor: INTEL_VENDOR_ID,
  devices: [IXGBE_DEVICE_ID.VF],
  barBytes: IXGBE_VF_BAR.REGISTERS_BYTES,
};

/** What the physical function gave a virtual one when it began. */
export interface VfGrant extends ResetAnswer {
  /** Receive and transmit queues that it may use: a power of two. */
  readonly pairs: number;
  /** Frames carry a tag that the function does not know of: it is to be taken out. */
  readonly hidesTag: boolean;
}

/** Take a virtual function of an 82599. @see bindFunction */
export function bindVf(
  access: PciAccess,
  patience: Patience | undefined,
  counters: IxgbeCounters,
): VfFunction | Breakdown {
  const bound = bindFunction(access, KNOWN);
  return isBreakdown(bound) ? bound : new VfFunction(bound, patience ?? PATIENCE, counters);
}

/** Registers of a virtual function as far as they are the whole function's, and its end of the mailbox. */
export class VfFunction {
  readonly bound: BoundFunction;
  readonly registers: Registers;
  readonly patience: Patience;
  readonly mailbox: VfMailbox;
  readonly requests: VfRequests;

  constructor(bound: BoundFunction, patience: Patience, counters: IxgbeCounters) {
    this.bound = bound;
    this.registers = bound.registers;
    this.patience = patience;
    this.mailbox = new VfMailbox(bound.registers, patience);
    this.requests = new VfRequests(this.mailbox, counters);
  }

  /** Whether registers read all ones. */
  get isGone(): boolean {
    return this.registers.isGone(VF_REG.VFLINKS);
  }

  /**
   * Begin anew: reset the function, and agree with the physical one on everything.
   * @param pairs queue pairs that are wanted
   * @see 82599 datasheet §4.2.2.4
   */
  begin(pairs: number): VfGrant | Breakdown {
    this.reset();
    if (this.isGone) return breakdown(BREAK.REMOVED, 'VFLINKS reads all ones: the function is not there');
    if (!this.mailbox.awaitReset()) {
      const message = 'VFMAILBOX.RSTD does not read 1: the physical function has no driver, or it is in reset';
      return breakdown(BREAK.RESET_TIMEOUT, `${message} (82599 datasheet §4.2.2.4)`);
    }
    const answer = this.requests.reset();
    if (answer === undefined) return unanswered('VF_RESET');
    if (!this.requests.agreeOnApi()) return unanswered('API_NEGOTIATE');
    const queues = this.requests.queues(IXGBE_COUNT.VF_QUEUES);
    if (queues === undefined) return unanswered('GET_QUEUES');
    // RSS spreads over a power of two.
    const most = Math.min(pairs, queues.rx, queues.tx);
    return { mac: answer.mac, pairs: 2 ** Math.floor(Math.log2(most)), hidesTag: queues.hidesTag };
  }

  /** Stop everything. @see VFCTRL */
  reset(): void {
    this.maskInterrupts();
    this.registers.write(VF_REG.VFCTRL, VFCTRL.RST);
  }

  /** Switch off every queue that reads enabled. @returns what does not end: the card may still use the memory then */
  stopQueues(): Breakdown | undefined {
    const { registers, patience } = this;
    let problem: Breakdown | undefined;
    for (let queue = 0; queue < IXGBE_COUNT.VF_QUEUES; queue++) {
      if (isEnabled(registers, vfRxAt(queue, RX_QUEUE.RXDCTL)))
        problem = disableRxQueue(registers, vfRxAt(queue, 0), patience) ?? problem;
      if (isEnabled(registers, vfTxAt(queue, TX_QUEUE.TXDCTL)))
        problem = disableTxQueue(registers, vfTxAt(queue, 0), patience) ?? problem;
    }
    return problem;
  }

  maskInterrupts(): void {
    this.registers.write(VF_REG.VTEIMC, VTEICR_MASK);
    // Reading clears what is pending.
    this.registers.read(VF_REG.VTEICR);
  }

  /** Vectors whose messages may come again. @param vectors bits */
  unmask(vectors: number): void {
    this.registers.write(VF_REG.VTEIMS, vectors & VTEICR_MASK);
  }

  /**
   * Say which vector tells of what; all stay masked. A message clears and masks its own cause, until it was looked after.
   * @param pairs  vector of each queue pair
   * @param others vector of the mailbox
   */
  mapVectors(pairs: readonly number[], others: number): void {
    const { registers } = this;
    pairs.forEach((vector, queue) => {
      const at = VF_REG.VTIVAR + ivarOffset(queue);
      const entry = IVAR.VALID | vector;
      const shifts = [ivarShift(queue, false), ivarShift(queue, true)] as const;
      for (const shift of shifts) registers.change(at, entry << shift, 0xff << shift);
    });
    registers.write(VF_REG.VTIVAR_MISC, IVAR.VALID | others);
    registers.write(VF_REG.VTEIAC, VTEICR_MASK);
    registers.write(VF_REG.VTEIAM, VTEICR_MASK);
  }

  /** Over how many receive queues frames are spread. @param queues a power of two */
  spread(queues: number): void {
    this.registers.write(VF_REG.VFPSRTYPE, Math.log2(queues) << PSRTYPE.RQPL_SHIFT);
  }

  /** Whether the wire's link is up. */
  get isLinkUp(): boolean {
    const links = this.registers.read(VF_REG.VFLINKS);
    return links !== GONE && (links & LINKS.UP) !== 0;
  }

  /** Mbit/s; -1 for not known. */
  get speed(): number {
    return speedOf(this.registers.read(VF_REG.VFLINKS));
  }
}

const GONE = 0xffff_ffff;

/** Both kinds of queue have the bit at the same place. */
function isEnabled(registers: Registers, at: number): boolean {
  const value = registers.read(at);
  return value !== GONE && (value & RXDCTL.ENABLE) !== 0;
}

/** Mbit/s of LINKS or VFLINKS; -1 for a link that is down, or a speed that is none. */
export function speedOf(links: number): number {
  if (links === GONE || (links & LINKS.UP) === 0) return -1;
  const speed = links & LINKS.SPEED_MASK;
  if (speed === LINKS.SPEED_10G) return 10_000;
  if (speed === LINKS.SPEED_1G) return 1000;
  return speed === LINKS.SPEED_100M ? 100 : -1;
}

const unanswered = (what: string): Breakdown =>
  breakdown(BREAK.MAILBOX_UNANSWERED, `the physical function did not answer ${what} (82599 datasheet §7.10.2.9)`);
