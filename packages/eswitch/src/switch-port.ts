import {
  type Delivered,
  EVERY_OFFLOAD,
  type Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { ETHERTYPE } from '@ringwire/net-offload';
import { VirtioError } from '@ringwire/virtio-spec';
import type { SwitchChange } from './change-watcher.js';
import { checkSettings, copySettings, wishFault } from './check-settings.js';
import { type EswitchPortCounters, newPortCounters } from './drop-reason.js';
import type { EswitchPort, PortKind, PortRefusal } from './eswitch-port.js';
import { isZeroMac, macText, sameMac } from './mac-address.js';
import { defaultSettings } from './port-defaults.js';
import { PortFilters } from './port-filters.js';
import type { PortSettings, PortWishes } from './port-settings.js';
import { FRAME_KIND, type FrameKind } from './transmit-gate.js';
import type { WireControl, WireLink } from './wire/wire-settings.js';

/** What a port needs of its switch. */
export interface PortHome {
  /** Whether functions whose link is 'auto' have one. */
  readonly isCarried: boolean;
  /** What the wire's speed is. */
  readonly link: Pick<WireLink, 'speed' | 'duplex'>;
  localSwitching: boolean;
  /** Who sets the wire, if anybody does. */
  readonly wireControl: WireControl | undefined;
  forward(frame: Frame, from: SwitchPort): Delivered;
  forwardRun(run: FrameRun, from: SwitchPort): number;
  flush(from: SwitchPort): void;
  /** When a port's device is to offer again what was answered with FULL, in µs. */
  deadlineOf(from: SwitchPort): number;
  /** Something about a port is other than before: its settings, its link, or its device. */
  changed(port: SwitchPort): void;
  /** A port has other settings than before, by the host's will or by its function's. */
  noteSettings(port: SwitchPort, by: SwitchChange['by'], before: PortSettings): void;
  noteRefusal(port: SwitchPort, wishes: Partial<PortWishes>, refusal: PortRefusal): void;
  /** Addresses that may be listed beyond those that are. */
  readonly freeAddresses: number;
  /** Most that a function may list which is not trusted. */
  readonly listedPerPort: number;
  /** Which other port lists a station address. */
  ownerOf(mac: Uint8Array, except: SwitchPort): SwitchPort | undefined;
}

/** One port: its settings, and whether frames pass. */
export class SwitchPort implements EswitchPort {
  readonly number: number;
  readonly kind: PortKind;
  readonly counters: EswitchPortCounters = newPortCounters();
  readonly backend: NetBackend;
  device: FrameSink | undefined = undefined;
  onLink: ((isUp: boolean) => void) | undefined = undefined;
  settings: PortSettings;
  filters: PortFilters;
  isUp = false;
  /** Header of the last frame that came in, where such frames go (-1: to be looked at each), and since when. */
  word0 = 0;
  word1 = 0;
  word2 = 0;
  type16 = -1;
  knownTo = -1;
  knownAt = -1;
  knownKind: FrameKind = FRAME_KIND.UNICAST;
  private readonly home: PortHome;
  /** What the host set, and what the function asked for on top of it. */
  private host: PortSettings;
  private wishes: Partial<PortWishes> = {};

  constructor(home: PortHome, number: number, kind: PortKind) {
    this.home = home;
    this.number = number;
    this.kind = kind;
    this.host = defaultSettings(kind);
    this.settings = this.host;
    this.filters = new PortFilters(this.settings);
    this.backend = new PortBackend(home, this);
  }

  /** Addresses that its settings list. */
  get addresses(): number {
    return addressesOf(this.settings);
  }

  get speed(): number {
    return this.home.link.speed;
  }

  get duplex(): WireLink['duplex'] {
    return this.home.link.duplex;
  }

  get localSwitching(): boolean {
    return this.home.localSwitching;
  }

  set localSwitching(isOn: boolean) {
    if (this.kind === 'physical') this.home.localSwitching = isOn;
  }

  get wire(): WireControl | undefined {
    return this.kind === 'physical' ? this.home.wireControl : undefined;
  }

  configure(changes: Partial<PortSettings>): void {
    checkSettings(changes, this.host);
    const host = { ...this.host, ...copySettings(changes) };
    const wishes = { ...this.wishes };
    for (const name of Object.keys(changes)) delete wishes[name as keyof PortWishes];
    // What a function may not ask for any more goes with the trust in it.
    for (const name of Object.keys(wishes) as (keyof PortWishes)[])
      if (this.refusalOf({ [name]: wishes[name] }, host) !== undefined) delete wishes[name];
    const settings = { ...host, ...wishes };
    const more = addressesOf(settings) - this.addresses;
    if (more > this.home.freeAddresses)
      throw new VirtioError('addresses', more, `at most ${this.home.freeAddresses} more`, 'EswitchPort.configure');
    this.host = host;
    this.wishes = wishes;
    this.adopt(settings, 'host');
  }

  request(wishes: Partial<PortWishes>): PortRefusal | undefined {
    const refusal = this.grant(wishes);
    if (refusal !== undefined) this.home.noteRefusal(this, wishes, refusal);
    return refusal;
  }

  forgetWishes(): void {
    this.wishes = {};
    this.adopt(this.host, 'function');
  }

  /** Follow the link. */
  refreshLink(): void {
    const { link } = this.settings;
    const isUp = link === 'enable' || (link === 'auto' && this.isCarried());
    if (isUp === this.isUp) return;
    this.isUp = isUp;
    this.onLink?.(isUp);
  }

  /** The link is gone until {@link refreshLink}. */
  takeLinkDown(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.onLink?.(false);
  }

  plug(device: FrameSink | undefined): void {
    this.device = device;
    this.home.changed(this);
  }

  /** @returns why a function does not get what it asks for */
  private grant(wishes: Partial<PortWishes>): PortRefusal | undefined {
    const fault = wishFault(wishes);
    if (fault !== undefined) return { setting: fault.setting, message: `${fault.setting}: want ${fault.wanted}` };
    const refusal = this.refusalOf(wishes, this.host);
    if (refusal !== undefined) return refusal;
    const all = { ...this.wishes, ...copySettings(wishes) };
    const settings = { ...this.host, ...all };
    if (addressesOf(settings) - this.addresses > this.home.freeAddresses)
      return {
        setting: Object.keys(wishes)[0] as keyof PortWishes,
        message: "the switch's table of addresses is full",
      };
    this.wishes = all;
    this.adopt(settings, 'function');
    return undefined;
  }

  private isCarried(): boolean {
    if (this.kind === 'representor') return true;
    return this.kind === 'wire' ? this.device !== undefined : this.home.isCarried;
  }

  private adopt(settings: PortSettings, by: SwitchChange['by']): void {
    const before = this.settings;
    this.settings = settings;
    this.filters = new PortFilters(settings);
    this.home.changed(this);
    this.home.noteSettings(this, by, before);
  }

  /** Which of a function's wishes makes it list more than one may that is not trusted. */
  private crowdedBy(wishes: Partial<PortWishes>): 'unicast' | 'multicast' | 'multicastHash' | undefined {
    const { listedPerPort } = this.home;
    const { unicast = [], multicast = [], multicastHash } = { ...this.wishes, ...wishes };
    if (multicastHash !== undefined && bitsOf(multicastHash.table) > listedPerPort) return 'multicastHash';
    if (unicast.length + multicast.length <= listedPerPort) return undefined;
    return wishes.multicast === undefined ? 'unicast' : 'multicast';
  }

  /** Why a function may not have what it asks for. */
  private refusalOf(wishes: Partial<PortWishes>, host: PortSettings): PortRefusal | undefined {
    const { mac, unicast, vlans } = wishes;
    if (mac !== undefined) {
      if (!host.trusted && !isZeroMac(host.mac) && !sameMac(mac, host.mac))
        return { setting: 'mac', message: `mac: the host set ${macText(host.mac)}, and the function is not trusted` };
      const owner = isZeroMac(mac) ? undefined : this.home.ownerOf(mac, this);
      if (owner !== undefined)
        return { setting: 'mac', message: `mac: ${macText(mac)} is an address of port ${owner.number}` };
    }
    for (const address of unicast ?? []) {
      const owner = this.home.ownerOf(address, this);
      if (owner !== undefined)
        return { setting: 'unicast', message: `unicast: ${macText(address)} is an address of port ${owner.number}` };
      if (!host.trusted && !isZeroMac(host.mac) && !sameMac(address, host.mac))
        return {
          setting: 'unicast',
          message: `unicast: the host set ${macText(host.mac)}, and the function is not trusted`,
        };
    }
    if (!host.trusted && wishes.promiscuous === true)
      return { setting: 'promiscuous', message: 'promiscuous: the function is not trusted' };
    if (!host.trusted && wishes.allMulticast === true)
      return { setting: 'allMulticast', message: 'allMulticast: the function is not trusted' };
    const crowded = host.trusted ? undefined : this.crowdedBy(wishes);
    if (crowded !== undefined) {
      const message = `${crowded}: more than ${this.home.listedPerPort}, and the function is not trusted`;
      return { setting: crowded, message };
    }
    // Behind a service tag, which VLANs there are is the function's own affair.
    if (vlans === undefined || vlans === 'all' || host.portVlan?.protocol === ETHERTYPE.SERVICE_VLAN) return undefined;
    for (const id of vlans)
      if (host.portVlan !== undefined || (host.allowedVlans !== 'all' && !host.allowedVlans.has(id)))
        return { setting: 'vlans', message: `vlans: the function may not be in VLAN ${id}` };
    return undefined;
  }
}

/** What a device at a port is plugged into. */
class PortBackend implements NetBackend {
  /** The switch finishes for each receiver what that does not take. */
  readonly offloads: number = EVERY_OFFLOAD;
  private readonly home: PortHome;
  private readonly port: SwitchPort;

  constructor(home: PortHome, port: SwitchPort) {
    this.home = home;
    this.port = port;
  }

  receive(frame: Frame): Delivered {
    return this.home.forward(frame, this.port);
  }

  receiveRun(run: FrameRun): number {
    return this.home.forwardRun(run, this.port);
  }

  flush(): void {
    this.home.flush(this.port);
  }

  attach(device: FrameSink | undefined): void {
    this.port.plug(device);
  }

  /** Frames are handed on when they come; none waits here. */
  pump(_budget: number): number {
    return 0;
  }

  deadline(): number {
    return this.home.deadlineOf(this.port);
  }
}

function addressesOf({ mac, unicast, multicast }: PortSettings): number {
  return (isZeroMac(mac) ? 0 : 1) + unicast.length + multicast.length;
}

function bitsOf(words: Uint32Array): number {
  let bits = 0;
  for (const word of words) for (let rest = word; rest !== 0; rest &= rest - 1) bits++;
  return bits;
}
