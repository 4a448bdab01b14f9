import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import {
  addressOf,
  bringInterfaceUp,
  close,
  GONE,
  IoVector,
  NativeBytes,
  NOT_NOW,
  openTap,
  PARTS_MAX,
  readTo,
  setInterfaceMtu,
  setTapOffloads,
  type Tap,
  TUN_F,
  writeParts,
} from '@ringwire/linux';
import {
  BROUGHT_FRAME_BYTES,
  BroughtFrame,
  DELIVERED,
  type Delivered,
  Frame,
  type FrameSink,
  OFFLOAD,
} from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_HDR, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { addFrame } from './frame-parts.js';
import type { Uplink, UplinkCounters } from './uplink.js';

const HDR = VIRTIO_NET_HDR;
const HEADER_BYTES = 12;
/** What both the kernel and a frame know of checksums; the flags of tunnels it does not take. */
const FLAGS: number = VIRTIO_NET_HDR_F.NEEDS_CSUM | VIRTIO_NET_HDR_F.DATA_VALID;
/** Both directions: kernels since 2.6.27, and with USO since 6.2. */
const OFFLOADS: number = OFFLOAD.CSUM | OFFLOAD.TSO4 | OFFLOAD.TSO6 | OFFLOAD.ECN;
const TUN_OFFLOADS: number = TUN_F.CSUM | TUN_F.TSO4 | TUN_F.TSO6 | TUN_F.TSO_ECN;
const USO: number = OFFLOAD.USO4 | OFFLOAD.USO6;
const TUN_USO: number = TUN_F.USO4 | TUN_F.USO6;

/** What is read into: the longest frame that Linux leaves to be segmented. */
const READ_BYTES = 0x1_1000;
/** Bytes of host memory that a {@link TapUplink} works in. */
export const TAP_BYTES: number = READ_BYTES + BROUGHT_FRAME_BYTES;

/**
 * `refused`: by the kernel, as the interface is down or gone. `scattered`: in more pieces than a call takes.
 * `undelivered`: by the devices.
 */
type TapDrop = 'refused' | 'scattered' | 'undelivered';

/** How a {@link TapUplink} is made. */
export interface TapUplinkOptions {
  /** What system calls work on: made or adopted, so that it never moves. Frames of other memories are copied into it. */
  readonly memory: HostMemory;
  /** Host offset of {@link TAP_BYTES} bytes, a multiple of 4, which nobody else writes. */
  readonly at: number;
  /** Of the interface, at most 15 bytes. */
  readonly name: string;
  /** Bytes of a packet behind its Ethernet header; as the interface has it unless given. */
  readonly mtu?: number;
  /** Of the interface, 1 to 256; one unless given. */
  readonly queues?: number;
}

/** One queue of the interface. */
interface TapQueue {
  readonly tap: Tap;
  /** Its descriptor may have more. */
  isReady: boolean;
}

const QUEUES_MAX = 256;

/**
 * A Linux tap device. Frames go as they lie in guests' memory, and come into a buffer that devices copy them from. Each
 * has its struct virtio_net_hdr, so checksums and segmentation are left to whoever receives.
 *
 * With several queues frames of a device's queue pair leave by the queue of its number, modulo their number, and the
 * kernel answers a flow by the queue that its frames came by.
 */
