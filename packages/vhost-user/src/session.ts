import { close, send } from '@ringwire/linux';
import type { PeerMemory } from '@ringwire/peer-memory';
import type { VdpaDevice } from '@ringwire/vdpa';
import type { DeviceModel } from '@ringwire/virtio-device';
import {
  DEVICE_STATUS,
  featuresFromBigInt,
  featuresToBigInt,
  hasFeature,
  VIRTIO_F,
  VIRTIO_ID,
} from '@ringwire/virtio-spec';
import { BackendChannel, channelProblem } from './backend-channel.js';
import { getConfig, setConfig } from './config-requests.js';
import { type DeviceFacts, factsOf } from './device-facts.js';
import { VhostDevicePort } from './device-port.js';
import { DirtyPages } from './dirty-pages.js';
import { InflightRequests } from './inflight-requests.js';
import { IotlbRequests } from './iotlb-requests.js';
import { LogRequests } from './log-requests.js';
import { MemoryRequests, SLOTS_MAX } from './memory-requests.js';
import { MemoryTable } from './memory-table.js';
import { MessageReader } from './message-reader.js';
import {
  F_LOG_ALL,
  F_PROTOCOL_FEATURES,
  hasProtocolFeature,
  type Message,
  PROTOCOL_F,
  reply,
  requestProblem,
  u64,
} from './messages.js';
import { sendRarp, setMtu } from './net-requests.js';
import type { Outcome } from './outcome.js';
import { RingRequests } from './ring-requests.js';
import { VhostVdpaPort } from './vdpa-port.js';
import type { VhostPort } from './vhost-port.js';

/** Which layouts of rings a device takes. */
export type RingLayouts = 'both' | 'split' | 'packed';
const bitsOf = (bits: readonly number[]): bigint => bits.reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
const PROTOCOL_FEATURES: bigint = bitsOf(Object.values(PROTOCOL_F));
const PROTOCOL_BIT: bigint = 1n << BigInt(F_PROTOCOL_FEATURES);
const PACKED_BIT: bigint = 1n << BigInt(VIRTIO_F.RING_PACKED);
const LOG_BIT: bigint = 1n << BigInt(F_LOG_ALL);
const DEVICE_BITS = 0xffff_ffff_ffff_ffffn & ~(PROTOCOL_BIT | LOG_BIT);

/** A device whose rings are run here, or one of vDPA that runs them itself. */
export type SessionDevice = { readonly model: DeviceModel } | { readonly vdpa: VdpaDevice };

/** What a session is made of. */
export interface SessionParts {
  /** The connection, which is the session's from here on. */
  readonly socket: number;
  readonly device: SessionDevice;
  readonly memory: PeerMemory;
  /** Both unless given. */
  readonly rings?: RingLayouts;
  /** µs that never go back. */
  readonly now: () => number;
}

/**
 * One front-end's connection, from its first message to its end. A request that cannot be is answered by an error where
 * an acknowledgement was asked for, and ends the connection otherwise; so does whatever is no message at all. Nothing
 * that a front-end sends makes a method throw.
 */
export class Session {
  readonly port: VhostPort;
  readonly socket: number;
  /** Why the connection is to be closed. */
  problem: string | undefined;
  /** Why the last request that was answered with an error was refused. */
  refusal: string | undefined;
  /** When the message that is not whole yet began, in µs; Infinity when there is none. */
  waitingSince: number = Number.POSITIVE_INFINITY;
  /** The front-end said something. */
  wasHeard = false;
  private readonly reader: MessageReader;
  readonly table: MemoryTable;
  private readonly facts: DeviceFacts;
  private readonly now: () => number;
  private readonly layouts: RingLayouts;
  private readonly memory: MemoryRequests;
  private readonly rings: RingRequests;
  private readonly log: LogRequests;
  private readonly inflight: InflightRequests;
  private readonly translations: IotlbRequests;
  private protocol = 0n;
  /** As the front-end wrote it, 0 where it keeps it to itself. */
  status = 0;
  private readonly protocolOffered: bigint;
  /** The features that were set last can't be. */
  private featuresRefused = false;
  private closed = false;

  constructor({ socket, device, memory, rings = 'both', now }: SessionParts) {
    this.socket = socket;
    this.layouts = rings;
    this.now = now;
    this.reader = new MessageReader(socket);
    this.table = new MemoryTable(memory);
    const dirty = new DirtyPages(memory);
    this.facts = factsOf(device);
    this.protocolOffered = PROTOCOL_FEATURES & ~bitsOf(this.facts.withoutProtocol);
    this.port =
      'model' in device
        ? new VhostDevicePort(device.model, this.table, dirty, now)
        : new VhostVdpaPort(device.vdpa, this.table, dirty, now);
    this.memory = new MemoryRequests(this.port, this.table);
    this.rings = new RingRequests(this.port);
    this.log = new LogRequests(this.port, this.table, memory);
    this.translations = new IotlbRequests(this.port, this.table);
    this.inflight = new InflightRequests(this.port, memory);
  }

