import {
  ADMIN_OP,
  VB_ARM,
  VB_DOORBELL,
  VB_FRAME_MIN,
  VB_REG,
  VB_STATUS,
  WORK_STATUS,
} from '@ringwire/nic-spec/vendor-b';
import { VirtioError } from '@ringwire/virtio-spec';
import { BREAK, type Breakdown, breakdown, isBreakdown } from '../breakdown.js';
import { DmaArena } from '../dma-arena.js';
import type { EthernetDriver } from '../ethernet-driver.js';
import { EventGuard } from '../event-guard.js';
import { SENT } from '../net-tx-queue.js';
import { PATIENCE, type Patience } from '../patience.js';
import { disableMsix, enableMsix } from '../pci-msix.js';
import { ReceivedFrame } from '../received-frame.js';
import { resetVendorB } from './admin-channel.js';
import { bindVendorB, type VendorBRegisters } from './bind-vendor-b.js';
import { VendorBCommands } from './vendor-b-commands.js';
import { COMPLETION_VECTOR, openVendorBSession, TX, type VendorBSession } from './vendor-b-session.js';
import { checkedSetup, VENDOR_B_EVENTS, type VendorBEvents, type VendorBSetup } from './vendor-b-setup.js';
import type { WorkRing } from './work-ring.js';

const BUDGET = 64;
const GENERATION = 1;

/** What a driver of vendor B's has counted. */
export interface VendorBDriverCounters {
  received: number;
  receivedBytes: number;
  sent: number;
  sentBytes: number;
  /** Buffers that the device gave back unused. */
  failedBuffers: number;
  /** Frames that there was no room for. */
  full: number;
  /** Writes of both words of a doorbell. */
  doorbells: number;
  strayInterrupts: number;
}

/**
 * Take a function of vendor B's into use, as a kernel does.
 * @returns the driver, running, or why not; the function is left reset then
 * @throws VirtioError for a setup that no driver can work with, too little memory included
 */
export function openVendorBDriver(setup: VendorBSetup): VendorBDriver | Breakdown {
  const sizes = checkedSetup(setup);
  const registers = bindVendorB(setup.access);
  if (isBreakdown(registers)) return registers;
  const patience = setup.patience ?? PATIENCE;
  const problem = resetVendorB(registers, patience);
  if (problem !== undefined) return problem;
  const arena = new DmaArena(setup.dma);
  let session: VendorBSession | Breakdown;
  try {
    session = openVendorBSession(registers, arena, patience, sizes, GENERATION);
  } catch (mistake) {
    if (resetVendorB(registers, patience) === undefined) arena.free();
    throw mistake;
  }
  if (isBreakdown(session)) {
    if (resetVendorB(registers, patience) === undefined) arena.free();
    return session;
  }
  enableMsix(setup.access, registers.msix, setup.messages);
  return new VendorBDriver(registers, session, arena, patience, setup.events);
}

/**
 * Vendor B's network card as a kernel drives it: by interrupts, with polling while frames come in. The host calls
 * {@link interrupt} for each message, then {@link poll} while {@link needsPoll}. Nothing that the device does is an exception:
 * it is a counter, or the end, which `events.broken` tells.
 */
export class VendorBDriver implements EthernetDriver {
  state: 'running' | 'suspended' | 'broken' | 'closed' = 'running';
  readonly counters: VendorBDriverCounters = {
    received: 0,
    receivedBytes: 0,
    sent: 0,
    sentBytes: 0,
    failedBuffers: 0,
    full: 0,
    doorbells: 0,
    strayInterrupts: 0,
  };
  /** Whether {@link poll} has something to do. */
  needsPoll = false;
  private readonly registers: VendorBRegisters;
  private readonly session: VendorBSession;
  private readonly commandsOf: VendorBCommands;
  private readonly arena: DmaArena;
  private readonly patience: Patience;
  private readonly guard: EventGuard<VendorBEvents>;
  private readonly events: VendorBEvents;
  private readonly frame: ReceivedFrame;
  /** Buffers to send with: a stack of cookies. */
  private readonly free: Uint16Array;
  private freeCount: number;
  private isFull = false;
  private isPolling = false;
  private isClosing = false;

