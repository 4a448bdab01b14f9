import { HEADER_BYTES } from '@ringwire/net-offload';
import { AddressTable } from './address-table.js';
import type { EswitchOptions } from './eswitch-options.js';
import type { FlowRule, Mirror } from './flow-rule.js';
import { CompiledRule } from './flow-table.js';
import { type FrameHead, LINK_HEADER_BYTES } from './frame-head.js';
import { LearnedTable } from './learned-table.js';
import { isZeroMac, macHigh, macLow, sameMac } from './mac-address.js';
import { MirrorTable } from './mirror-table.js';
import type { SwitchPort } from './switch-port.js';

/** What frames are sent by: addresses of ports' settings, learnt ones, rules and mirrors. */
export class ForwardingTables {
  readonly ports: readonly SwitchPort[];
  readonly options: Required<EswitchOptions>;
  /** Station addresses and groups that settings list. */
  readonly stations: AddressTable = new AddressTable();
  readonly groups: AddressTable = new AddressTable();
  readonly learned: LearnedTable | undefined;
  /** In order, and what is mirrored. */
  rules: readonly CompiledRule[] = [];
  mirrors: MirrorTable = new MirrorTable([]);
  /** Goes on whenever anything is set: then no port knows any more where frames go. */
  epoch = 0;
  /** Bytes of a frame that have to be looked into. */
  headBytes: number = LINK_HEADER_BYTES;
  /** See `EswitchPort.localSwitching`. */
  localSwitching = true;
  private isStale = true;

  constructor(ports: readonly SwitchPort[], options: Required<EswitchOptions>) {
    const { macTableEntries, learnedPerPort, learnedFor } = options;
    this.ports = ports;
    this.options = options;
    if (options.learning) this.learned = new LearnedTable(macTableEntries, ports.length, learnedPerPort, learnedFor);
  }

  /** Whether all that functions send goes out by the wire. */
  get isVepa(): boolean {
    return !this.localSwitching || this.options.mode === 'vepa';
  }

  /** Something about a port is other than before. */
  changed(port: SwitchPort): void {
    this.isStale = true;
    this.epoch++;
    if (port.device === undefined) this.learned?.forget(port.number);
  }

  setRules(rules: readonly FlowRule[]): void {
    this.epoch++;
    this.rules = rules.map((rule, index) => new CompiledRule(rule, index, this.ports.length));
    this.headBytes = this.rules.some(({ looksInside }) => looksInside) ? HEADER_BYTES : LINK_HEADER_BYTES;
  }

  setMirrors(mirrors: readonly Mirror[]): void {
    this.epoch++;
    this.mirrors = new MirrorTable(mirrors);
  }

  /** Have what settings say in the tables. */
  refresh(): void {
    if (!this.isStale) return;
    this.isStale = false;
    const { stations, groups } = this;
    const entries = this.listed();
    stations.reset(entries);
    groups.reset(entries);
    // The last one that is added is found first.
    for (const { number, settings } of this.ports.toReversed()) {
      const { mac, unicast, multicast } = settings;
      if (!isZeroMac(mac)) stations.add(macLow(mac), macHigh(mac), number);
      for (const address of unicast) stations.add(macLow(address), macHigh(address), number);
      for (const group of multicast) groups.add(macLow(group), macHigh(group), number);
    }
  }

  /** Addresses that all settings list together. */
  listed(): number {
    let count = 0;
    for (const port of this.ports) count += port.addresses;
    return count;
  }

  /** Which other port lists a station address. */
  ownerOf(mac: Uint8Array, except: SwitchPort): SwitchPort | undefined {
    return this.ports.find(
      (port) =>
        port !== except &&
        (sameMac(port.settings.mac, mac) || port.settings.unicast.some((address) => sameMac(address, mac))),
    );
  }

  /** Whom a function's frame is from is known from now on, unless settings say it. */
  learn(from: SwitchPort, { fromLow, fromHigh, vlan }: FrameHead): void {
    this.learnAddress(from, fromLow, fromHigh, vlan, 1);
  }

  /** The same, of so many frames from one address. */
  learnAddress(from: SwitchPort, low: number, high: number, vlan: number, frames: number): void {
    const { learned, stations, options } = this;
    if (learned === undefined || from.kind === 'wire' || stations.find(low, high) >= 0) return;
    learned.learn(low, high | (vlan << 16), from.number, options.now(), frames);
  }
}
