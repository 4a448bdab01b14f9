import { LINKS, RX_QUEUE, SRRCTL, TX_QUEUE, VF_REG, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import type { PciAccess } from '../access.js';
import { type Breakdown, isBreakdown } from '../breakdown.js';
import type { BurstDriver } from '../burst-driver.js';
import { DmaArena } from '../dma-arena.js';
import type { DmaMemory } from '../dma-memory.js';
import type { FrameBurst, FramePool } from '../frame-pool.js';
import type { Patience } from '../patience.js';
import { type IxgbeCounters, newIxgbeCounters } from './ixgbe-counters.js';
import { isStation, localMac } from './mac-address.js';
import { IxgbePollRxQueue } from './poll-rx-queue.js';
import { IxgbePollTxQueue } from './poll-tx-queue.js';
import { enableRxQueue, enableTxQueue } from './queue-registers.js';
import { RxRing } from './rx-ring.js';
import { TxRing } from './tx-ring.js';
import { VfCommands } from './vf-commands.js';
import { bindVf, type VfFunction, type VfGrant } from './vf-function.js';
import { lostFunction, readMail } from './vf-mail.js';
import { checkMtu, checkQueueSize } from './vf-setup.js';

/** What a poll-mode driver of a virtual function works with. */
export interface IxgbeVfPollSetup {
  readonly access: PciAccess;
  readonly dma: DmaMemory;
  /** For all queues; its memory is that of `dma`. Buffers have 1 to 16 KiB of data. */
  readonly pool: FramePool;
  /** Queue pairs at most; 1 when left out. */
  readonly pairs?: number;
  /** Descriptors of each ring, a power of two from 64 to 4096; 256 when left out. */
  readonly queueSize?: number;
  /** Bytes behind the Ethernet header, 68 to 9710; 1500 when left out. */
  readonly mtu?: number;
  /** The station's address; the one that the card has for the function when left out. */
  readonly mac?: Uint8Array;
  /** Say of received frames what the card found of checksums and hashes; not when left out. */
  readonly tellsFacts?: boolean;
  readonly patience?: Patience;
  /** 0 ≤ x < 1, for an address where the card has none. */
  readonly random?: () => number;
}

const POOL_BYTES_MOST = SRRCTL.BSIZEPACKET_MOST * SRRCTL.BSIZEPACKET_UNIT;

/**
 * Take a virtual function of an Intel 82599 into use as a poll-mode driver does: no interrupts, bursts of frames.
 * @returns the driver, running, or why not: NO_DEVICE for a function that another driver is for
 * @throws VirtioError for a setup that no driver can work with, too little memory included
 */
export function openIxgbeVfPoll(setup: IxgbeVfPollSetup): IxgbeVfPoll | Breakdown {
  const { pool } = setup;
  checkQueueSize(setup.queueSize ?? 256);
  checkMtu(setup.mtu ?? 1500);
  if (pool.dataBytes < SRRCTL.BSIZEPACKET_UNIT || pool.dataBytes > POOL_BYTES_MOST)
    throw new VirtioError('dataBytes', pool.dataBytes, `1024 to ${POOL_BYTES_MOST}`, '82599 datasheet §8.2.3.8');
  const counters = newIxgbeCounters();
  const vf = bindVf(setup.access, setup.patience, counters);
  if (isBreakdown(vf)) return vf;
  const arena = new DmaArena(setup.dma);
  let opened: IxgbeVfPoll | Breakdown | undefined;
  try {
    const grant = vf.begin(setup.pairs ?? 1);
    if (isBreakdown(grant)) {
      opened = grant;
      return grant;
    }
    const driver = new IxgbeVfPoll(setup, vf, arena, counters, grant);
    opened = driver.start() ?? driver;
    return opened;
  } finally {
    // What the card may have learnt of is not used again before it let go of it.
    if (opened === undefined || isBreakdown(opened)) {
      if (vf.stopQueues() === undefined) arena.free();
      vf.reset();
    }
  }
}

/**
 * A virtual function as a poll-mode driver drives it. Each queue pair is one thread's, if there are several. Tags stay in
 * frames, unless the host put them there without the function's knowing.
 */
export class IxgbeVfPoll implements BurstDriver {
  readonly counters: IxgbeCounters;
  /** Queue pairs that were set up. */
  readonly pairs: number;
  readonly activePairs: number;
  readonly mac: Uint8Array<ArrayBuffer>;
  /** What to ask the physical function for. */
  readonly commands: VfCommands;
  private readonly vf: VfFunction;
  private readonly arena: DmaArena;
  private readonly stripsTags: boolean;
  private readonly bufferBytes: number;
  private readonly mtu: number;
  private readonly rx: readonly IxgbePollRxQueue[];
  private readonly tx: readonly IxgbePollTxQueue[];

  /** @see openIxgbeVfPoll */
  constructor(setup: IxgbeVfPollSetup, vf: VfFunction, arena: DmaArena, counters: IxgbeCounters, grant: VfGrant) {
    const { pool, queueSize = 256, mtu = 1500, tellsFacts = false, random = Math.random } = setup;
    this.vf = vf;
    this.arena = arena;
    this.counters = counters;
    this.pairs = grant.pairs;
    this.activePairs = grant.pairs;
    this.stripsTags = grant.hidesTag;
    this.mtu = mtu;
    this.bufferBytes = Math.floor(pool.dataBytes / SRRCTL.BSIZEPACKET_UNIT) * SRRCTL.BSIZEPACKET_UNIT;
    const given = grant.mac !== undefined && isStation(grant.mac) ? grant.mac : undefined;
    if (grant.mac !== undefined && given === undefined) counters.macReplaced++;
    this.mac = Uint8Array.from(setup.mac ?? given ?? localMac(random));
    const queues = Array.from({ length: grant.pairs }, (_, queue) => queue);
    this.rx = queues.map((queue) => {
      const ring = new RxRing(arena, queueSize, vf.registers, vfRxAt(queue, RX_QUEUE.RDT));
      return new IxgbePollRxQueue(ring, pool, this.bufferBytes, tellsFacts, counters);
    });
    this.tx = queues.map((queue) => {
      const ring = new TxRing(arena, queueSize, vf.registers, vfTxAt(queue, TX_QUEUE.TDT));
      return new IxgbePollTxQueue(ring, pool, mtu, counters);
    });
    const wishes = {
      mac: this.mac,
      mtu,
      mode: 'none',
      multicast: [],
      unicast: [],
      vlans: new Set<number>(),
    } as const;
    this.commands = new VfCommands(
      { ...wishes },
      {
        // One request at a time: whoever asks from within another one's pause is turned away.
        requests: () => (vf.mailbox.isBusy ? undefined : vf.requests),
        macChanged: (mac) => this.mac.set(mac),
        mtuChanged: (bytes) => {
          for (const queue of this.tx) queue.setMtu(bytes);
        },
      },
    );
  }

  /** Ask for what is needed, and switch the queues on. @see openIxgbeVfPoll */
  start(): Breakdown | undefined {
    const { vf } = this;
    vf.requests.setMac(this.mac);
    vf.requests.setMtu(this.mtu);
    vf.requests.setMode('none');
    const lost = lostFunction(vf);
    if (lost !== undefined) return lost;
    vf.spread(this.pairs);
    for (let queue = 0; queue < this.pairs; queue++) {
      const wishes = { bufferBytes: this.bufferBytes, stripsTags: this.stripsTags };
      const problem =
        enableTxQueue(vf.registers, vfTxAt(queue, 0), this.tx[queue]!.ring, vf.patience) ??
        enableRxQueue(vf.registers, vfRxAt(queue, 0), this.rx[queue]!.ring, wishes, vf.patience);
      if (problem !== undefined) return problem;
      this.rx[queue]!.fill();
    }
    return undefined;
  }

  /** Append frames that came in on a queue pair, at most `max`: they are the caller's. @returns frames appended */
  rxBurst(pair: number, frames: FrameBurst, max: number = frames.capacity): number {
    return this.rx[pair]!.burst(frames, max);
  }

  /**
   * Send frames of a burst, from `from` on: those that the ring has room for are the driver's.
   * @param pair below {@link activePairs}
   * @returns frames taken
   * @throws VirtioError for a pair that is not there, or a frame that may not be sent
   */
  txBurst(pair: number, frames: FrameBurst, from = 0): number {
    const queue = this.tx[pair];
    if (queue === undefined) throw new VirtioError('pair', pair, `0 to ${this.pairs - 1}`, 'IxgbeVfPoll');
    return queue.burst(frames, from);
  }

  /** Put frames that the card has sent back into the pool; {@link txBurst} does it too, when the ring fills. */
  reclaim(pair: number): number {
    return this.tx[pair]!.reclaim();
  }

  /** Read the link's state from the card. */
  isLinkUp(): boolean {
    const links = this.vf.registers.read(VF_REG.VFLINKS);
    return links !== 0xffff_ffff && (links & LINKS.UP) !== 0;
  }

  /** Whether the function is to be used further: to be asked now and then. @returns why not: close it, and open it anew */
  check(): Breakdown | undefined {
    return this.vf.mailbox.isBusy ? undefined : readMail(this.vf, this.counters);
  }

  /** Reset the function; all frames that it had go back into the pool. @returns what it did wrong */
  close(): Breakdown | undefined {
    const problem = this.vf.stopQueues();
    this.vf.reset();
    // Queues that do not stop may still be written to: their buffers stay out of use.
    if (problem !== undefined) return problem;
    for (const queue of this.rx) queue.abandon();
    for (const queue of this.tx) queue.abandon();
    this.arena.free();
    return undefined;
  }
}
