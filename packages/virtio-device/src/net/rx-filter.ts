import type { Frame, FrameRun } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { peekFrame, vlanIdOf } from './frame-bytes.js';
import { NET_DROP } from './net-drop.js';
import type { NetState } from './net-state.js';

/** First byte of an Ethernet address: a group's, not a station's. */
const GROUP = 1;
/** VLAN ids are below this. */
export const VLAN_IDS = 4096;
/** EtherTypes of VLAN tags, IEEE 802.1Q table 9-1: the customer's and the service's, as memory's halfwords have them. */
const CUSTOMER_TYPE16 = 0x0081;
const SERVICE_TYPE16 = 0xa888;
/** The frame passes. */
const PASS = -1;

export const MAC_BYTES = 6;
export const COUNT_BYTES = 4;

/** An Ethernet address as two numbers, for comparing. */
const macLow = (mac: Uint8Array, at = 0): number =>
  (mac[at]! | (mac[at + 1]! << 8) | (mac[at + 2]! << 16) | (mac[at + 3]! << 24)) >>> 0;
const macHigh = (mac: Uint8Array, at = 0): number => mac[at + 4]! | (mac[at + 5]! << 8);

/** One list of the MAC filter table. With more addresses than it holds it lets all of its kind through. */
export class MacList {
  readonly capacity: number;
  count = 0;
  overflow = false;
  private readonly low: Uint32Array;
  private readonly high: Uint16Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.low = new Uint32Array(capacity);
    this.high = new Uint16Array(capacity);
  }

  clear(): void {
    this.count = 0;
    this.overflow = false;
  }

  /** @param macs 6 bytes per address */
  set(macs: Uint8Array, count: number): void {
    this.overflow = count > this.capacity;
    this.count = this.overflow ? 0 : count;
    for (let i = 0; i < this.count; i++) {
      this.low[i] = macLow(macs, 6 * i);
      this.high[i] = macHigh(macs, 6 * i);
    }
  }

  /**
   * The list as TABLE_SET has it: le32 entries, then 6 bytes each. Of a list with more addresses than it holds only that is
   * known: it is one longer than that, of addresses that no frame is sent to.
   */
  bytes(): Uint8Array {
    const count = this.overflow ? this.capacity + 1 : this.count;
    const bytes = new Uint8Array(COUNT_BYTES + MAC_BYTES * count);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, count, true);
    for (let i = 0; i < this.count; i++) {
      view.setUint32(COUNT_BYTES + MAC_BYTES * i, this.low[i]!, true);
      view.setUint16(COUNT_BYTES + MAC_BYTES * i + 4, this.high[i]!, true);
    }
    return bytes;
  }

  has(low: number, high: number): boolean {
    if (this.overflow) return true;
    for (let i = 0; i < this.count; i++) if (this.low[i] === low && this.high[i] === high) return true;
    return false;
  }
}

/** virtio 1.4 §5.1.9.5.1 to .3: which received frames are the driver's. Without CTRL_RX all are, without CTRL_VLAN all tags. */
export class RxFilter {
  promisc = false;
  allmulti = false;
  alluni = false;
  nomulti = false;
  nouni = false;
  nobcast = false;
  readonly unicast: MacList;
  readonly multicast: MacList;
  /** One bit per VLAN id that passes. */
  readonly vlans: Uint32Array = new Uint32Array(VLAN_IDS / 32);
  private readonly state: NetState;
  /** The device's address, as the configuration shows it or as the driver set it. */
  private ownLow = 0;
  private ownHigh = 0;
  private filtersMacs = false;
  private filtersVlans = false;
  private readonly head: Uint8Array = new Uint8Array(6);

  /** @param entries addresses that either list of the MAC table holds */
  constructor(state: NetState, entries: number) {
    this.state = state;
    this.unicast = new MacList(entries);
    this.multicast = new MacList(entries);
  }

  /** As after a reset, for the features that were negotiated. */
  start(): void {
    this.promisc = false;
    this.allmulti = false;
    this.alluni = false;
    this.nomulti = false;
    this.nouni = false;
    this.nobcast = false;
    this.unicast.clear();
    this.multicast.clear();
    this.vlans.fill(0);
    this.filtersMacs = this.state.has(VIRTIO_NET_F.CTRL_RX);
    this.filtersVlans = this.state.has(VIRTIO_NET_F.CTRL_VLAN);
  }

