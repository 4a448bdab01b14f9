import { closeSync, openSync } from 'node:fs';
import { close, newEvent, signalEvent, takeEvent } from '@ringwire/linux';
import type { VduseKernel } from '../kernel.js';

/** What of a device a script may change and see. Numbers are as Linux has them, written down here once more. */
export interface ScriptedNode {
  readonly name: string;
  readonly features: bigint;
  readonly config: Uint8Array;
  readonly queueSizes: Uint16Array;
  readonly queues: ScriptedQueue[];
  /** On the vDPA bus. */
  isOnBus: boolean;
  isOpen: boolean;
  /** The kernel waited for an answer for too long. */
  isBroken: boolean;
  accepted: bigint;
  status: number;
  /** Of the driver's memory. */
  regions: ScriptedRegion[];
  readonly requests: Uint8Array[];
  readonly answers: Uint8Array[];
  /** By queue; -1 for the configuration. */
  readonly interrupts: number[];
}

/** As its driver set it up. */
interface ScriptedQueue {
  size: number;
  areas: readonly [bigint, bigint, bigint];
  state: readonly number[];
  isReady: boolean;
  kick: number;
}

interface ScriptedRegion {
  readonly file: number;
  readonly offset: bigint;
  readonly first: bigint;
  readonly last: bigint;
  readonly access: number;
}

const CONTROL = '/dev/vduse/control';
const DRIVER_OK = 4;
const ACCESS_PLATFORM = 1n << 33n;
const VERSION_1 = 1n << 32n;
const NET_CTRL_VQ = 1n << 17n;

/** A kernel with VDUSE that does nothing by itself, and refuses what Linux refuses. */
export class ScriptedKernel implements VduseKernel {
  readonly nodes = new Map<string, ScriptedNode>();
  /** In place of answers to `open` and `ioctl`, once each: by path, or by request. */
  readonly refusals = new Map<string | number, string>();
  /** Devices whose descriptor cannot be waited for, as where there is no room for one more. */
  isUnpollable = false;
  /** Descriptors that are open: events in place of devices. */
  private readonly open_ = new Map<number, ScriptedNode | undefined>();

  get openFiles(): number {
    return this.open_.size;
  }

  open(path: string): number | string {
    const refusal = this.refused(path);
    if (refusal !== undefined) return refusal;
    const node = this.nodes.get(path.slice('/dev/vduse/'.length));
    if (path !== CONTROL && node === undefined) return 'ENOENT';
    if (node?.isOpen) return 'EBUSY';
    if (node !== undefined) node.isOpen = true;
    const fd = node !== undefined && this.isUnpollable ? openSync('/dev/null', 'r') : newEvent();
    this.open_.set(fd, node);
    if (node !== undefined && node.requests.length > 0) signalEvent(fd);
    return fd;
  }

  close(fd: number): void {
    const node = this.open_.get(fd);
    if (!this.open_.delete(fd)) {
      // A region's.
      closeSync(fd);
      return;
    }
    if (node !== undefined) node.isOpen = false;
    close(fd);
  }

  read(fd: number, into: Uint8Array): number {
    takeEvent(fd);
    const { requests } = this.nodeOf(fd);
    const request = requests.shift();
    if (requests.length > 0) signalEvent(fd);
    if (request === undefined) return -1;
    into.set(request);
    return request.length;
  }

  write(fd: number, bytes: Uint8Array): number {
    if (bytes.length !== 152) return -1;
    this.nodeOf(fd).answers.push(bytes.slice());
    return bytes.length;
  }

  ioctl(fd: number, request: number, bytes: Uint8Array): number | string {
    const refusal = this.refused(request);
    if (refusal !== undefined) return refusal;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const node = this.open_.get(fd);
    if (node === undefined) return this.control(request, bytes, view);
    return node.isBroken ? 'EPERM' : this.device(node, request, bytes, view);
  }

  /** Have a device's process find a request. */
  ask(name: string, request: Uint8Array): void {
    const node = this.nodes.get(name)!;
    node.requests.push(request);
    for (const [fd, one] of this.open_) if (one === node) signalEvent(fd);
  }

  private control(request: number, bytes: Uint8Array, view: DataView): number | string {
    const name = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
    switch (request) {
      case 0x4008_8101:
        return view.getBigUint64(0, true) === 0n ? 0 : 'EINVAL';
      case 0x4150_8102:
        return this.create(name, bytes, view);
      case 0x4100_8103: {
        const node = this.nodes.get(name);
        if (node === undefined) return 'EINVAL';
        if (node.isOnBus || node.isOpen) return 'EBUSY';
        this.nodes.delete(name);
        return 0;
      }
      default:
        return 'EINVAL';
    }
  }

