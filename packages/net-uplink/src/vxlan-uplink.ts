import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import {
  addressOf,
  bindUdp,
  close,
  DatagramBurst,
  DatagramSender,
  IoVector,
  lostDatagrams,
  NativeBytes,
  NOT_NOW,
  PARTS_MAX,
  pathMtu,
  TOO_LONG,
  UdpAddress,
} from '@ringwire/linux';
import {
  BROUGHT_FRAME_BYTES,
  BroughtFrame,
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  Frame,
  type FrameSink,
} from '@ringwire/net-backend';
import { ETHERNET, OFFLOAD_AREA_BYTES, OFFLOAD_FAULT, OffloadEngine } from '@ringwire/net-offload';
import { VirtioError } from '@ringwire/virtio-spec';
import { flowHash } from './flow-hash.js';
import { addFrame } from './frame-parts.js';
import type { Uplink, UplinkCounters } from './uplink.js';
import { VXLAN_FLAG_I, VXLAN_HEADER, VXLAN_OVERHEAD, VXLAN_PORT, VXLAN_VNI_MAX } from './vxlan-header.js';
import { SourcePorts } from './vxlan-ports.js';

const HERE = 'VxlanUplink';
const SLOTS = 32;
/** The longest datagram that is taken: a jumbo frame with all around it. */
const SLOT_BYTES = 0x2800;
/** Of the queue in the kernel, which loses what comes when it is full. */
const QUEUE_BYTES = 0x40_0000;
/** 802.1Q and 802.1ad. */
const TAGS: readonly number[] = [0x8100, 0x88a8];

const ENGINE_AT = SLOTS * SLOT_BYTES;
const BROUGHT_AT = ENGINE_AT + OFFLOAD_AREA_BYTES;
/** Bytes of host memory that a {@link VxlanUplink} works in. */
export const VXLAN_BYTES: number = BROUGHT_AT + BROUGHT_FRAME_BYTES;

/**
 * When sending, `refused`: by the kernel, as there is no way to the remote. `tooLong`: more than the path carries.
 * `scattered`: in more pieces than a call takes. `badOffload`: offload fields do not fit the frame. When receiving,
 * `stranger`: not from the remote. `malformed`: shorter than its headers, or without the I flag. `otherVni`. `cut`:
 * longer than a slot. `overflow`: the kernel's queue was full. `undelivered`: by the devices. Both ways, `tagged`: an
 * inner VLAN tag.
 */
type VxlanDrop =
  | 'refused'
  | 'tooLong'
  | 'scattered'
  | 'badOffload'
  | 'stranger'
  | 'malformed'
  | 'otherVni'
  | 'cut'
  | 'overflow'
  | 'undelivered'
  | 'tagged';

/** How a {@link VxlanUplink} is made. */
export interface VxlanUplinkOptions {
  /** What system calls work on: made or adopted, so that it never moves. Frames of other memories are copied into it. */
  readonly memory: HostMemory;
  /** Host offset of {@link VXLAN_BYTES} bytes, a multiple of 8, which nobody else writes. */
  readonly at: number;
  /** The other end of the tunnel: an IPv4 or IPv6 address, and a port, 4789 unless given. */
  readonly remote: string;
  readonly remotePort?: number;
  /** 0 to 2^24 - 1. */
  readonly vni: number;
  /** This end; all addresses of the machine, and port 4789, unless given. */
  readonly local?: string;
  readonly localPort?: number;
  /** Carry frames with a VLAN tag, which RFC 7348 §6.1 leaves to configuration. */
  readonly tagged?: boolean;
}

/**
 * A VXLAN tunnel endpoint with one other end, RFC 7348: each frame is a datagram, sent from where it lies in guests'
 * memory. Datagrams are never fragmented. Their source port tells the flows of inner frames apart.
 */