  /** @see openVendorBDriver */
  constructor(
    registers: VendorBRegisters,
    session: VendorBSession,
    arena: DmaArena,
    patience: Patience,
    events: VendorBEvents,
  ) {
    this.registers = registers;
    this.session = session;
    this.commandsOf = new VendorBCommands(session.admin);
    this.arena = arena;
    this.patience = patience;
    this.guard = new EventGuard(events, VENDOR_B_EVENTS);
    this.events = this.guard.events;
    this.frame = new ReceivedFrame(arena.dma.space.memory);
    this.frame.ranges.push(0, 0);
    const { rx, tx } = session;
    this.free = Uint16Array.from({ length: tx.entries }, (_, cookie) => cookie);
    this.freeCount = tx.entries;
    for (let cookie = 0; cookie < rx.entries; cookie++) rx.post(cookie, rx.bufferBytes);
    this.tell(rx);
    this.arm(true);
  }

  /** The station's address, as the function was opened with. */
  get mac(): Uint8Array {
    return this.session.mac;
  }

  get mtu(): number {
    return this.session.tx.bufferBytes - VB_FRAME_MIN;
  }

  /** The card does not say: while it runs. */
  get isLinkUp(): boolean {
    return this.state === 'running';
  }

  /** Frames that the card has not given back, as far as was looked. */
  get sending(): number {
    return this.session.tx.entries - this.freeCount;
  }

  /** Commands that change what frames come; undefined once the function was given up. */
  get commands(): VendorBCommands | undefined {
    return this.state === 'running' || this.state === 'suspended' ? this.commandsOf : undefined;
  }

  /** Note an interrupt. @param vector number of the message */
  interrupt(vector: number = COMPLETION_VECTOR): void {
    if (this.state !== 'running') this.counters.strayInterrupts++;
    else if (vector === COMPLETION_VECTOR) this.needsPoll = true;
    else this.checkStatus();
    this.guard.rethrow();
  }

  /**
   * Do what interrupts asked for: completions of both rings, then new receive buffers, with one doorbell each.
   * @param budget most completions
   * @returns completions
   */
  poll(budget: number = BUDGET): number {
    if (this.state !== 'running' || this.isPolling) return 0;
    const done = this.takeCompletions(budget);
    this.guard.rethrow();
    return done;
  }

  /** Send a copy of a frame. @see postBytes */
  sendBytes(bytes: Uint8Array): number {
    const outcome = this.postBytes(bytes);
    if (outcome === SENT.OK) this.flush();
    return outcome;
  }

  /**
   * Put a copy of a frame into the ring: the doorbell waits for {@link flush}, because others follow.
   * @returns a `SENT` value
   * @throws VirtioError for a frame that is shorter than an Ethernet header or longer than a buffer
   */
  postBytes(bytes: Uint8Array): number {
    const { tx } = this.session;
    if (bytes.length < VB_FRAME_MIN || bytes.length > tx.bufferBytes)
      throw new VirtioError('length', bytes.length, `${VB_FRAME_MIN} to ${tx.bufferBytes}`, 'vendor B datasheet §4');
    if (this.state !== 'running') return SENT.DOWN;
    if (this.freeCount === 0) {
      this.isFull = true;
      this.counters.full++;
      this.flush();
      return SENT.FULL;
    }
    const cookie = this.free[--this.freeCount]!;
    this.arena.dma.space.memory.u8.set(bytes, tx.host[cookie]!);
    tx.post(cookie, bytes.length);
    this.counters.sent++;
    this.counters.sentBytes += bytes.length;
    return SENT.OK;
  }

  /** Look after the function, and for frames that it has sent. */
  watch(): void {
    if (this.state === 'running') this.checkStatus();
    this.poll();
    this.guard.rethrow();
  }

  /** Tell the device of all frames that it was not told of. */
  flush(): void {
    const { tx } = this.session;
    if (this.state === 'running' && tx.posted !== tx.told) this.tell(tx);
  }

  /** Stop the data plane until {@link resume}. @returns why it did not stop, or undefined */
  suspend(): Breakdown | undefined {
    return this.change('running', 'suspended', ADMIN_OP.SUSPEND);
  }