export class TapUplink implements Uplink {
  readonly name: string;
  readonly offloads: number;
  readonly counters: UplinkCounters<TapDrop> = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    drops: { refused: 0, scattered: 0, undelivered: 0 },
  };
  problem: string | undefined;
  private readonly queues: TapQueue[] = [];
  private readonly fds: readonly number[];
  private readonly memory: HostMemory;
  private readonly base: number;
  private readonly at: number;
  private readonly header = new NativeBytes(HEADER_BYTES);
  private readonly parts = new IoVector(PARTS_MAX);
  private readonly frame: Frame;
  private readonly brought: BroughtFrame;
  private device: FrameSink | undefined;
  /** The queue to be read. */
  private next = 0;
  /** The frame that was read has no room at the device yet. */
  private isHeld = false;
  private isOpen = true;

  /** @throws VirtioError, RangeError, SystemError for a device that cannot be opened or set up; it is closed again */
  constructor({ memory, at, name, mtu, queues = 1 }: TapUplinkOptions) {
    if (memory.wasm === undefined)
      throw new VirtioError('memory', 'wrapped', 'memory that was made or adopted', 'TapUplink');
    if (!Number.isInteger(at) || at < 0 || at % 4 !== 0 || at + TAP_BYTES > memory.size)
      throw new VirtioError('at', at, `a multiple of 4 with ${TAP_BYTES} bytes behind it`, 'TapUplink');
    if (!Number.isInteger(queues) || queues < 1 || queues > QUEUES_MAX)
      throw new VirtioError('queues', queues, `1 to ${QUEUES_MAX}`, 'TapUplink');
    this.memory = memory;
    this.base = addressOf(memory.u8);
    this.at = at;
    this.parts.add(this.header.address, HEADER_BYTES);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(at + HEADER_BYTES, 0);
    this.frame.end = 1;
    this.brought = new BroughtFrame(memory, at + READ_BYTES);
    try {
      // A name such as tap%d is one for the first, and the one that came of it for the others.
      for (let n = 0; n < queues; n++)
        this.queues.push({ tap: openTap(this.queues[0]?.tap.name ?? name, queues > 1), isReady: true });
      const own = this.queues[0]!.tap.name;
      this.name = `tap:${own}`;
      if (mtu !== undefined) setInterfaceMtu(own, mtu);
      bringInterfaceUp(own);
      this.offloads = this.agreeOnOffloads();
      this.fds = this.queues.slice(1).map(({ tap }) => tap.fd);
    } catch (error) {
      this.letGo();
      throw error;
    }
  }

  get fd(): number {
    return this.isWaiting ? this.queues[0]!.tap.fd : -1;
  }

  get moreFds(): readonly number[] {
    return this.isWaiting ? this.fds : [];
  }

  receive(from: Frame): Delivered {
    const { parts, counters, header } = this;
    if (!this.isOpen || this.problem !== undefined) return this.refuse('refused');
    const frame = this.brought.bring(from);
    if (frame === undefined) return this.refuse('scattered');
    this.describe(frame, header.view);
    parts.truncate(1);
    if (!addFrame(frame, this.base, parts)) return this.refuse('scattered');
    // It is never full: what an interface that is down, or has no memory, does not take is lost.
    const { tap } = this.queues[frame.pair % this.queues.length]!;
    if (writeParts(tap.fd, parts.address, parts.count) < 0) return this.refuse('refused');
    counters.sent++;
    counters.sentBytes += frame.length;
    return DELIVERED.ACCEPTED;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
    this.isHeld = false;
  }

  ready(): void {
    for (const queue of this.queues) queue.isReady = true;
  }

  pump(budget: number): number {
    const { device } = this;
    if (device === undefined || this.problem !== undefined || !this.isOpen) return 0;
    let left = 0;
    this.turnOver();
    while (left < budget && (this.isHeld || this.read())) {
      const delivered = device.receive(this.frame);
      this.isHeld = delivered === DELIVERED.FULL;
      if (this.isHeld) break;
      left++;
      if (delivered === DELIVERED.DROPPED) this.counters.drops.undelivered++;
    }
    if (left > 0) device.flush?.();
    return left;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.letGo();
  }

  private get isWaiting(): boolean {
    return this.isOpen && this.problem === undefined && !this.isHeld;
  }

  private letGo(): void {
    for (const { tap } of this.queues) close(tap.fd);
  }

  /** Each queue has its turn, for one budget or until it has nothing. */
  private turnOver(): void {
    this.next = (this.next + 1) % this.queues.length;
  }

  /** @returns false when no frame is there */
  private read(): boolean {
    for (let left = this.queues.length; left > 0; left--) {
      if (this.readFrom(this.queues[this.next]!)) return true;
      this.turnOver();
    }
    return false;
  }

  private readFrom(queue: TapQueue): boolean {
    if (!queue.isReady) return false;
    const { at, frame, counters } = this;
    const bytes = readTo(queue.tap.fd, this.base + at, READ_BYTES);
    if (bytes === NOT_NOW || bytes === GONE) {
      queue.isReady = false;
      if (bytes === GONE) this.problem = 'the interface is gone';
      return false;
    }
    frame.pair = this.next;
    const length = Math.max(0, bytes - HEADER_BYTES);
    frame.ranges.length[0] = length;
    frame.length = length;
    this.readHeader();
    counters.received++;
    counters.receivedBytes += length;
    return true;
  }

  private readHeader(): void {
    const { frame, at } = this;
    const { u8, u16 } = this.memory;
    const at16 = at >>> 1;
    frame.flags = u8[at + HDR.flags]! & FLAGS;
    frame.gsoType = u8[at + HDR.gso_type]!;
    frame.hdrLen = u16[at16 + (HDR.hdr_len >>> 1)]!;
    frame.gsoSize = u16[at16 + (HDR.gso_size >>> 1)]!;
    frame.csumStart = u16[at16 + (HDR.csum_start >>> 1)]!;
    frame.csumOffset = u16[at16 + (HDR.csum_offset >>> 1)]!;
  }

  private describe(frame: Frame, header: DataView): void {
    header.setUint8(HDR.flags, frame.flags & FLAGS);
    header.setUint8(HDR.gso_type, frame.gsoType);
    const works = frame.gsoType !== VIRTIO_NET_HDR_GSO.NONE || (frame.flags & VIRTIO_NET_HDR_F.NEEDS_CSUM) !== 0;
    // The kernel finds headers itself. hdr_len is a driver's word that nobody checked.
    header.setUint16(HDR.gso_size, works ? frame.gsoSize : 0, true);
    header.setUint16(HDR.csum_start, works ? frame.csumStart : 0, true);
    header.setUint16(HDR.csum_offset, works ? frame.csumOffset : 0, true);
  }

  /** They are the interface's, whichever queue is told. */
  private agreeOnOffloads(): number {
    const { tap } = this.queues[0]!;
    if (setTapOffloads(tap, TUN_OFFLOADS | TUN_USO)) return OFFLOADS | USO;
    return setTapOffloads(tap, TUN_OFFLOADS) ? OFFLOADS : 0;
  }

  private refuse(reason: TapDrop): Delivered {
    this.counters.drops[reason]++;
    return DELIVERED.DROPPED;
  }
}