  get featuresOffered(): Uint32Array {
    return featuresFromBigInt(this.offered());
  }

  /** Serve what the socket brings. @param most messages at most, so that others get their turn */
  serve(most: number): void {
    for (let left = most; left > 0 && this.problem === undefined; left--) {
      const message = this.reader.read();
      if (message === undefined) {
        this.problem = this.reader.problem;
        this.waitingSince = !this.reader.isInside ? Number.POSITIVE_INFINITY : Math.min(this.waitingSince, this.now());
        return;
      }
      this.waitingSince = Number.POSITIVE_INFINITY;
      this.wasHeard = true;
      this.answer(message);
    }
  }

  /** Whether a file that the front-end shares was cut short while it was mapped. */
  wasCut(): boolean {
    return this.table.wasCut() || this.port.dirty.wasCut() || this.inflight.wasCut();
  }

  /** Serve what the socket of the back-end's own channel brings. */
  serveChannel(): void {
    const { channel } = this.port;
    if (channel === undefined) return;
    channel.receive();
    this.problem ??= channel.problem;
    if (channel.ended) this.closeChannel();
    this.port.openWaiting();
  }

  /** End: the device stops, every descriptor is closed and no memory of the front-end's is mapped any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.port.end();
    } finally {
      this.port.dirty.clear();
      this.inflight.clear();
      this.table.clear();
      this.closeChannel();
      this.reader.dispose();
      close(this.socket);
    }
  }

  private answer(message: Message): void {
    const outcome = this.handle(message);
    for (const fd of message.fds.splice(0)) close(fd);
    if (outcome instanceof Uint8Array) this.send(message.id, outcome);
    else if (typeof outcome === 'object') {
      this.send(message.id, outcome.payload, [outcome.fd]);
      close(outcome.fd);
    } else if (message.needReply && hasProtocolFeature(this.protocol, PROTOCOL_F.REPLY_ACK)) {
      if (outcome !== undefined) this.refusal = outcome;
      this.send(message.id, u64(outcome === undefined ? 0n : 1n));
    } else if (outcome !== undefined) this.problem = outcome;
  }

  /** An answer is small: a socket without room for it has a front-end that doesn't read. */
  private send(id: number, payload: Uint8Array, fds: readonly number[] = []): void {
    const bytes = reply(id, payload);
    if (send(this.socket, bytes, fds) !== bytes.length) this.problem = 'an answer could not be sent';
  }

  private handle(message: Message): Outcome {
    const { name, payload, fds } = message;
    const problem = requestProblem(message, this.protocol);
    if (name === undefined || problem !== undefined) return problem;
    switch (name) {
      case 'GET_FEATURES':
        return u64(this.offered() | PROTOCOL_BIT | LOG_BIT);
      case 'SET_FEATURES':
        return this.setFeatures(payload.getBigUint64(0, true));
      case 'GET_PROTOCOL_FEATURES':
        return u64(this.protocolOffered);
      case 'SET_PROTOCOL_FEATURES':
        return this.setProtocolFeatures(payload.getBigUint64(0, true));
      case 'SET_OWNER':
        return undefined;
      case 'RESET_OWNER':
      case 'RESET_DEVICE':
        return this.resetDevice();
      case 'GET_QUEUE_NUM':
        return u64(BigInt(this.queueNumber()));
      case 'SET_MEM_TABLE':
        return this.memory.setTable(payload, fds);
      case 'GET_MAX_MEM_SLOTS':
        return u64(BigInt(SLOTS_MAX));
      case 'ADD_MEM_REG':
        return this.memory.addRegion(payload, fds);
      case 'REM_MEM_REG':
        return this.memory.removeRegion(payload);
      case 'SET_LOG_BASE':
        return this.log.setBase(payload, fds);
      case 'SET_LOG_FD':
        return this.log.setEvent(fds);
      case 'SET_VRING_NUM':
        return this.rings.setSize(payload);
      case 'SET_VRING_BASE':
        return this.rings.setBase(payload);
      case 'GET_VRING_BASE':
        return this.rings.getBase(payload);
      case 'SET_VRING_ENABLE':
        return this.rings.setEnabled(payload);
      case 'SET_VRING_ADDR':
        return this.rings.setAddresses(payload);
      case 'SET_VRING_KICK':
        return this.rings.setEvent('kick', payload, fds);
      case 'SET_VRING_CALL':
        return this.rings.setEvent('call', payload, fds);
      case 'SET_VRING_ERR':
        return this.rings.setEvent('err', payload, fds);
      case 'VRING_KICK':
        return this.rings.kick(payload);
      case 'SEND_RARP':
        return sendRarp(this.facts.model, payload);
      case 'NET_SET_MTU':
        return setMtu(this.facts.model, payload);
      case 'SET_BACKEND_REQ_FD':
        return this.setChannel(fds);
      case 'IOTLB_MSG':
        return this.translate(payload);
      case 'GET_CONFIG':
        return getConfig(this.facts, payload);
      case 'SET_CONFIG':
        return setConfig(this.facts, payload);
      case 'GET_INFLIGHT_FD':
        return this.inflight.get(payload);
      case 'SET_INFLIGHT_FD':
        return this.inflight.set(payload, fds);
      case 'GET_STATUS':
        return u64(BigInt(this.status));
      case 'SET_STATUS':
        return this.setStatus(payload.getBigUint64(0, true));
      default:
        return name satisfies never;
    }
  }

