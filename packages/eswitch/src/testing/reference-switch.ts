import type { FlowRule, Mirror } from '../flow-rule.js';
import type { PortSettings } from '../port-settings.js';

/** What one port of the reference is. */
interface ReferencePort {
  readonly settings: PortSettings;
  readonly isPlugged: boolean;
}

export interface ReferenceConfig {
  readonly ports: readonly ReferencePort[];
  readonly mode: 'veb' | 'vepa';
  readonly learning: boolean;
  readonly floating: boolean;
  readonly defaultPort: number;
  readonly promiscuous: 'unmatched' | 'everything';
  readonly rules: readonly FlowRule[];
  readonly mirrors: readonly Mirror[];
}

/** What becomes of one frame: the bytes that each port gets, or the reason why it does not. */
export interface ReferenceOutcome {
  drop: string | undefined;
  readonly ports: Map<number, readonly number[] | string>;
}

const hexOf = (bytes: readonly number[] | Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const WIRE = 0;
const PHYSICAL = 1;

/**
 * A card's switch, once more: slowly, with strings and lists, from what settings are said to mean and not from the
 * switch's code.
 */
export class ReferenceSwitch {
  private readonly learnt = new Map<string, number>();
  private readonly config: ReferenceConfig;

  constructor(config: ReferenceConfig) {
    this.config = config;
  }

  send(from: number, sent: Uint8Array): ReferenceOutcome {
    const outcome: ReferenceOutcome = { drop: undefined, ports: new Map() };
    const { ports, rules, mirrors } = this.config;
    let frame = [...sent];
    outcome.drop = this.policyDrop(from, frame);
    if (outcome.drop !== undefined) return outcome;
    const { portVlan } = ports[from]!.settings;
    if (portVlan !== undefined) {
      const replaces = tagOf(frame)?.protocol === portVlan.protocol;
      frame = tagged(frame, portVlan.protocol, portVlan.priority, portVlan.id, replaces);
    }
    const extra: number[] = [];
    let isRuled = false;
    for (const { match, action } of rules) {
      if (!this.matches(match, from, frame)) continue;
      if (action.kind === 'setVlan')
        frame = tagged(frame, 0x8100, action.priority, action.id, tagOf(frame) !== undefined);
      if (action.kind === 'mirror') extra.push(action.port);
      if (action.kind === 'drop') outcome.drop = 'RULE';
      if (action.kind === 'redirect' && action.port === from) outcome.drop = 'RULE';
      if (action.kind === 'redirect' && action.port !== from) this.give(outcome, action.port, frame, true);
      isRuled = action.kind === 'drop' || action.kind === 'redirect';
      if (isRuled || action.kind === 'allow') break;
    }
    if (!isRuled) for (const port of this.receivers(from, frame)) this.give(outcome, port, frame, false);
    if (outcome.drop === undefined && outcome.ports.size === 0) outcome.drop = 'NO_RECEIVER';
    if (outcome.drop === undefined) this.learn(from, frame);
    const got = [...outcome.ports].filter(([, what]) => typeof what !== 'string').map(([port]) => port);
    const watchers = mirrors.filter(
      ({ port, direction }) => (port === from && direction !== 'out') || (got.includes(port) && direction !== 'in'),
    );
    for (const port of [...watchers.map(({ to }) => to), ...extra])
      if (port !== from && !outcome.ports.has(port)) this.put(outcome, port, frame);
    return outcome;
  }

  /** The reasons in the order that they count in. */
  private policyDrop(from: number, frame: readonly number[]): string | undefined {
    const { settings } = this.config.ports[from]!;
    const tags = tagsOf(frame);
    const type = frame.slice(12 + 4 * tags.length, 14 + 4 * tags.length);
    const source = hexOf(frame.slice(6, 12));
    if (frame.length < 14) return 'LENGTH';
    if (!this.isUp(from)) return 'SENDER_DOWN';
    if (type.length < 2) return 'LENGTH';
    if (hexOf(type) === '8808') return 'MAC_CONTROL';
    if ((frame[6]! & 1) === 1) return 'SOURCE_GROUP';
    if (from > PHYSICAL && isReserved(frame)) return 'RESERVED';
    if (settings.checkMac && !this.owns(from, source)) return 'MAC_SPOOF';
    const [tag] = tags;
    if (tag === undefined) return undefined;
    if (tag.id === 4095) return 'VLAN_NOT_ALLOWED';
    if (settings.portVlan !== undefined) {
      if (settings.portVlan.protocol === 0x88a8 && tag.protocol === 0x8100) return undefined;
      if (tag.id !== 0) return 'VLAN_NOT_ALLOWED';
      return tags.length === 2 ? 'DOUBLE_TAGGED' : undefined;
    }
    if (tags.length === 2 && (tag.id === 0 || settings.allowedVlans !== 'all')) return 'DOUBLE_TAGGED';
    if (tag.id === 0) return undefined;
    if (settings.allowedVlans !== 'all' && !settings.allowedVlans.has(tag.id)) return 'VLAN_NOT_ALLOWED';
    return settings.checkVlan && settings.vlans !== 'all' && !settings.vlans.has(tag.id) ? 'VLAN_SPOOF' : undefined;
  }

  /** Ports that a frame is for, in its VLAN. */
  private receivers(from: number, frame: readonly number[]): Set<number> {
    const { ports, mode, defaultPort, promiscuous } = this.config;
    const to = hexOf(frame.slice(0, 6));
    const vlan = tagOf(frame)?.id ?? 0;
    const fits = (port: number): boolean =>
      (port !== from || ports[port]!.settings.hairpin) &&
      this.isMember(port, frame) &&
      !(mode === 'vepa' && from === WIRE && this.isSender(port, frame));
    const all = ports.map((_, port) => port);
    const open = (filter: (port: number) => boolean): Set<number> =>
      new Set(all.filter((port) => filter(port) && fits(port)));
    if (isReserved(frame)) return open((port) => port === (from === WIRE ? PHYSICAL : WIRE));
    if (mode === 'vepa' && from !== WIRE) return open((port) => port === WIRE);
    const settings = (port: number): PortSettings => ports[port]!.settings;
    if ((frame[0]! & 1) === 1) {
      const wants = (port: number): boolean => {
        if (port === WIRE) return true;
        if (to === 'ffffffffffff') return settings(port).broadcast;
        const isListed = settings(port).multicast.some((group) => hexOf(group) === to);
        return isListed || settings(port).allMulticast || settings(port).promiscuous;
      };
      return open((port) => ports[port]!.isPlugged && wants(port));
    }
    const curious = (port: number): boolean => port !== WIRE && settings(port).promiscuous;
    const owners = all.filter((port) => this.owns(port, to));
    let known = owners.filter((port) => port === from || fits(port));
    if (known.length === 0) {
      const place = this.learnt.get(`${to}/${vlan}`);
      if (place !== undefined && (place === from || fits(place))) known = [place];
    }
    if (known.length > 0)
      return open((port) => known.includes(port) || (promiscuous === 'everything' && curious(port)));
    return open((port) => (port === WIRE && from !== WIRE) || port === defaultPort || curious(port));
  }

  private give(outcome: ReferenceOutcome, port: number, frame: readonly number[], isForced: boolean): void {
    const { portVlan } = this.config.ports[port]!.settings;
    const isStripped = portVlan !== undefined && (!isForced || this.isMember(port, frame));
    this.put(outcome, port, isStripped ? [...frame.slice(0, 12), ...frame.slice(16)] : frame);
  }

  private put(outcome: ReferenceOutcome, port: number, frame: readonly number[]): void {
    const { isPlugged, settings } = this.config.ports[port]!;
    if (!isPlugged) outcome.ports.set(port, 'NO_DEVICE');
    else if (!this.isUp(port)) outcome.ports.set(port, 'RECEIVER_DOWN');
    else outcome.ports.set(port, frame.length > settings.longestFrame ? 'TOO_LONG' : frame);
  }

  private matches(match: FlowRule['match'], from: number, frame: readonly number[]): boolean {
    const tags = tagsOf(frame);
    const type = Number.parseInt(hexOf(frame.slice(12 + 4 * tags.length, 14 + 4 * tags.length)), 16);
    if (match.ports !== undefined && !match.ports.includes(from)) return false;
    if (match.to !== undefined && hexOf(match.to.mac) !== hexOf(frame.slice(0, 6))) return false;
    if (match.from !== undefined && hexOf(match.from.mac) !== hexOf(frame.slice(6, 12))) return false;
    if (match.vlan !== undefined && match.vlan !== (tags[0]?.id ?? 0)) return false;
    return match.etherType === undefined || match.etherType === type;
  }

  private isMember(port: number, frame: readonly number[]): boolean {
    const { portVlan, untagged, vlans, allowedVlans } = this.config.ports[port]!.settings;
    const tag = tagOf(frame);
    if (portVlan !== undefined) return tag?.id === portVlan.id && tag.protocol === portVlan.protocol;
    if (tag === undefined || tag.id === 0) return untagged;
    return (vlans === 'all' || vlans.has(tag.id)) && (allowedVlans === 'all' || allowedVlans.has(tag.id));
  }

  private isUp(port: number): boolean {
    const { ports, floating } = this.config;
    const { link } = ports[port]!.settings;
    if (link !== 'auto') return link === 'enable';
    return port === WIRE ? ports[WIRE]!.isPlugged : floating || this.isUp(WIRE);
  }

  private owns(port: number, mac: string): boolean {
    const { settings } = this.config.ports[port]!;
    return mac !== '000000000000' && [settings.mac, ...settings.unicast].some((own) => hexOf(own) === mac);
  }

  private isSender(port: number, frame: readonly number[]): boolean {
    const source = hexOf(frame.slice(6, 12));
    return this.owns(port, source) || this.learnt.get(`${source}/${tagOf(frame)?.id ?? 0}`) === port;
  }

  private learn(from: number, frame: readonly number[]): void {
    const source = hexOf(frame.slice(6, 12));
    if (!this.config.learning || from === WIRE) return;
    if (this.config.ports.some((_, port) => this.owns(port, source))) return;
    this.learnt.set(`${source}/${tagOf(frame)?.id ?? 0}`, from);
  }
}

interface Tag {
  readonly protocol: number;
  readonly id: number;
}

/** Up to two tags, cut off ones included. */
function tagsOf(frame: readonly number[]): Tag[] {
  const tags: Tag[] = [];
  for (let at = 12; tags.length < 2; at += 4) {
    const protocol = Number.parseInt(hexOf(frame.slice(at, at + 2)), 16);
    if (protocol !== 0x8100 && protocol !== 0x88a8) break;
    tags.push({ protocol, id: ((frame[at + 2] ?? 0) & 15) * 256 + (frame[at + 3] ?? 0) });
  }
  return tags;
}

const tagOf = (frame: readonly number[]): Tag | undefined => tagsOf(frame)[0];

const isReserved = (frame: readonly number[]): boolean => /^0180c200000.$/.test(hexOf(frame.slice(0, 6)));

function tagged(frame: readonly number[], protocol: number, priority: number, id: number, replaces: boolean): number[] {
  const tag = [protocol >> 8, protocol & 255, priority * 32 + (id >> 8), id & 255];
  return [...frame.slice(0, 12), ...tag, ...frame.slice(replaces ? 16 : 12)];
}
