import {
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_CTRL_VLAN,
  VIRTIO_NET_F,
  VIRTIO_NET_S,
} from '@ringwire/virtio-spec/net';
import type { ConfigSpace } from './config-space.js';
import type { ControlCommand } from './ctrl-command.js';
import type { GuestOffloads } from './guest-offloads.js';
import { isStationMac } from './net-options.js';
import { modeWishes, type NetPolicy, tableWishes, vlanWishes } from './net-policy.js';
import type { NetState } from './net-state.js';
import { COUNT_BYTES, MAC_BYTES, type RxFilter, VLAN_IDS } from './rx-filter.js';

const F = VIRTIO_NET_F;
const RX = VIRTIO_NET_CTRL_RX;

/** The field of the filter that each command of the class RX sets, and the feature that it needs. */
const MODES = [
  { command: RX.PROMISC, mode: 'promisc', feature: F.CTRL_RX },
  { command: RX.ALLMULTI, mode: 'allmulti', feature: F.CTRL_RX },
  { command: RX.ALLUNI, mode: 'alluni', feature: F.CTRL_RX_EXTRA },
  { command: RX.NOMULTI, mode: 'nomulti', feature: F.CTRL_RX_EXTRA },
  { command: RX.NOUNI, mode: 'nouni', feature: F.CTRL_RX_EXTRA },
  { command: RX.NOBCAST, mode: 'nobcast', feature: F.CTRL_RX_EXTRA },
] as const;

/** Commands about which frames the driver receives, and how: the classes RX, MAC, VLAN, ANNOUNCE and GUEST_OFFLOADS. */
export class FilterCommands {
  private readonly state: NetState;
  private readonly config: ConfigSpace;
  private readonly filter: RxFilter;
  private readonly guest: GuestOffloads;
  /** Who may say no, if anybody. */
  private readonly policy: NetPolicy | undefined;
  private readonly count: Uint8Array = new Uint8Array(COUNT_BYTES);
  private readonly unicast: Uint8Array;
  private readonly multicast: Uint8Array;

  constructor(
    state: NetState,
    config: ConfigSpace,
    filter: RxFilter,
    guest: GuestOffloads,
    policy: NetPolicy | undefined,
  ) {
    this.state = state;
    this.config = config;
    this.filter = filter;
    this.guest = guest;
    this.policy = policy;
    this.unicast = new Uint8Array(MAC_BYTES * filter.unicast.capacity);
    this.multicast = new Uint8Array(MAC_BYTES * filter.multicast.capacity);
  }

  /** virtio 1.4 §5.1.9.5.1 */
  rx({ command, data }: ControlCommand): boolean {
    const row = MODES[command];
    if (row === undefined || !this.state.has(row.feature) || data.length < 1 || data[0]! > 1) return false;
    const { filter, policy } = this;
    const before = filter[row.mode];
    filter[row.mode] = data[0] === 1;
    if (policy === undefined || policy.request(modeWishes(filter))) return true;
    filter[row.mode] = before;
    return false;
  }

  /** virtio 1.4 §5.1.9.5.2 */
  mac(command: ControlCommand): boolean {
    switch (command.command) {
      case VIRTIO_NET_CTRL_MAC.TABLE_SET:
        return this.state.has(F.CTRL_RX) && this.setTable(command);
      case VIRTIO_NET_CTRL_MAC.ADDR_SET:
        return this.state.has(F.CTRL_MAC_ADDR) && this.setAddress(command.data);
      default:
        return false;
    }
  }

  /** virtio 1.4 §5.1.9.5.3 */
  vlan(command: ControlCommand): boolean {
    if (!this.state.has(F.CTRL_VLAN) || command.data.length < 2) return false;
    const id = command.u16(0);
    if (id >= VLAN_IDS) return false;
    const { policy } = this;
    const { vlans } = this.filter;
    const bit = 1 << (id & 31);
    const before = vlans[id >>> 5]!;
    if (command.command === VIRTIO_NET_CTRL_VLAN.ADD) vlans[id >>> 5]! |= bit;
    else if (command.command === VIRTIO_NET_CTRL_VLAN.DEL) vlans[id >>> 5]! &= ~bit;
    else return false;
    if (policy === undefined || policy.request(vlanWishes(vlans))) return true;
    vlans[id >>> 5] = before;
    return false;
  }

  /** virtio 1.4 §5.1.9.5.4. Without an announcement that is due it changes nothing. */
  announce({ command }: ControlCommand): boolean {
    if (command !== VIRTIO_NET_CTRL_ANNOUNCE.ACK || !this.state.has(F.GUEST_ANNOUNCE)) return false;
    if (this.config.hasStatus(VIRTIO_NET_S.ANNOUNCE)) {
      this.config.setStatus(VIRTIO_NET_S.ANNOUNCE, false);
      this.state.port?.configChanged();
    }
    return true;
  }

  /** virtio 1.4 §5.1.9.5.9 */
  guestOffloads(command: ControlCommand): boolean {
    const isSet = command.command === VIRTIO_NET_CTRL_GUEST_OFFLOADS.SET;
    if (!isSet || !this.state.has(F.CTRL_GUEST_OFFLOADS) || command.data.length < 8) return false;
    return this.guest.set(command.u32(0), command.u32(4));
  }

  /** All that is said is there before any of it counts. */
  private setTable(command: ControlCommand): boolean {
    const { filter, policy } = this;
    const { unicast, multicast } = filter;
    const unicasts = this.readCount(command, 0);
    if (unicasts < 0) return false;
    const second = COUNT_BYTES + MAC_BYTES * unicasts;
    const multicasts = this.readCount(command, second);
    if (multicasts < 0 || second + COUNT_BYTES + MAC_BYTES * multicasts > command.length) return false;
    if (unicasts <= unicast.capacity) command.fetch(COUNT_BYTES, this.unicast, MAC_BYTES * unicasts);
    if (multicasts <= multicast.capacity) command.fetch(second + COUNT_BYTES, this.multicast, MAC_BYTES * multicasts);
    const before = policy === undefined ? undefined : filter.macTable();
    unicast.set(this.unicast, unicasts);
    multicast.set(this.multicast, multicasts);
    if (policy === undefined || policy.request(tableWishes(filter))) return true;
    filter.setMacTable(before!);
    return false;
  }

  /** @returns the le32 at `at`, or -1 when it is not there */
  private readCount(command: ControlCommand, at: number): number {
    const { count } = this;
    if (!command.fetch(at, count, COUNT_BYTES)) return -1;
    return (count[0]! | (count[1]! << 8) | (count[2]! << 16) | (count[3]! << 24)) >>> 0;
  }

  /** The configuration shows the new address before the command is answered, if it shows any. */
  private setAddress(data: Uint8Array): boolean {
    if (data.length < MAC_BYTES) return false;
    const mac = data.slice(0, MAC_BYTES);
    if (!isStationMac(mac) || this.policy?.request({ mac }) === false) return false;
    this.filter.setOwn(mac);
    if (!this.state.has(F.MAC)) return true;
    this.config.setMac(mac);
    this.state.port?.configChanged();
    return true;
  }
}