  private offered(): bigint {
    const { ringFeatures, features } = this.facts;
    const hidden = this.layouts === 'split' ? PACKED_BIT : 0n;
    return (featuresToBigInt(ringFeatures) | featuresToBigInt(features)) & DEVICE_BITS & ~hidden;
  }

  /** Front-ends count a network device's queues in pairs, and those of other types one by one. */
  private queueNumber(): number {
    const { length } = this.port.vrings;
    return this.facts.deviceId === VIRTIO_ID.NET ? length >>> 1 : length;
  }

  private setFeatures(bits: bigint): Outcome {
    const problem = this.takeFeatures(bits);
    this.featuresRefused = typeof problem === 'string';
    return problem;
  }

  private takeFeatures(bits: bigint): Outcome {
    const device = bits & DEVICE_BITS;
    const strange = device & ~this.offered();
    if (strange !== 0n) return `features 0x${strange.toString(16)} were not offered`;
    const features = featuresFromBigInt(device);
    if (this.layouts === 'packed' && !hasFeature(features, VIRTIO_F.RING_PACKED))
      return 'split rings are not served here';
    const why = this.facts.featureProblem(features);
    if (why !== undefined) return why;
    if (this.port.vrings.some(({ started }) => started)) {
      const same = features.every((word, at) => word === this.port.features[at]);
      if (!same) return 'features changed while a ring runs';
    } else {
      this.port.features = features;
      this.rings.hasProtocol = (bits & PROTOCOL_BIT) !== 0n;
    }
    return this.log.enable((bits & LOG_BIT) !== 0n);
  }

  private setProtocolFeatures(bits: bigint): Outcome {
    const strange = bits & ~this.protocolOffered;
    if (strange !== 0n) return `protocol features 0x${strange.toString(16)} were not offered`;
    const has = (bit: number): boolean => hasProtocolFeature(bits, bit);
    const inBand = has(PROTOCOL_F.INBAND_NOTIFICATIONS);
    if (inBand && !(has(PROTOCOL_F.BACKEND_REQ) && has(PROTOCOL_F.REPLY_ACK))) {
      // Which is never answered by an error alone.
      this.problem = 'INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK';
      return this.problem;
    }
    this.protocol = bits;
    this.port.inBand = inBand;
    this.informChannel();
    return undefined;
  }

  /** What was negotiated of the back-end's own channel. */
  private informChannel(): void {
    const { channel } = this.port;
    if (channel === undefined) return;
    channel.acknowledges = hasProtocolFeature(this.protocol, PROTOCOL_F.REPLY_ACK);
    channel.tellsConfig = hasProtocolFeature(this.protocol, PROTOCOL_F.CONFIG);
  }

  private setChannel(fds: number[]): Outcome {
    const [fd] = fds;
    if (fd === undefined) return 'no descriptor';
    const problem = channelProblem(fd);
    if (problem !== undefined) return problem;
    fds.length = 0;
    this.closeChannel();
    this.port.channel = new BackendChannel(fd, this.port.vrings.length, this.table.translated.misses);
    this.informChannel();
    return undefined;
  }

  /** Always answered, whatever was negotiated of acknowledgements. */
  private translate(payload: DataView): Outcome {
    const refusal = this.translations.take(payload);
    if (refusal !== undefined) this.refusal = refusal;
    return u64(refusal === undefined ? 0n : 1n);
  }

  private closeChannel(): void {
    this.port.channel?.close();
    this.port.channel = undefined;
  }

  /** Rings are as at first; features, memory and the owner stay. */
  private resetDevice(): Outcome {
    const { features } = this.port;
    this.port.reset();
    this.port.features = features;
    this.inflight.forget();
    this.status = 0;
    return undefined;
  }

  /** A front-end may ask where the rings were only after it: QEMU 7.2 does, and goes on from there. */
  private resetByStatus(): Outcome {
    const { vrings } = this.port;
    for (const vring of vrings) this.port.stopRing(vring);
    const bases = vrings.map(({ base }) => base);
    this.resetDevice();
    for (const [at, vring] of vrings.entries()) vring.base = bases[at]!;
    return undefined;
  }

  /** FEATURES_OK is not taken over where features were refused: a front-end reads the status to see that. */
  private setStatus(status: bigint): Outcome {
    if (status > 0xffn) return `status is ${status}, want a byte`;
    if (status === 0n) return this.resetByStatus();
    this.status = Number(status) & (this.featuresRefused ? ~DEVICE_STATUS.FEATURES_OK : 0xff);
    return undefined;
  }
}
