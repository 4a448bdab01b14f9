import { readlinkSync } from 'node:fs';
import type { DeviceModel } from '@ringwire/virtio-device';
import { featuresFromBigInt, featuresToBigInt, featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { send } from './channel.js';
import { VhostDevicePort } from './device-port.js';
import { close, setNonBlocking } from './libc.js';
import { MemoryTable, overlapProblem, regionOf } from './memory-table.js';
import { MessageReader } from './message-reader.js';
import {
  CONFIG,
  F_PROTOCOL_FEATURES,
  hasProtocolFeature,
  MEM_REGION,
  MEM_TABLE,
  type Message,
  PROTOCOL_F,
  reply,
  requestProblem,
  SINGLE_REGION,
  u64,
  VRING_ADDR,
  VRING_FD,
  VRING_STATE,
} from './messages.js';
import type { PeerMemory } from './peer-memory.js';
import type { Vring, VringAddresses } from './vring.js';

/** Memory regions that a front-end may add one by one. */
const SLOTS_MAX = 32;
/** What rings and the protocol can do, whatever the device's type. */
const OFFERED = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
] as const;
const PROTOCOL_FEATURES: bigint = Object.values(PROTOCOL_F).reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
const PROTOCOL_BIT: bigint = 1n << BigInt(F_PROTOCOL_FEATURES);
const DEVICE_BITS = 0xffff_ffff_ffff_ffffn & ~PROTOCOL_BIT;
const EVENT_FILE = 'anon_inode:[eventfd]';

/** What became of a request: its answer's payload, nothing to say, or why it is refused. */
type Outcome = Uint8Array | undefined | string;

/** What a session is made of. */
export interface SessionParts {
  /** The connection, which is the session's from here on. */
  readonly socket: number;
  readonly model: DeviceModel;
  readonly memory: PeerMemory;
  /** µs that never go back. */
  readonly now: () => number;
}

/**
 * One front-end's connection, from its first message to its end. A request that cannot be is answered by an error where
 * an acknowledgement was asked for, and ends the connection otherwise; so does whatever is no message at all. Nothing
 * that a front-end sends makes a method throw.
 */
export class Session {
  readonly port: VhostDevicePort;
  readonly socket: number;
  /** Why the connection is to be closed. */
  problem: string | undefined;
  /** Why the last request that was answered with an error was refused. */
  refusal: string | undefined;
  /** When the message that is not whole yet began, in µs; Infinity when there is none. */
  waitingSince: number = Number.POSITIVE_INFINITY;
  private readonly reader: MessageReader;
  private readonly table: MemoryTable;
  private readonly model: DeviceModel;
  private readonly now: () => number;
  private protocol = 0n;
  private hasProtocol = false;
  private status = 0;
  private closed = false;