export class VxlanUplink implements Uplink {
  readonly name: string;
  /** What it does not send as it is, it finishes itself: others may then take it unfinished. */
  readonly offloads: number = EVERY_OFFLOAD;
  readonly problem: undefined;
  private readonly counts: UplinkCounters<VxlanDrop> = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    drops: {
      refused: 0,
      tooLong: 0,
      scattered: 0,
      badOffload: 0,
      stranger: 0,
      malformed: 0,
      otherVni: 0,
      cut: 0,
      overflow: 0,
      undelivered: 0,
      tagged: 0,
    },
  };
  private readonly vni: number;
  private readonly tagged: boolean;
  private readonly remote: UdpAddress;
  private readonly memory: HostMemory;
  private readonly at: number;
  private readonly base: number;
  private readonly socket: number;
  private readonly ports: SourcePorts;
  private readonly engine: OffloadEngine;
  private readonly brought: BroughtFrame;
  private readonly wire: FrameSink;
  private readonly header = new NativeBytes(VXLAN_HEADER.SIZE);
  private readonly parts = new IoVector(PARTS_MAX);
  private readonly sender: DatagramSender;
  private readonly burst: DatagramBurst;
  private readonly frame: Frame;
  private device: FrameSink | undefined;
  /** Datagrams in the slots, and the one that is next. */
  private count = 0;
  private next = 0;
  private isReady = true;
  private isHeld = false;
  private isOpen = true;
  /** Of the frame on its way out. */
  private flow = 0;

  /** @throws VirtioError, RangeError, SystemError for a tunnel that cannot be, such as a port in use */
  constructor(options: VxlanUplinkOptions) {
    const { memory, at, remote, vni, tagged = false } = options;
    const { remotePort = VXLAN_PORT, localPort = VXLAN_PORT } = options;
    if (memory.wasm === undefined) throw new VirtioError('memory', 'wrapped', 'memory that was made or adopted', HERE);
    if (!Number.isInteger(at) || at < 0 || at % 8 !== 0 || at + VXLAN_BYTES > memory.size)
      throw new VirtioError('at', at, `a multiple of 8 with ${VXLAN_BYTES} bytes behind it`, HERE);
    if (!Number.isInteger(vni) || vni < 0 || vni > VXLAN_VNI_MAX)
      throw new VirtioError('vni', vni, `0 to ${VXLAN_VNI_MAX}`, 'RFC 7348 §5');
    this.memory = memory;
    this.at = at;
    this.base = addressOf(memory.u8);
    this.vni = vni;
    this.tagged = tagged;
    this.remote = new UdpAddress(remote, remotePort);
    this.name = `vxlan:${remote},${vni}`;
    const { local = this.remote.isV6 ? '::' : '0.0.0.0' } = options;
    const own = new UdpAddress(local, localPort);
    if (own.isV6 !== this.remote.isV6) throw new RangeError(`${local} and ${remote} are of two families`);
    this.engine = new OffloadEngine(memory, at + ENGINE_AT);
    this.brought = new BroughtFrame(memory, at + BROUGHT_AT);
    this.wire = { offloads: 0, receive: (frame) => this.send(frame) };
    this.header.u8[VXLAN_HEADER.flags] = VXLAN_FLAG_I;
    this.header.view.setUint32(VXLAN_HEADER.vni, vni * 256);
    this.parts.add(this.header.address, VXLAN_HEADER.SIZE);
    this.sender = new DatagramSender(this.remote, this.parts.address);
    this.burst = new DatagramBurst(this.base + at, SLOTS, SLOT_BYTES);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(0, 0);
    this.frame.end = 1;
    this.socket = bindUdp(own, QUEUE_BYTES);
    try {
      this.ports = new SourcePorts(local);
    } catch (error) {
      close(this.socket);
      throw error;
    }
  }

  get fd(): number {
    return this.isOpen && !this.isHeld ? this.socket : -1;
  }

  get counters(): UplinkCounters<VxlanDrop> {
    if (this.isOpen) this.counts.drops.overflow = lostDatagrams(this.socket);
    return this.counts;
  }

  /** Of the path to the remote, less what surrounds a frame. */
  get mtu(): number | undefined {
    try {
      const overhead = this.remote.isV6 ? VXLAN_OVERHEAD.ipv6 : VXLAN_OVERHEAD.ipv4;
      return pathMtu(this.remote) - overhead - ETHERNET.SIZE;
    } catch {
      // There is no way to the remote now.
      return undefined;
    }
  }

  receive(frame: Frame): Delivered {
    const { engine } = this;
    if (!this.isOpen) return this.drop('refused');
    const own = this.brought.bring(frame);
    if (own === undefined) return this.drop('tooLong');
    if (engine.take(own) !== OFFLOAD_FAULT.NONE) return this.drop('badOffload');
    if (engine.headers.vlanTags > 0 && !this.tagged) return this.drop('tagged');
    this.flow = flowHash(this.memory.u8, engine.headersAt, engine.headers);
    return engine.deliver(this.wire);
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
    this.isHeld = false;
  }

  ready(): void {
    this.isReady = true;
  }

  pump(budget: number): number {
    const { device } = this;
    if (device === undefined || !this.isOpen) return 0;
    let left = 0;
    this.isHeld = false;
    while (left < budget && (this.next < this.count || (this.isReady && this.fill()))) {
      if (this.open(this.next)) {
        const delivered = device.receive(this.frame);
        this.isHeld = delivered === DELIVERED.FULL;
        if (this.isHeld) break;
        this.counts.received++;
        this.counts.receivedBytes += this.frame.length;
        if (delivered === DELIVERED.DROPPED) this.counts.drops.undelivered++;
      }
      this.next++;
      left++;
    }
    if (left > 0) device.flush?.();
    return left;
  }

  close(): void {
    if (!this.isOpen) return;
    this.counts.drops.overflow = lostDatagrams(this.socket);
    this.isOpen = false;
    close(this.socket);
    this.ports.close();
  }

  /** A finished frame, as a datagram. */
  private send(frame: Frame): Delivered {
    const { parts, counts } = this;
    parts.truncate(1);
    if (!addFrame(frame, this.base, parts)) return this.drop('scattered');
    const sent = this.sender.send(this.ports.of(this.flow), parts.count);
    if (sent === NOT_NOW) return DELIVERED.FULL;
    if (sent < 0) return this.drop(sent === TOO_LONG ? 'tooLong' : 'refused');
    counts.sent++;
    counts.sentBytes += frame.length;
    return DELIVERED.ACCEPTED;
  }

  /** Receive datagrams into the slots. @returns false when there are none */
  private fill(): boolean {
    const count = this.burst.receive(this.socket);
    this.next = 0;
    this.count = Math.max(0, count);
    if (count <= 0) this.isReady = false;
    return count > 0;
  }

  /** Look at a datagram. @returns whether it has a frame, which is {@link frame} then; one that has none is counted */
  private open(slot: number): boolean {
    const { burst, frame, memory } = this;
    const reason = this.refusal(slot);
    if (reason !== undefined) {
      this.counts.drops[reason]++;
      return false;
    }
    const from = this.at + slot * SLOT_BYTES + VXLAN_HEADER.SIZE;
    const length = burst.bytes(slot) - VXLAN_HEADER.SIZE;
    if (!this.tagged && TAGS.includes(memory.view.getUint16(from + ETHERNET.type))) {
      this.counts.drops.tagged++;
      return false;
    }
    frame.ranges.offset[0] = from;
    frame.ranges.length[0] = length;
    frame.length = length;
    return true;
  }

  private refusal(slot: number): VxlanDrop | undefined {
    const { burst } = this;
    const { u8, view } = this.memory;
    if (!burst.isFrom(slot, this.remote)) return 'stranger';
    if (burst.isCut(slot)) return 'cut';
    if (burst.bytes(slot) < VXLAN_HEADER.SIZE + ETHERNET.SIZE) return 'malformed';
    const at = this.at + slot * SLOT_BYTES;
    if ((u8[at + VXLAN_HEADER.flags]! & VXLAN_FLAG_I) === 0) return 'malformed';
    return view.getUint32(at + VXLAN_HEADER.vni) >>> 8 === this.vni ? undefined : 'otherVni';
  }

  private drop(reason: VxlanDrop): Delivered {
    this.counts.drops[reason]++;
    return DELIVERED.DROPPED;
  }
}