  setOwn(mac: Uint8Array): void {
    this.ownLow = macLow(mac);
    this.ownHigh = macHigh(mac);
  }

  /** The device's address. */
  own(): Uint8Array {
    const bytes = new Uint8Array(MAC_BYTES);
    new DataView(bytes.buffer).setUint32(0, this.ownLow, true);
    new DataView(bytes.buffer).setUint16(4, this.ownHigh, true);
    return bytes;
  }

  /** Both lists, as TABLE_SET has them. */
  macTable(): Uint8Array {
    return Uint8Array.from([...this.unicast.bytes(), ...this.multicast.bytes()]);
  }

  /** @param table as {@link readMacTable} takes it */
  setMacTable(table: Uint8Array): void {
    const [unicast, multicast] = readMacTable(table)!;
    this.unicast.set(unicast, unicast.length / MAC_BYTES);
    this.multicast.set(multicast, multicast.length / MAC_BYTES);
  }

  /** Whether every frame passes. */
  get isOpen(): boolean {
    return (!this.filtersMacs || this.promisc) && !this.filtersVlans;
  }

  /** @returns PASS (-1), or the `NET_DROP` for which the frame is not the driver's */
  refusal(frame: Frame): number {
    if (this.filtersMacs && !this.promisc && !this.passesMac(frame)) return NET_DROP.RX_MAC_FILTER;
    if (this.filtersVlans && !this.passesVlan(frame)) return NET_DROP.RX_VLAN_FILTER;
    return PASS;
  }

  /**
   * Whether all frames of a run pass, by the header that goes along with it: a run whose header nobody checked, or one with
   * tags where VLANs are filtered, is to be looked at frame by frame, as one that does not pass.
   */
  admitsRun({ hasHeader, word0, word1, type16 }: FrameRun): boolean {
    if (this.isOpen) return true;
    const isTagged = type16 === CUSTOMER_TYPE16 || type16 === SERVICE_TYPE16;
    if (!hasHeader || (this.filtersVlans && isTagged)) return false;
    return !this.filtersMacs || this.promisc || this.passesAddress(word0 >>> 0, word1 & 0xffff);
  }

  private passesMac(frame: Frame): boolean {
    const { offset, length } = frame.ranges;
    let mac = frame.memory.u8;
    let at = offset[frame.first]! + frame.skip;
    if (length[frame.first]! - frame.skip < 6) {
      peekFrame(frame, this.head, 6);
      mac = this.head;
      at = 0;
    }
    return this.passesAddress(macLow(mac, at), macHigh(mac, at));
  }

  private passesAddress(low: number, high: number): boolean {
    if ((low & GROUP) === 0) {
      if (this.nouni) return false;
      return (low === this.ownLow && high === this.ownHigh) || this.alluni || this.unicast.has(low, high);
    }
    if (low === 0xffff_ffff && high === 0xffff) return !this.nobcast;
    if (this.nomulti) return false;
    return this.allmulti || this.multicast.has(low, high);
  }

  private passesVlan(frame: Frame): boolean {
    const id = vlanIdOf(frame);
    return id < 0 || ((this.vlans[id >>> 5]! >>> (id & 31)) & 1) === 1;
  }
}

/** The addresses of both lists of a MAC table, foreign; undefined unless it is as long as it says. */
export function readMacTable(table: Uint8Array): [unicast: Uint8Array, multicast: Uint8Array] | undefined {
  const lists: Uint8Array[] = [];
  let at = 0;
  for (let list = 0; list < 2; list++) {
    if (at + COUNT_BYTES > table.length) return undefined;
    const count = new DataView(table.buffer, table.byteOffset).getUint32(at, true);
    const end = at + COUNT_BYTES + MAC_BYTES * count;
    if (end > table.length) return undefined;
    lists.push(table.subarray(at + COUNT_BYTES, end));
    at = end;
  }
  return at === table.length ? [lists[0]!, lists[1]!] : undefined;
}