  constructor({ socket, model, memory, now }: SessionParts) {
    this.socket = socket;
    this.model = model;
    this.now = now;
    this.reader = new MessageReader(socket);
    this.table = new MemoryTable(memory);
    this.port = new VhostDevicePort(model, this.table, now);
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
      this.answer(message);
    }
  }

  /** End: the device stops, every descriptor is closed and no memory of the front-end's is mapped any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.port.reset();
    this.table.clear();
    this.reader.dispose();
    close(this.socket);
  }

  private answer(message: Message): void {
    const outcome = this.handle(message);
    for (const fd of message.fds.splice(0)) close(fd);
    if (outcome instanceof Uint8Array) this.send(message.id, outcome);
    else if (message.needReply && hasProtocolFeature(this.protocol, PROTOCOL_F.REPLY_ACK)) {
      if (outcome !== undefined) this.refusal = outcome;
      this.send(message.id, u64(outcome === undefined ? 0n : 1n));
    } else if (outcome !== undefined) this.problem = outcome;
  }

  /** An answer is small: a socket without room for it has a front-end that doesn't read. */
  private send(id: number, payload: Uint8Array): void {
    const bytes = reply(id, payload);
    if (send(this.socket, bytes) !== bytes.length) this.problem = 'an answer could not be sent';
  }

  private handle(message: Message): Outcome {
    const { name, payload, fds } = message;
    const problem = requestProblem(message, this.protocol);
    if (name === undefined || problem !== undefined) return problem;
    switch (name) {
      case 'GET_FEATURES':
        return u64(this.offered() | PROTOCOL_BIT);
      case 'SET_FEATURES':
        return this.setFeatures(payload.getBigUint64(0, true));
      case 'GET_PROTOCOL_FEATURES':
        return u64(PROTOCOL_FEATURES);
      case 'SET_PROTOCOL_FEATURES':
        return this.setProtocolFeatures(payload.getBigUint64(0, true));
      case 'SET_OWNER':
        return undefined;
      case 'RESET_OWNER':
      case 'RESET_DEVICE':
        return this.resetDevice();
      case 'GET_QUEUE_NUM':
        return u64(BigInt(this.port.vrings.length));
      case 'SET_MEM_TABLE':
        return this.setMemTable(payload, fds);
      case 'GET_MAX_MEM_SLOTS':
        return u64(BigInt(SLOTS_MAX));
      case 'ADD_MEM_REG':
        return this.addMemReg(payload, fds);
      case 'REM_MEM_REG':
        return this.remMemReg(payload);
      case 'SET_VRING_NUM':
        return this.withRing(payload, VRING_STATE.num, (vring, num) => setSize(vring, num));
      case 'SET_VRING_BASE':
        return this.withRing(payload, VRING_STATE.num, (vring, num) => setBase(vring, num));
      case 'GET_VRING_BASE':
        return this.getBase(payload);
      case 'SET_VRING_ENABLE':
        return this.withRing(payload, VRING_STATE.num, (vring, num) => this.setEnabled(vring, num));
      case 'SET_VRING_ADDR':
        return this.withRing(payload, VRING_ADDR.flags, (vring) => setAddresses(vring, payload));
      case 'SET_VRING_KICK':
        return this.setEvent('kick', payload, fds);
      case 'SET_VRING_CALL':
        return this.setEvent('call', payload, fds);
      case 'SET_VRING_ERR':
        return this.setEvent('err', payload, fds);
      case 'GET_CONFIG':
        return this.getConfig(payload);
      case 'SET_CONFIG':
        return this.setConfig(payload);
      case 'GET_STATUS':
        return u64(BigInt(this.status));
      case 'SET_STATUS':
        return this.setStatus(payload.getBigUint64(0, true));
      default:
        return name satisfies never;
    }
  }

  private offered(): bigint {
    return (featuresToBigInt(featureWords(OFFERED)) | featuresToBigInt(this.model.features)) & DEVICE_BITS;
  }

  private setFeatures(bits: bigint): Outcome {
    const device = bits & DEVICE_BITS;
    const strange = device & ~this.offered();
    if (strange !== 0n) return `features 0x${strange.toString(16)} were not offered`;
    const features = featuresFromBigInt(device);
    const why = this.model.featureProblem(features);
    if (why !== undefined) return why;
    if (this.port.vrings.some(({ started }) => started)) {
      const same = features.every((word, at) => word === this.port.features[at]);
      return same ? undefined : 'features changed while a ring runs';
    }
    this.port.features = features;
    this.hasProtocol = (bits & PROTOCOL_BIT) !== 0n;
    return undefined;
  }

  private setProtocolFeatures(bits: bigint): Outcome {
    const strange = bits & ~PROTOCOL_FEATURES;
    if (strange !== 0n) return `protocol features 0x${strange.toString(16)} were not offered`;
    this.protocol = bits;
    return undefined;
  }

  /** Rings are as at first; features, memory and the owner stay. */
  private resetDevice(): Outcome {
    const { features } = this.port;
    this.port.reset();
    this.port.features = features;
    this.status = 0;
    return undefined;
  }

  /** Refused, it leaves the table before as it was, unless a file could not be mapped: then there is no memory at all. */
  private setMemTable(payload: DataView, fds: number[]): Outcome {
    const count = payload.getUint32(MEM_TABLE.count, true);
    if (count < 1 || count > MEM_TABLE.REGIONS_MAX) return `${count} regions, want 1 to ${MEM_TABLE.REGIONS_MAX}`;
    if (fds.length !== count) return `${fds.length} descriptors for ${count} regions`;
    if (payload.byteLength < MEM_TABLE.regions + count * MEM_REGION.SIZE) return `${count} regions are not all there`;
    const regions = Array.from({ length: count }, (_, at) =>
      regionOf(payload, MEM_TABLE.regions + at * MEM_REGION.SIZE),
    );
    const good = regions.filter((region) => typeof region !== 'string');
    if (good.length < count) return regions.find((region) => typeof region === 'string');
    const problem = overlapProblem(good);
    if (problem !== undefined) return problem;
    return this.port.withoutRings(() => {
      this.table.clear();
      for (const [at, region] of good.entries()) {
        const why = this.table.add(region, fds[at]!);
        if (why === undefined) continue;
        this.table.clear();
        return why;
      }
      return undefined;
    });
  }

  private addMemReg(payload: DataView, fds: number[]): Outcome {
    const region = regionOf(payload, SINGLE_REGION.region);
    if (typeof region === 'string') return region;
    if (fds.length !== 1) return 'a region without a descriptor';
    if (this.table.count === SLOTS_MAX) return `more than ${SLOTS_MAX} regions`;
    return this.port.withoutRings(() => this.table.add(region, fds[0]!));
  }

  private remMemReg(payload: DataView): Outcome {
    const region = regionOf(payload, SINGLE_REGION.region);
    if (typeof region === 'string') return region;
    return this.port.withoutRings(() => (this.table.remove(region) ? undefined : 'there is no such region'));
  }

  /** Find a request's ring. The whole word is compared, so that no index is good in its low bits alone. */
  private withRing(payload: DataView, field: number, use: (vring: Vring, value: number) => Outcome): Outcome {
    const index = payload.getUint32(VRING_STATE.index, true);
    const vring = this.port.vrings[index];
    return vring === undefined ? `there is no ring ${index}` : use(vring, payload.getUint32(field, true));
  }

  private setEnabled(vring: Vring, value: number): Outcome {
    if (value > 1) return `enable is ${value}, want 0 or 1`;
    vring.enabled = value === 1;
    return this.settle(vring);
  }

  private setEvent(which: 'kick' | 'call' | 'err', payload: DataView, fds: number[]): Outcome {
    const word = payload.getBigUint64(0, true);
    const flags = VRING_FD.INDEX_MASK | VRING_FD.NOFD;
    const vring = this.port.vrings[Number(word & BigInt(VRING_FD.INDEX_MASK))];
    if (vring === undefined || (word & ~BigInt(flags)) !== 0n) return `there is no ring ${word}`;
    const noFd = (word & BigInt(VRING_FD.NOFD)) !== 0n;
    if (noFd !== (fds.length === 0)) return noFd ? 'a descriptor where there is to be none' : 'no descriptor';
    const [fd] = fds;
    if (fd !== undefined) {
      if (!isEvent(fd)) return `${which} is no event descriptor`;
      setNonBlocking(fd);
      fds.length = 0;
    }
    vring.setEvent(which, fd);
    if (which !== 'kick') return undefined;
    vring.started = true;
    // Without protocol features there is no other way to enable a ring.
    if (!this.hasProtocol) vring.enabled = true;
    return this.settle(vring);
  }

  private settle(vring: Vring): Outcome {
    if (vring.started && vring.enabled && !hasFeature(this.port.features, VIRTIO_F.VERSION_1)) {
      vring.started = false;
      return 'VERSION_1 was not negotiated: there is no legacy interface';
    }
    const problem = this.port.settle(vring);
    if (problem !== undefined) vring.started = false;
    return problem;
  }

  private getBase(payload: DataView): Outcome {
    return this.withRing(payload, VRING_STATE.num, (vring) => {
      this.port.stopRing(vring);
      const answer = new Uint8Array(VRING_STATE.SIZE);
      const view = new DataView(answer.buffer);
      view.setUint32(VRING_STATE.index, vring.index, true);
      view.setUint32(VRING_STATE.num, vring.base, true);
      return answer;
    });
  }

  private getConfig(payload: DataView): Outcome {
    const range = this.configRange(payload);
    // The protocol's word for a range that there is not: an answer without any.
    if (range === undefined) return new Uint8Array(0);
    const answer = new Uint8Array(payload.buffer.slice(0));
    answer.set(this.model.config.subarray(range[0], range[1]), CONFIG.bytes);
    return answer;
  }

  private setConfig(payload: DataView): Outcome {
    const range = this.configRange(payload);
    if (range === undefined) return 'the configuration is shorter';
    for (let at = range[0]; at < range[1]; at++)
      this.model.writeConfig(at, 1, payload.getUint8(CONFIG.bytes + at - range[0]));
    return undefined;
  }

  /** Start and end of the configuration bytes that a request is for. */
  private configRange(payload: DataView): readonly [number, number] | undefined {
    const offset = payload.getUint32(CONFIG.offset, true);
    const size = payload.getUint32(CONFIG.size, true);
    const end = offset + size;
    return end <= this.model.config.length && size === payload.byteLength - CONFIG.bytes ? [offset, end] : undefined;
  }

  private setStatus(status: bigint): Outcome {
    if (status > 0xffn) return `status is ${status}, want a byte`;
    if (status === 0n) return this.resetDevice();
    this.status = Number(status);
    return undefined;
  }
}

