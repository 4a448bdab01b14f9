import type { FrameHeaders } from '@ringwire/net-offload';
import type { FlowAction, FlowMatch, FlowRule, IpPrefix, MacMatch } from './flow-rule.js';
import type { FrameHead } from './frame-head.js';
import { macHigh, macLow } from './mac-address.js';

const EVERY_MAC = new Uint8Array(6).fill(0xff);
const IPV6_BYTES = 16;

/** How often a rule matched. */
export interface FlowCounters {
  frames: number;
  bytes: number;
}

/** One rule, made ready for asking it per frame. */
export class CompiledRule {
  /** For people. */
  readonly name: string;
  readonly action: FlowAction;
  readonly counters: FlowCounters = { frames: 0, bytes: 0 };
  /** It looks behind a frame's tags. */
  readonly looksInside: boolean;
  private readonly match: FlowMatch;
  private readonly ports: Uint8Array | undefined;
  private readonly to: MacPattern;
  private readonly from: MacPattern;

  /** @param ports of the switch */
  constructor({ name, match, action }: FlowRule, index: number, ports: number) {
    this.name = name === undefined ? `rule ${index}` : `rule ${index}, ${name}`;
    this.action = { ...action };
    this.match = copyMatch(match);
    this.looksInside =
      (match.protocol ?? match.source ?? match.destination ?? match.sourcePort ?? match.destinationPort) !== undefined;
    if (match.ports !== undefined) {
      this.ports = new Uint8Array(ports);
      for (const port of match.ports) this.ports[port] = 1;
    }
    this.to = new MacPattern(match.to);
    this.from = new MacPattern(match.from);
  }

  matches(port: number, head: FrameHead): boolean {
    const { match, ports } = this;
    if (ports !== undefined && ports[port] === 0) return false;
    if (!this.to.has(head.toLow, head.toHigh) || !this.from.has(head.fromLow, head.fromHigh)) return false;
    if (match.vlan !== undefined && match.vlan !== head.vlan) return false;
    if (match.etherType !== undefined && match.etherType !== head.etherType) return false;
    return !this.looksInside || matchesInside(match, head, head.headers());
  }
}

function matchesInside(match: FlowMatch, { u8, at }: FrameHead, { ip }: FrameHeaders): boolean {
  if (ip.version === 0) return false;
  if (match.protocol !== undefined && match.protocol !== ip.protocol) return false;
  const bytes = ip.version === 4 ? 4 : IPV6_BYTES;
  if (match.source !== undefined && !beginsWith(u8, at + ip.source, bytes, match.source)) return false;
  if (match.destination !== undefined && !beginsWith(u8, at + ip.destination, bytes, match.destination)) return false;
  if (match.sourcePort === undefined && match.destinationPort === undefined) return true;
  if (ip.transport === 0) return false;
  // Both transports begin with the two ports.
  const ports = at + ip.payload;
  return inRange(u8, ports, match.sourcePort) && inRange(u8, ports + 2, match.destinationPort);
}

function inRange(u8: Uint8Array, at: number, range: readonly [number, number] | undefined): boolean {
  if (range === undefined) return true;
  const port = (u8[at]! << 8) | u8[at + 1]!;
  return port >= range[0] && port <= range[1];
}

function beginsWith(u8: Uint8Array, at: number, bytes: number, { address, bits }: IpPrefix): boolean {
  if (address.length !== bytes) return false;
  const whole = bits >>> 3;
  for (let byte = 0; byte < whole; byte++) if (u8[at + byte] !== address[byte]) return false;
  const rest = bits & 7;
  return rest === 0 || (u8[at + whole]! ^ address[whole]!) >>> (8 - rest) === 0;
}

/** An address and which of its bits count. */
class MacPattern {
  private readonly low: number;
  private readonly high: number;
  private readonly lowMask: number;
  private readonly highMask: number;

  constructor(match: MacMatch | undefined) {
    const mask = match === undefined ? new Uint8Array(6) : (match.mask ?? EVERY_MAC);
    this.lowMask = macLow(mask);
    this.highMask = macHigh(mask);
    this.low = match === undefined ? 0 : macLow(match.mac) & this.lowMask;
    this.high = match === undefined ? 0 : macHigh(match.mac) & this.highMask;
  }

  has(low: number, high: number): boolean {
    return (low & this.lowMask) === this.low && (high & this.highMask) === this.high;
  }
}

/** A copy that the caller cannot change later. */
export function copyRule({ match, action, ...rest }: FlowRule): FlowRule {
  return { ...rest, match: copyMatch(match), action: { ...action } };
}

function copyMatch(match: FlowMatch): FlowMatch {
  const { ports, to, from, source, destination } = match;
  return {
    ...match,
    ...(ports === undefined ? {} : { ports: [...ports] }),
    ...(to === undefined ? {} : { to: copyMac(to) }),
    ...(from === undefined ? {} : { from: copyMac(from) }),
    ...(source === undefined ? {} : { source: { ...source, address: source.address.slice() } }),
    ...(destination === undefined ? {} : { destination: { ...destination, address: destination.address.slice() } }),
  };
}

const copyMac = ({ mac, mask }: MacMatch): MacMatch => ({
  mac: mac.slice(),
  ...(mask === undefined ? {} : { mask: mask.slice() }),
});
