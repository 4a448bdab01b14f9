import {
  BREAK,
  type Breakdown,
  type MsixMessage,
  type QueueSetup,
  type Transport,
  type VectorPlan,
} from '@ringwire/guest-drivers';
import { PollSet } from '@ringwire/linux';
import { DEVICE_STATUS, FEATURE_WORDS, featuresToBigInt, hasFeature, VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_SIZE, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { FrontEndControl } from './front-end-control.js';
import { BackEndDoor } from './front-end-door.js';
import { type BackEndFacts, greet, readBackEndConfig, tellMemory } from './front-end-greeting.js';
import { FrontEndInterrupts } from './front-end-interrupts.js';
import { BackEndLink } from './front-end-link.js';
import { backEndFeatures, frontEndConfig, type OwnFacts, offeredFeatures } from './front-end-offer.js';
import { type FrontEndOptions, type FrontEndSettings, frontEndSettings } from './front-end-options.js';
import { FrontEndRings } from './front-end-rings.js';
import { F_PROTOCOL_FEATURES, u64 } from './messages.js';

const { ACKNOWLEDGE, FEATURES_OK, DRIVER_OK, DEVICE_NEEDS_RESET } = DEVICE_STATUS;
const PROTOCOL_BIT: bigint = 1n << BigInt(F_PROTOCOL_FEATURES);
/** Between two looks whether a back-end is there yet. */
const DOOR_MS = 10;
/**
 * Reach a network device behind a vhost-user socket.
 * @returns the transport, connected, or NOT_USABLE: no back-end came in time, or what is there is none
 * @throws VirtioError for options that cannot be, SystemError and RangeError for a path where no socket can be
 */
export function openVhostUserTransport(options: FrontEndOptions): VhostUserTransport | Breakdown {
  const settings = frontEndSettings(options);
  const transport = new VhostUserTransport(settings, new BackEndDoor(settings.path, settings.listens));
  const why = transport.connectWithin(settings.replyMs);
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
 * returns gets its split rings where they were; packed ones it cannot get back, so that the device needs a reset, as it
 * does after whatever no back-end may do. Nothing that a back-end does is believed, and nothing makes a method throw.
 */
export class VhostUserTransport implements Transport {
  readonly name = 'vhost-user';
  readonly deviceId: number = VIRTIO_ID.NET;
  readonly configBytes: number = VIRTIO_NET_CONFIG_SIZE;
  /** All that is offered can be carried. */
  readonly unusable: readonly number[] = [];
  /** Why the last connection ended, or could not be made use of. */
  problem: string | undefined;
  private readonly settings: FrontEndSettings;
  private readonly door: BackEndDoor;
  private readonly rings: FrontEndRings;
  private readonly interrupts: FrontEndInterrupts = new FrontEndInterrupts();
  private control: FrontEndControl | undefined;
  private link: BackEndLink | undefined;
  private facts: BackEndFacts | undefined;
  private pairs = 1;
  private offered: Uint32Array = new Uint32Array(FEATURE_WORDS);
  private readonly accepted: Uint32Array<ArrayBuffer> = new Uint32Array(FEATURE_WORDS);
  private config: Uint8Array = new Uint8Array(VIRTIO_NET_CONFIG_SIZE);
  private generation = 0;
  /** Status bits that the driver has set. */
  private bits = 0;
  private isBroken = false;
  private hasMemory = false;
  private retryAt = 0;
  private readonly lookSet: PollSet;
  private readonly waitSet: PollSet;

  /** @see openVhostUserTransport */
  constructor(settings: FrontEndSettings, door: BackEndDoor) {
    this.settings = settings;
    this.door = door;
    this.rings = new FrontEndRings(settings.ram.space);
    const descriptors = 2 + 4 * settings.pairs;
    this.lookSet = new PollSet(descriptors);
    this.waitSet = new PollSet(descriptors);
  }

  get isConnected(): boolean {
    return this.link !== undefined;
  }

  get queueLimit(): number {
    return this.pairs > 1 ? 2 * this.pairs + 1 : 2;
  }

  get vectorLimit(): number {
    return this.queueLimit + 1;
  }

  /** Connect, and wait for that at most so long. @returns why there is no connection */
  connectWithin(milliseconds: number): string | undefined {
    const { now, pause } = this.settings;
    const deadline = now() + milliseconds;
    const idle = new PollSet(1);
    for (;;) {
      const socket = this.door.open();
      if (socket >= 0) return this.meet(socket);
      if (now() >= deadline) return `no back-end at ${this.settings.path}`;
      if (pause !== undefined) pause();
      else idle.block(DOOR_MS);
    }
  }

  status(): number {
    const { link } = this;
    if (this.isBroken || link === undefined || !link.has('STATUS')) return this.ownStatus();
    const answer = link.ask('GET_STATUS');
    const status = typeof answer === 'string' ? 0n : answer.getBigUint64(0, true);
    if (status > 0xffn) link.end(`the status is ${status}, want a byte`);
    this.settle();
    return link.problem === undefined ? Number(status) : this.ownStatus();
  }

  setStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    if (this.bits === 0 && this.link === undefined && (value & ACKNOWLEDGE) !== 0) {
      const socket = this.door.open();
      if (socket < 0 || this.meet(socket) !== undefined) this.isBroken = true;
    }
    const news = value & ~this.bits;
    this.bits = value;
    const { link } = this;
    if (link === undefined || this.isBroken) return;
    if ((news & FEATURES_OK) !== 0 && this.tellFeatures(link) !== undefined) this.bits &= ~FEATURES_OK;
    if ((news & DRIVER_OK) !== 0) {
      const why = this.rings.start(link);
      if (why !== undefined) link.end(why);
    }
    this.tellStatus(link);
    this.settle();
  }

  deviceFeatures(word: number): number {
    return this.offered[word] ?? 0;
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
    if (index === 2 * this.pairs) return this.enableControl(setup, features);
    const { link } = this;
    const why = link === undefined ? 'there is no back-end' : this.rings.add(link, index, setup, this.isPacked);
    this.settle();
    if (why === undefined) return undefined;
    return { code: this.link === undefined ? BREAK.QUEUE_TIMEOUT : BREAK.NO_QUEUE, message: `queue ${index}: ${why}` };
  }

  queueEnabled(index: number): boolean {
    return index === 2 * this.pairs ? this.control !== undefined : this.rings.has(index);
  }

  /** RING_RESET is not offered. */
  resetQueue(_index: number): void {}

  queueResetDone(_index: number): boolean {
    return false;
  }

  stopQueue(_index: number): void {}

  notify(index: number, _data: number): void {
    if (index !== 2 * this.pairs) this.rings.notify(index);
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
    if (this.link === undefined) this.seek();
    else {
      this.watch(this.lookSet);
      if (this.lookSet.look() > 0) this.hear(this.link);
    }
    this.interrupts.deliver(deliver);
  }

  /** Wait until there is something for {@link takeInterrupts}, at most so long; the event loop goes on meanwhile. */
  async wait(milliseconds: number): Promise<void> {
    if (this.interrupts.isDue) return;
    this.watch(this.waitSet);
    const left = this.link === undefined ? Math.max(0, this.retryAt - this.settings.now()) : milliseconds;
    await this.waitSet.wait(Math.min(milliseconds, Math.ceil(left)));
  }

  /**
   * Take the rings back from the back-end and end the connection, so that it can be exchanged: the next one goes on where
   * it was, with packed rings too.
   */
  disconnect(): void {
    const { link } = this;
    if (link === undefined) return;
    this.rings.stop(link, true);
    link.isGone = link.problem === undefined;
    link.end('disconnected');
    this.settle();
  }

  /** Take the rings back, end the connection, and let go of everything. */
  close(): void {
    this.reset();
    this.link?.end('closed');
    this.link = undefined;
    this.door.close();
  }

  private get own(): OwnFacts {
    const { mac, mtu } = this.settings;
    return { mac, mtu: this.link?.has('NET_MTU') === true ? mtu : undefined, pairs: this.pairs };
  }

  private get isPacked(): boolean {
    return hasFeature(this.accepted, VIRTIO_F.RING_PACKED);
  }

  private ownStatus(): number {
    return this.isBroken && this.bits !== 0 ? this.bits | DEVICE_NEEDS_RESET : this.bits;
  }

  /** Make a connection of a socket. @returns why it is none that can be used */
  private meet(socket: number): string | undefined {
    const link = new BackEndLink(socket, this.settings);
    const facts = greet(link, this.settings.ram);
    if (typeof facts === 'string') {
      this.problem = link.end(facts);
      if (!link.isGone && this.bits !== 0) this.isBroken = true;
      return facts;
    }
    this.link = link;
    this.facts = facts;
    this.hasMemory = false;
    if (this.bits === 0) {
      const multi = hasFeature(facts.features, VIRTIO_NET_F.MQ) ? facts.pairs : 1;
      this.pairs = Math.min(this.settings.pairs, multi);
      this.offered = offeredFeatures(facts.features, facts.config, this.own);
    }
    this.configure();
    return undefined;
  }

  private enableControl(setup: QueueSetup, features: Uint32Array): Breakdown | undefined {
    const { space } = this.settings.ram;
    const control = FrontEndControl.open(space, setup, features, (pairs) => this.setPairs(pairs));
    if (typeof control === 'string') return { code: BREAK.NO_QUEUE, message: control };
    this.control = control;
    return undefined;
  }

  /** Features, the memory that they go with, and the MTU. @returns why they cannot be */
  private tellFeatures(link: BackEndLink): string | undefined {
    const { features } = this.facts!;
    const bits = featuresToBigInt(backEndFeatures(this.accepted, features)) | (link.hasProtocol ? PROTOCOL_BIT : 0n);
    let why = link.tell('SET_FEATURES', u64(bits));
    if (why === undefined && !this.hasMemory) {
      why = tellMemory(link, this.settings.ram);
      this.hasMemory = why === undefined;
    }
    const { mtu } = this.settings;
    if (why === undefined && mtu !== undefined && link.has('NET_MTU') && hasFeature(this.accepted, VIRTIO_NET_F.MTU))
      why = link.tell('NET_SET_MTU', u64(BigInt(mtu)));
    if (why !== undefined) this.problem = why;
    return why;
  }

  private tellStatus(link: BackEndLink): void {
    if (link.has('STATUS')) link.tell('SET_STATUS', u64(BigInt(this.bits)));
  }

  /** The command of the control queue. @returns whether it could be done */
  private setPairs(pairs: number): boolean {
    if (pairs < 1 || pairs > this.pairs) return false;
    const why = this.rings.setPairs(this.link, pairs);
    this.settle();
    return why === undefined;
  }

  private reset(): void {
    const { link } = this;
    if (link !== undefined && this.bits !== 0) {
      this.rings.stop(link, false);
      if (link.has('STATUS')) link.tell('SET_STATUS', u64(0n));
      else if (link.has('RESET_DEVICE')) link.tell('RESET_DEVICE');
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
    const { link } = this;
    if (link?.problem === undefined) return;
    this.problem = link.problem;
    this.link = undefined;
    if (this.bits !== 0 && !(link.isGone && (this.bits & DRIVER_OK) !== 0 && this.rings.canRestore(this.isPacked)))
      this.isBroken = true;
    this.retryAt = this.settings.now() + this.settings.retryMs;
    this.configure();
  }

  /** Look for the back-end that went, and give it back what it had. */
  private seek(): void {
    const { now, retryMs } = this.settings;
    if (this.isBroken || this.bits === 0 || now() < this.retryAt) return;
    this.retryAt = now() + retryMs;
    const socket = this.door.open();
    if (socket < 0 || this.meet(socket) !== undefined) return;
    const link = this.link!;
    const why = this.restore(link);
    if (why !== undefined) link.end(why);
    else for (const index of this.rings.indexes) this.interrupts.queues.add(index);
    this.settle();
  }

  private restore(link: BackEndLink): string | undefined {
    const offer = offeredFeatures(this.facts!.features, this.facts!.config, this.own);
    if (this.accepted.some((bits, word) => (bits & ~offer[word]!) !== 0))
      return 'the back-end offers less than the one before';
    if (this.facts!.pairs < this.pairs) return `the back-end has ${this.facts!.pairs} queue pairs, want ${this.pairs}`;
    const why = this.tellFeatures(link) ?? this.rings.restore(link);
    this.tellStatus(link);
    return why;
  }

  private watch(set: PollSet): void {
    set.clear();
    const { link } = this;
    if (link === undefined) return;
    set.add(link.socket);
    if (link.channel !== undefined) set.add(link.channel.socket);
    this.rings.watch(set);
  }

  private hear(link: BackEndLink): void {
    link.look();
    const inError = this.rings.takeCalls(this.interrupts.queues);
    if (inError >= 0) link.end(`the back-end says that ring ${inError} is in error`);
    if (link.problem === undefined && link.channel?.hasConfigChanged === true) {
      link.channel.hasConfigChanged = false;
      this.takeConfig(link);
    }
    this.settle();
  }

  private takeConfig(link: BackEndLink): void {
    if (!link.has('CONFIG')) return;
    const facts = this.facts!;
    const config = readBackEndConfig(link, facts.features);
    if (typeof config === 'string') return;
    this.facts = { ...facts, config };
    this.configure();
  }

  /** Put the configuration together anew, and tell the driver. */
  private configure(): void {
    const { facts } = this;
    if (facts === undefined) return;
    this.config = frontEndConfig(facts.config, facts.features, this.own, this.link !== undefined);
    this.generation = (this.generation + 1) & 0xff;
    this.interrupts.hasConfig = this.bits !== 0;
  }
}