function isEvent(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`) === EVENT_FILE;
}

function setSize(vring: Vring, num: number): Outcome {
  if (vring.started) return `the size of ring ${vring.index} changed while it runs`;
  if (num < 1 || num > vring.sizeMax) return `size is ${num}, want 1 to ${vring.sizeMax}`;
  vring.size = num;
  return undefined;
}

function setBase(vring: Vring, num: number): Outcome {
  if (vring.started) return `the base of ring ${vring.index} changed while it runs`;
  vring.base = num;
  return undefined;
}

/** They may be set anew while the ring runs, to switch logging on, but then they are the same. */
function setAddresses(vring: Vring, payload: DataView): Outcome {
  const read = (field: number): number => {
    const address = payload.getBigUint64(field, true);
    return address < 2n ** 53n ? Number(address) : Number.NaN;
  };
  if (payload.getUint32(VRING_ADDR.flags, true) !== 0) return 'ring flags are for logging, which is not offered';
  const found: VringAddresses = {
    desc: read(VRING_ADDR.desc),
    avail: read(VRING_ADDR.avail),
    used: read(VRING_ADDR.used),
  };
  if (Object.values(found).some(Number.isNaN)) return 'a ring address beyond 2^53';
  if (vring.started) {
    const { addresses } = vring;
    const same = addresses?.desc === found.desc && addresses.avail === found.avail && addresses.used === found.used;
    return same ? undefined : `the addresses of ring ${vring.index} changed while it runs`;
  }
  vring.addresses = found;
  return undefined;
}
