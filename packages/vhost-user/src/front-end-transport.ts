import {
  BREAK,
  type Breakdown,
  type MsixMessage,
  type QueueSetup,
  type Transport,
  type VectorPlan,
} from '@ringwire/guest-drivers';
import { PollSet } from '@ringwire/linux';
import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_SIZE } from '@ringwire/virtio-spec/net';
import { FrontEndControl } from './front-end-control.js';
import { BackEndDoor } from './front-end-door.js';
import { FrontEndInterrupts } from './front-end-interrupts.js';
import type { BackEndLink } from './front-end-link.js';
import { type FrontEndOptions, type FrontEndSettings, frontEndSettings } from './front-end-options.js';
import { FrontEndPeer } from './front-end-peer.js';
import { FrontEndRings } from './front-end-rings.js';

const { ACKNOWLEDGE, FEATURES_OK, DRIVER_OK, DEVICE_NEEDS_RESET } = DEVICE_STATUS;
/**
 * Reach a network device behind a vhost-user socket.
 * @returns the transport, connected, or NOT_USABLE: no back-end came in time, or what is there is none
 * @throws VirtioError for options that cannot be, SystemError and RangeError for a path where no socket can be
 */
export function openVhostUserTransport(options: FrontEndOptions): VhostUserTransport | Breakdown {
  const settings = frontEndSettings(options);
  const transport = new VhostUserTransport(
    settings,
    new FrontEndPeer(settings, new BackEndDoor(settings.path, settings.listens)),
  );
  const why = transport.connect();
  if (why === undefined) return transport;
  transport.close();
  return { code: BREAK.NOT_USABLE, message: why };
}

/**
 * A network device in another process, for the drivers of `@ringwire/guest-drivers`: what registers are elsewhere is said
 * over a socket, and what a bus carries goes through event descriptors.
 *
 * The host calls {@link takeInterrupts} whenever {@link wait} returns, and now and then otherwise: it is also where
 * changes are heard of and where a back-end that went is looked for. While it is away the link is down. A back-end that
 * returns gets its rings where they were. A packed one whose buffers it had used out of order, and had not on record, it
 * cannot get back: then the device needs a reset, as it does after whatever no back-end may do. Nothing that a back-end
 * does is believed, and nothing makes a method throw.
 */
export class VhostUserTransport implements Transport {
  readonly name = 'vhost-user';
  readonly deviceId: number = VIRTIO_ID.NET;
  readonly configBytes: number = VIRTIO_NET_CONFIG_SIZE;
  /** All that is offered can be carried. */
  readonly unusable: readonly number[] = [];
  private readonly settings: FrontEndSettings;
  private readonly peer: FrontEndPeer;
  private readonly rings: FrontEndRings;
  private readonly interrupts: FrontEndInterrupts = new FrontEndInterrupts();
  private control: FrontEndControl | undefined;
  private readonly accepted: Uint32Array<ArrayBuffer> = new Uint32Array(FEATURE_WORDS);
  private config: Uint8Array = new Uint8Array(VIRTIO_NET_CONFIG_SIZE);
  private generation = 0;
  /** Status bits that the driver has set. */
  private bits = 0;
  private isBroken = false;
  private retryAt = 0;
  private readonly lookSet: PollSet;
  private readonly waitSet: PollSet;

  /** @see openVhostUserTransport */
  constructor(settings: FrontEndSettings, peer: FrontEndPeer) {
    this.settings = settings;
    this.peer = peer;
    this.rings = new FrontEndRings(settings.ram.space);
    const descriptors = 2 + 4 * settings.pairs;
    this.lookSet = new PollSet(descriptors);
    this.waitSet = new PollSet(descriptors);
  }

  /** Why the last connection ended, or could not be made use of. */
  get problem(): string | undefined {
    return this.peer.problem;
  }

  get isConnected(): boolean {
    return this.peer.link !== undefined;
  }

  get queueLimit(): number {
    const { pairs } = this.peer;
    return pairs > 1 ? 2 * pairs + 1 : 2;
  }

  get vectorLimit(): number {
    return this.queueLimit + 1;
  }