  resume(): Breakdown | undefined {
    const problem = this.change('suspended', 'running', ADMIN_OP.RESUME);
    if (problem === undefined) this.needsPoll = true;
    return problem;
  }

  /** Give the function back: it is reset, and all memory freed. */
  close(): void {
    if (this.state === 'closed') return;
    this.isClosing = this.isPolling;
    if (this.isPolling) return;
    this.end('closed');
    this.guard.rethrow();
  }

  private change(from: 'running' | 'suspended', to: 'running' | 'suspended', opcode: number): Breakdown | undefined {
    if (this.state !== from) return undefined;
    const answer = this.session.admin.require(opcode);
    if (isBreakdown(answer)) return answer;
    this.state = to;
    return undefined;
  }

  private takeCompletions(budget: number): number {
    this.isPolling = true;
    const { completions, rx } = this.session;
    const room = this.freeCount;
    let done = 0;
    try {
      for (; done < budget && !this.isClosing && completions.take(); done++) if (!this.handle()) break;
    } finally {
      this.isPolling = false;
    }
    if (this.isClosing) this.close();
    if (this.state !== 'running') return done;
    if (rx.posted !== rx.told) this.tell(rx);
    this.needsPoll = done === budget;
    // Armed, the device sends a message for what came meanwhile too.
    this.arm(!this.needsPoll);
    if (this.isFull && this.freeCount > room) {
      this.isFull = false;
      this.events.writable?.();
    }
    return done;
  }

  /** @returns false when the device is not to be believed any more */
  private handle(): boolean {
    const { completions, rx, tx } = this.session;
    const ring = completions.ring === TX ? tx : rx;
    const { cookie, head, length, status } = completions;
    const isExpected = completions.ring <= TX && ring.inFlight > 0 && ring.nextCookie === cookie;
    if (!isExpected || head !== ((ring.completed + 1) & 0xffff) || length > ring.bufferBytes) {
      const message = `completion of ring ${completions.ring}, cookie ${cookie}, ${length} bytes, head ${head}: want cookie ${ring.nextCookie}, head ${ring.completed + 1}`;
      this.giveUp(breakdown(BREAK.RING, message));
      return false;
    }
    ring.complete();
    if (status !== WORK_STATUS.OK) this.counters.failedBuffers++;
    if (ring === tx) this.free[this.freeCount++] = cookie;
    else {
      if (status === WORK_STATUS.OK) this.deliver(rx.host[cookie]!, length);
      rx.post(cookie, rx.bufferBytes);
    }
    return true;
  }

  private deliver(host: number, length: number): void {
    const { frame, counters } = this;
    frame.ranges.offset[0] = host;
    frame.ranges.length[0] = length;
    frame.length = length;
    counters.received++;
    counters.receivedBytes += length;
    this.events.frame(frame);
  }

  private tell(ring: WorkRing): void {
    ring.told = ring.posted;
    this.counters.doorbells++;
    this.registers.ring(ring.id, VB_DOORBELL.SUBMISSION, ring.posted, this.session.generation);
  }

  private arm(isWanted: boolean): void {
    const { completions, generation } = this.session;
    this.counters.doorbells++;
    const high = isWanted ? (generation | VB_ARM) >>> 0 : generation;
    this.registers.ring(0, VB_DOORBELL.COMPLETION, completions.consumed, high);
  }

  private checkStatus(): void {
    const status = this.registers.read(VB_REG.STATUS);
    if ((status & VB_STATUS.FATAL) === 0) return;
    this.giveUp(breakdown(BREAK.NEEDS_RESET, `STATUS is 0x${status.toString(16)}: the function needs a reset`));
  }

  private giveUp(why: Breakdown): void {
    this.end('broken');
    this.events.broken?.(why);
  }

  private end(state: 'broken' | 'closed'): void {
    if (this.state === 'broken' || this.state === 'closed') {
      this.state = state;
      return;
    }
    this.state = state;
    this.needsPoll = false;
    disableMsix(this.registers.access, this.registers.msix);
    // While it does not reset it may write to memory, and keeps it.
    if (resetVendorB(this.registers, this.patience) === undefined) this.arena.free();
  }
}
