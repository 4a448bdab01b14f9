import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, Frame, type NetBackend } from '@ringwire/net-backend';
import type { NetState } from './net-state.js';

/** Ethernet's shortest frame, without its check sequence. */
const FRAME_BYTES = 60;
const MAC_BYTES = 6;
/** RFC 903: RARP over Ethernet for IPv4, "request reverse". */
const ETHERTYPE_AND_RARP = [0x80, 0x35, 0, 1, 8, 0, MAC_BYTES, 4, 0, 3] as const;
/** Where a frame has its parts. */
const AT = { source: 6, ethertype: 12, senderMac: 22, targetMac: 32 } as const;

/** Sends what tells a network where a station is, on behalf of a driver that can't say so itself. */
export class RarpSender {
  private readonly state: NetState;
  private readonly backend: NetBackend;
  private readonly frame: Frame;

  constructor(state: NetState, backend: NetBackend) {
    this.state = state;
    this.backend = backend;
    this.frame = new Frame(HostMemory.wrap(new ArrayBuffer(FRAME_BYTES)));
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(0, FRAME_BYTES);
    this.frame.end = 1;
    this.frame.length = FRAME_BYTES;
  }

  /** Broadcast a RARP request for a station's own address. @returns whether it left */
  send(mac: Uint8Array): boolean {
    if (!this.state.linkUp) return false;
    const bytes = this.frame.memory.u8;
    bytes.fill(0);
    bytes.fill(0xff, 0, MAC_BYTES);
    bytes.set(ETHERTYPE_AND_RARP, AT.ethertype);
    for (const place of [AT.source, AT.senderMac, AT.targetMac]) bytes.set(mac, place);
    const delivered = this.backend.receive(this.frame);
    this.backend.flush?.();
    return delivered === DELIVERED.ACCEPTED;
  }
}