  /** Connect, for the first time. @returns why there is no connection */
  connect(): string | undefined {
    const why = this.peer.connectWithin(this.settings.replyMs);
    if (why === undefined) this.welcome();
    return why;
  }

  status(): number {
    const { link } = this.peer;
    if (this.isBroken || link === undefined || !link.has('STATUS')) return this.ownStatus();
    const status = this.peer.askStatus(link);
    this.settle();
    return status ?? this.ownStatus();
  }

  setStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    if (this.bits === 0 && !this.isConnected && (value & ACKNOWLEDGE) !== 0) {
      if (this.peer.connect() === undefined) this.welcome();
      else this.isBroken = true;
    }
    const news = value & ~this.bits;
    this.bits = value;
    const { link } = this.peer;
    const isThere = link !== undefined && !this.isBroken;
    if ((news & FEATURES_OK) !== 0 && !(isThere && this.peer.agree(link, this.accepted) === undefined))
      this.bits &= ~FEATURES_OK;
    if (!isThere) return;
    if ((news & DRIVER_OK) !== 0) {
      const why = this.rings.start(link);
      if (why !== undefined) link.end(why);
    }
    this.peer.tellStatus(link, this.bits);
    this.settle();
  }

  deviceFeatures(word: number): number {
    return this.peer.offered[word] ?? 0;
  }

  setDriverFeatures(word: number, bits: number): void {
    if (word < FEATURE_WORDS) this.accepted[word] = bits;
  }

  configGeneration(): number {
    return this.generation;
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    const view = new DataView(this.config.buffer);
    return bytes === 1 ? view.getUint8(at) : bytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
  }

  queueSizeMax(index: number): number {
    return index < this.queueLimit && !this.queueEnabled(index) ? this.settings.queueSizeMax : 0;
  }

  enableQueue(index: number, setup: QueueSetup, features: Uint32Array): Breakdown | undefined {
    if (index === this.controlIndex) return this.enableControl(setup, features);
    const { link } = this.peer;
    const why = link === undefined ? 'there is no back-end' : this.rings.add(link, index, setup, this.isPacked);
    this.settle();
    if (why === undefined) return undefined;
    return { code: this.isConnected ? BREAK.NO_QUEUE : BREAK.QUEUE_TIMEOUT, message: `queue ${index}: ${why}` };
  }

  queueEnabled(index: number): boolean {
    return index === this.controlIndex ? this.control !== undefined : this.rings.has(index);
  }

  /** RING_RESET is not offered. */
  resetQueue(_index: number): void {}

  queueResetDone(_index: number): boolean {
    return false;
  }

  stopQueue(_index: number): void {}

  notify(index: number, _data: number): void {
    if (index !== this.controlIndex) this.rings.notify(index);
    else if (this.control?.serve() === true) this.interrupts.queues.add(index);
  }

  notifyIndex(index: number): number {
    return index;
  }

  mapVectors(plan: VectorPlan, _messages: readonly MsixMessage[]): boolean {
    this.interrupts.plan = plan;
    return true;
  }

  unmapVectors(): void {
    this.interrupts.plan = undefined;
  }

  interruptCause(): number {
    return this.interrupts.takeCause();
  }

  /**
   * Look what happened, without waiting: interrupts, changes, a back-end that went or came.
   * @param deliver called for each vector that is due, or once with 0 where none were mapped
   */
  takeInterrupts(deliver: (vector: number) => void = () => {}): void {
    const { link } = this.peer;
    if (link === undefined) this.seek();
    else {
      this.watch(this.lookSet);
      if (this.lookSet.look() > 0) this.hear(link);
    }
    this.interrupts.deliver(deliver);
  }

  /** Wait until there is something for {@link takeInterrupts}, at most so long; the event loop goes on meanwhile. */
  async wait(milliseconds: number): Promise<void> {
    if (this.interrupts.isDue) return;
    this.watch(this.waitSet);
    const left = this.seeks ? Math.max(0, Math.ceil(this.retryAt - this.settings.now())) : milliseconds;
    await this.waitSet.wait(Math.min(milliseconds, left));
  }

  /**
   * Take the rings back from the back-end and end the connection, so that it can be exchanged: the next one goes on where
   * it was, with packed rings too.
   */
  disconnect(): void {
    const { link } = this.peer;
    if (link === undefined) return;
    this.rings.stop(link, true);
    link.isGone = link.problem === undefined;
    link.end('disconnected');
    this.settle();
  }

  /** Take the rings back, end the connection, and let go of everything. */
  close(): void {
    this.reset();
    this.peer.close();
  }

  private get controlIndex(): number {
    return 2 * this.peer.pairs;
  }

  private get isPacked(): boolean {
    return hasFeature(this.accepted, VIRTIO_F.RING_PACKED);
  }

  /** A back-end is looked for: one that just went, from a driver that is still there. */
  private get seeks(): boolean {
    return !this.isConnected && !this.isBroken && this.bits !== 0;
  }

  private ownStatus(): number {
    return this.isBroken && this.bits !== 0 ? this.bits | DEVICE_NEEDS_RESET : this.bits;
  }

  /** A back-end is there, and nothing of a driver's: what it is offered begins anew. */
  private welcome(): void {
    this.peer.offer();
    this.configure();
  }

  private enableControl(setup: QueueSetup, features: Uint32Array): Breakdown | undefined {
    const { space } = this.settings.ram;
    const control = FrontEndControl.open(space, setup, features, (pairs) => this.setPairs(pairs));
    if (typeof control === 'string') return { code: BREAK.NO_QUEUE, message: control };
    this.control = control;
    return undefined;
  }

  /** The command of the control queue. @returns whether it could be done */
  private setPairs(pairs: number): boolean {
    if (pairs < 1 || pairs > this.peer.pairs) return false;
    const why = this.rings.setPairs(this.peer.link, pairs);
    this.settle();
    return why === undefined;
  }

  private reset(): void {
    const { link } = this.peer;
    if (link !== undefined && this.bits !== 0) {
      this.rings.stop(link, false);
      this.peer.tellStatus(link, 0);
    }
    this.bits = 0;
    this.isBroken = false;
    this.settle();
    this.rings.clear();
    this.control = undefined;
    this.accepted.fill(0);
    this.interrupts.clear();
  }

  /** After anything that may have ended the connection. */
  private settle(): void {
    const { peer, bits } = this;
    if (!peer.settle()) return;
    const canGoOn = peer.isGone && (bits & DRIVER_OK) !== 0 && this.rings.canRestore;
    if (bits !== 0 && !canGoOn) this.isBroken = true;
    this.retryAt = this.settings.now() + this.settings.retryMs;
    this.configure();
  }

  /** Look for the back-end that went, and give it back what it had. */
  private seek(): void {
    const { peer, accepted } = this;
    const { now, retryMs } = this.settings;
    if (!this.seeks || now() < this.retryAt) return;
    this.retryAt = now() + retryMs;
    if (peer.connect() !== undefined) {
      if (!peer.isGone) this.isBroken = true;
      return;
    }
    const link = peer.link!;
    const why = peer.shortage(accepted) ?? peer.agree(link, accepted) ?? this.rings.restore(link);
    if (why === undefined) {
      peer.tellStatus(link, this.bits);
      this.configure();
      for (const index of this.rings.indexes) this.interrupts.queues.add(index);
    } else link.end(why);
    this.settle();
  }

  private watch(set: PollSet): void {
    set.clear();
    const { link } = this.peer;
    if (link === undefined) return;
    set.add(link.socket);
    if (link.channel !== undefined) set.add(link.channel.socket);
    this.rings.watch(set);
  }

  private hear(link: BackEndLink): void {
    link.look();
    const inError = this.rings.takeCalls(this.interrupts.queues);
    if (inError >= 0) link.end(`the back-end says that ring ${inError} is in error`);
    if (this.peer.takeConfig(link)) this.configure();
    this.settle();
  }

  /** Put the configuration together anew, and tell the driver. */
  private configure(): void {
    this.config = this.peer.configuration();
    this.generation = (this.generation + 1) & 0xff;
    this.interrupts.hasConfig = this.bits !== 0;
  }
}
