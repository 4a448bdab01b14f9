import type { HostMemory } from '@ringwire/guest-memory';
import type { Delivered, Frame, NetBackend } from '@ringwire/net-backend';
import { OFFLOAD_AREA_BYTES, OFFLOAD_FAULT, OffloadEngine } from '@ringwire/net-offload';
import { TX_CMD, TX_CONTEXTS, TX_OLINFO } from '@ringwire/nic-spec/ixgbe';
import { VIRTIO_NET_HDR_F } from '@ringwire/virtio-spec/net';
import type { TxContext } from './tx-context.js';
import { askChecksum, TX_HEADERS_BYTES, TxHeaders } from './tx-headers.js';
import type { TxPacket } from './tx-packet.js';

const { IC, TSE, VLE } = TX_CMD;
const { IXSM, TXSM } = TX_OLINFO;
const LEGACY_CSO_SHIFT = 16;
const LEGACY_CSS_SHIFT = 8;
const BYTE = 0xff;
/** 82599 datasheet §7.2.1: fewer bytes are no packet. */
const SHORTEST = 17;
/** Most bytes of a packet that is not segmented: 15.5 KiB. */
const LONGEST = 15_872;
/** Without its check sequence. */
const ETHERNET_LEAST = 60;
const NO_TAG = -1;
/** In place of `Delivered`: the packet cannot be; its queue is to be stopped. */
export const BAD_PACKET = -1;

/** Host memory that a {@link TxSender} works in. */
export const TX_AREA_BYTES: number = Math.ceil((TX_HEADERS_BYTES + OFFLOAD_AREA_BYTES + ETHERNET_LEAST) / 64) * 64;

/** What the card's registers say of sending. */
export interface TxRules {
  /** Frames are made 60 bytes long: HLREG0.TXPADEN. */
  readonly padsFrames: boolean;
  /** Tags that descriptors ask for are put in: PFVMVIR leaves it to them. */
  insertsTags(queue: number): boolean;
}

/** Finishes packets as their descriptors ask for it, and hands them to the switch: one function's. */
export class TxSender {
  /** Frames on the wire that the last packet became, and their bytes. */
  frames = 0;
  bytes = 0;
  private readonly backend: NetBackend;
  private readonly rules: TxRules;
  private readonly headers: TxHeaders;
  private readonly engine: OffloadEngine;
  private readonly zeros: number;

  /** @param scratch host offset of TX_AREA_BYTES bytes that no driver can reach */
  constructor(memory: HostMemory, scratch: number, backend: NetBackend, rules: TxRules) {
    this.backend = backend;
    this.rules = rules;
    this.headers = new TxHeaders(memory, scratch);
    const engineAt = scratch + TX_HEADERS_BYTES;
    this.engine = new OffloadEngine(memory, engineAt);
    this.zeros = engineAt + OFFLOAD_AREA_BYTES;
    memory.u8.fill(0, this.zeros, this.zeros + ETHERNET_LEAST);
  }

  /** @returns as the switch says, or BAD_PACKET */
  send(packet: TxPacket, contexts: readonly TxContext[]): Delivered | typeof BAD_PACKET {
    const { frame } = packet;
    frame.clearOffloads();
    if (frame.length < SHORTEST) return BAD_PACKET;
    return packet.isLegacy ? this.sendLegacy(packet) : this.sendAdvanced(packet, contexts);
  }

  private sendLegacy({ frame, lastCommand, lastOptions }: TxPacket): Delivered | typeof BAD_PACKET {
    if (frame.length > LONGEST) return BAD_PACKET;
    const tag = this.tagOf(frame, lastCommand, lastOptions >>> 16);
    if (tag !== NO_TAG) this.headers.adopt(frame, tag);
    const whole = tag === NO_TAG ? frame : this.headers.frame;
    if ((lastCommand & IC) !== 0) {
      const field = (lastCommand >>> LEGACY_CSO_SHIFT) & BYTE;
      const start = (lastOptions >>> LEGACY_CSS_SHIFT) & BYTE;
      const inserted = whole.length - frame.length;
      if (field < start || field + 2 > frame.length) return BAD_PACKET;
      whole.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
      whole.csumStart = start + inserted;
      whole.csumOffset = field - start;
    }
    return this.hand(whole);
  }

  private sendAdvanced(packet: TxPacket, contexts: readonly TxContext[]): Delivered | typeof BAD_PACKET {
    const { frame, command, options } = packet;
    const isSegmented = (command & TSE) !== 0;
    const asks = isSegmented || (command & VLE) !== 0 || (options & (IXSM | TXSM)) !== 0;
    if (!isSegmented && (packet.payloadBytes !== frame.length || frame.length > LONGEST)) return BAD_PACKET;
    if (!asks) return this.hand(frame);
    const index = (options >>> TX_OLINFO.IDX_SHIFT) & TX_OLINFO.IDX_MASK;
    const context = index < TX_CONTEXTS ? contexts[index]! : undefined;
    if (context?.isThere !== true) return BAD_PACKET;
    return this.sendByContext(packet, context);
  }

  private sendByContext(packet: TxPacket, context: TxContext): Delivered | typeof BAD_PACKET {
    const { frame, command, options } = packet;
    const tag = this.tagOf(frame, command, context.vlan);
    const sumsTransport = (options & TXSM) !== 0;
    if ((command & TSE) !== 0) {
      const headerBytes = context.macBytes + context.ipBytes + context.transportBytes;
      if (!sumsTransport || packet.payloadBytes !== frame.length - headerBytes) return BAD_PACKET;
      this.headers.adopt(frame, tag);
      return this.headers.askSegments(context) ? this.hand(this.headers.frame) : BAD_PACKET;
    }
    const sumsIp = (options & IXSM) !== 0;
    if (tag === NO_TAG && !sumsIp && !(sumsTransport && context.isSctp)) {
      if (sumsTransport && !(context.transport !== 0 && askChecksum(frame, context, 0))) return BAD_PACKET;
      return this.hand(frame);
    }
    const { headers } = this;
    headers.adopt(frame, tag);
    if (sumsIp && !headers.sumIpv4(context)) return BAD_PACKET;
    if (sumsTransport) {
      const isDone = context.isSctp
        ? headers.sumSctp(context)
        : context.transport !== 0 && headers.askChecksum(context);
      if (!isDone) return BAD_PACKET;
    }
    return this.hand(headers.frame);
  }

  private tagOf({ pair }: Frame, command: number, tag: number): number {
    return (command & VLE) !== 0 && this.rules.insertsTags(pair) ? tag & 0xffff : NO_TAG;
  }

  private hand(frame: Frame): Delivered | typeof BAD_PACKET {
    this.frames = 1;
    if (frame.length < ETHERNET_LEAST && frame.gsoType === 0 && this.rules.padsFrames) this.pad(frame);
    this.bytes = frame.length;
    if (frame.flags === 0) return this.backend.receive(frame);
    const { engine } = this;
    if (engine.take(frame) !== OFFLOAD_FAULT.NONE) return BAD_PACKET;
    if (frame.gsoType !== 0) {
      const payload = frame.length - frame.hdrLen;
      this.frames = Math.ceil(payload / frame.gsoSize);
      this.bytes += (this.frames - 1) * frame.hdrLen;
    }
    return engine.deliver(this.backend);
  }

  private pad(frame: Frame): void {
    const bytes = ETHERNET_LEAST - frame.length;
    frame.ranges.push(this.zeros, bytes);
    frame.end = frame.ranges.count;
    frame.length = ETHERNET_LEAST;
  }
}