  private create(name: string, bytes: Uint8Array, view: DataView): number | string {
    const features = view.getBigUint64(264, true);
    const isNet = view.getUint32(260, true) === 1;
    const isLegal = (features & ACCESS_PLATFORM) !== 0n && (features & VERSION_1) !== 0n;
    const isReserved = bytes.subarray(280, 332).some((byte) => byte !== 0);
    const [align, configBytes] = [view.getUint32(276, true), view.getUint32(332, true)];
    if (!isLegal || isReserved || (isNet && (features & NET_CTRL_VQ) !== 0n)) return 'EINVAL';
    if (align > 4096 || configBytes > 4096 || name === '') return 'EINVAL';
    if (this.nodes.has(name)) return 'EEXIST';
    const count = view.getUint32(272, true);
    this.nodes.set(name, {
      name,
      features,
      config: bytes.slice(336, 336 + configBytes),
      queueSizes: new Uint16Array(count),
      queues: Array.from({ length: count }, () => ({
        size: 0,
        areas: [0n, 0n, 0n],
        state: [0, 0, 0, 0],
        isReady: false,
        kick: -1,
      })),
      isOnBus: false,
      isOpen: false,
      isBroken: false,
      accepted: 0n,
      status: 0,
      regions: [],
      requests: [],
      answers: [],
      interrupts: [],
    });
    return 0;
  }

  private device(node: ScriptedNode, request: number, bytes: Uint8Array, view: DataView): number | string {
    const queue = node.queues[bytes.length >= 4 ? view.getUint32(0, true) : 0];
    switch (request) {
      case 0xc020_8110:
        return region(node, view);
      case 0x8008_8111:
        view.setBigUint64(0, node.accepted, true);
        return 0;
      case 0x4008_8112: {
        const [at, length] = [view.getUint32(0, true), view.getUint32(4, true)];
        if (length === 0 || at + length > node.config.length) return 'EINVAL';
        node.config.set(bytes.subarray(8, 8 + length), at);
        return 0;
      }
      case 0x8113:
        return interrupt(node, -1);
      case 0x4020_8114:
        if (queue === undefined || bytes.subarray(6).some((byte) => byte !== 0)) return 'EINVAL';
        node.queueSizes[view.getUint32(0, true)] = view.getUint16(4, true);
        return 0;
      case 0xc030_8115: {
        if (queue === undefined) return 'EINVAL';
        view.setUint32(4, queue.size, true);
        for (const [area, at] of queue.areas.entries()) view.setBigUint64(8 + 8 * area, at, true);
        for (const [word, value] of queue.state.entries()) view.setUint16(32 + 2 * word, value, true);
        view.setUint8(40, queue.isReady ? 1 : 0);
        return 0;
      }
      case 0x4008_8116:
        if (queue === undefined) return 'EINVAL';
        queue.kick = view.getInt32(4, true);
        return 0;
      case 0x4004_8117:
        return queue === undefined ? 'EINVAL' : interrupt(node, view.getUint32(0, true));
      default:
        return 'ENOTTY';
    }
  }

  private refused(what: string | number): string | undefined {
    const refusal = this.refusals.get(what);
    this.refusals.delete(what);
    return refusal;
  }

  private nodeOf(fd: number): ScriptedNode {
    return this.open_.get(fd)!;
  }
}

/** A descriptor of its own each time. */
function region({ regions }: ScriptedNode, view: DataView): number | string {
  const [first, last] = [view.getBigUint64(8, true), view.getBigUint64(16, true)];
  const found = regions.find((one) => one.first <= last && one.last >= first);
  if (first > last || found === undefined) return 'EINVAL';
  view.setBigUint64(0, found.offset, true);
  view.setBigUint64(8, found.first, true);
  view.setBigUint64(16, found.last, true);
  view.setUint8(24, found.access);
  return openSync(`/proc/self/fd/${found.file}`, found.access === 1 ? 'r' : 'r+');
}

function interrupt(node: ScriptedNode, queue: number): number | string {
  if ((node.status & DRIVER_OK) === 0) return 'EINVAL';
  node.interrupts.push(queue);
  return 0;
}
