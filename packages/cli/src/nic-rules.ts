import { isIPv4, isIPv6 } from 'node:net';
import type { FlowAction, FlowRule, IpPrefix, MacMatch, Mirror } from '@ringwire/eswitch';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { macAddress, macText, portName, portNumber } from './nic-names.js';
import { parsed } from './parsed-field.js';

const Port = z.string().min(1);
const Word = z.number().int().min(0).max(0xffff);
const PortRange = z.union([Word, z.string()]).transform((value, context): readonly [number, number] => {
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value)) ?? [];
  const range = [Number(first), Number(last ?? first)] as const;
  if (first !== undefined && range[0] <= range[1] && range[1] <= 0xffff) return range;
  context.addIssue({ code: 'custom', message: 'Want a port such as 80, or ports such as 1024-2047.' });
  return z.NEVER;
});

/** One rule as a file has it; ports by their names. */
export const RuleFile = z.strictObject({
  name: z.string().optional(),
  match: z
    .strictObject({
      ports: z.array(Port).min(1).optional(),
      to: parsed(macMatch).optional(),
      from: parsed(macMatch).optional(),
      vlan: z.number().int().min(0).max(4094).optional(),
      etherType: Word.optional(),
      source: parsed(prefix).optional(),
      destination: parsed(prefix).optional(),
      protocol: z.number().int().min(0).max(255).optional(),
      sourcePort: PortRange.optional(),
      destinationPort: PortRange.optional(),
    })
    .default({}),
  action: z.union([
    z.enum(['allow', 'drop', 'count']),
    z.strictObject({ redirect: Port }),
    z.strictObject({ mirror: Port }),
    z.strictObject({
      setVlan: z.strictObject({
        id: z.number().int().min(1).max(4094),
        priority: z.number().int().min(0).max(7).default(0),
      }),
    }),
  ]),
});

/** A mirror as a file has it. */
export const MirrorFile = z.strictObject({
  port: Port,
  direction: z.enum(['in', 'out', 'both']).default('both'),
  to: Port,
});

/** @param vfs how many there are. @throws InvalidArgumentError for a port that there is not */
export function mirrorOf({ port, direction, to }: z.output<typeof MirrorFile>, vfs: number): Mirror {
  return { port: portNumber(port, vfs), direction, to: portNumber(to, vfs) };
}

/** @param vfs how many there are. @throws InvalidArgumentError for a port that there is not */
export function ruleOf({ name, match, action }: z.output<typeof RuleFile>, vfs: number): FlowRule {
  const { ports, ...rest } = match;
  const found = ports?.map((port) => portNumber(port, vfs));
  return {
    ...(name === undefined ? {} : { name }),
    match: withoutGaps({ ...rest, ports: found }),
    action: actionOf(action, vfs),
  };
}

function actionOf(action: z.output<typeof RuleFile>['action'], vfs: number): FlowAction {
  if (typeof action === 'string') return { kind: action };
  if ('redirect' in action) return { kind: 'redirect', port: portNumber(action.redirect, vfs) };
  if ('mirror' in action) return { kind: 'mirror', port: portNumber(action.mirror, vfs) };
  return { kind: 'setVlan', ...action.setVlan };
}

/** What is left out is not there, rather than there and undefined. */
function withoutGaps<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** An address, or one and a mask behind a slash. */
function macMatch(text: string): MacMatch {
  const [mac, mask] = text.split('/', 2);
  return mask === undefined ? { mac: macAddress(mac!) } : { mac: macAddress(mac!), mask: macAddress(mask) };
}

/** `192.0.2.0/24`, `2001:db8::/32`, or an address. */
function prefix(text: string): IpPrefix {
  const [address, bits] = text.split('/', 2);
  const bytes = isIPv4(address!) ? ipv4(address!) : isIPv6(address!) ? ipv6(address!) : undefined;
  const most = (bytes?.length ?? 0) * 8;
  const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.POSITIVE_INFINITY;
  if (bytes === undefined || length > most)
    throw new InvalidArgumentError('Want addresses such as 192.0.2.0/24 or 2001:db8::/32.');
  return { address: bytes, bits: length };
}

const ipv4 = (text: string): Uint8Array => Uint8Array.from(text.split('.'), Number);

function ipv6(text: string): Uint8Array {
  // The form with an IPv4 address at its end, in hexadecimal.
  const plain = text.replace(/(\d+\.\d+\.\d+\.\d+)$/, (dotted) => {
    const [a, b, c, d] = ipv4(dotted);
    return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;
  });
  const [head, tail] = plain.split('::', 2).map((half) => (half === '' ? [] : half.split(':')));
  const words = tail === undefined ? head! : [...head!, ...Array(8 - head!.length - tail.length).fill('0'), ...tail];
  return Uint8Array.from(words.flatMap((word) => [Number.parseInt(word, 16) >>> 8, Number.parseInt(word, 16) & 0xff]));
}

/** A rule as a file has it. */
export function ruleShown({ name, match, action }: FlowRule): object {
  const { ports, to, from, source, destination, sourcePort, destinationPort, ...rest } = match;
  return withoutGaps({
    name,
    match: withoutGaps({
      ...rest,
      ports: ports?.map(portName),
      to: to && macMatchText(to),
      from: from && macMatchText(from),
      source: source && prefixText(source),
      destination: destination && prefixText(destination),
      sourcePort: sourcePort && rangeText(sourcePort),
      destinationPort: destinationPort && rangeText(destinationPort),
    }),
    action: actionShown(action),
  });
}

export function mirrorShown({ port, direction, to }: Mirror): z.input<typeof MirrorFile> {
  return { port: portName(port), direction, to: portName(to) };
}

function actionShown(action: FlowAction): unknown {
  switch (action.kind) {
    case 'redirect':
      return { redirect: portName(action.port) };
    case 'mirror':
      return { mirror: portName(action.port) };
    case 'setVlan':
      return { setVlan: { id: action.id, priority: action.priority } };
    default:
      return action.kind;
  }
}

const macMatchText = ({ mac, mask }: MacMatch): string =>
  mask === undefined ? macText(mac) : `${macText(mac)}/${macText(mask)}`;

const rangeText = ([first, last]: readonly [number, number]): number | string =>
  first === last ? first : `${first}-${last}`;

function prefixText({ address, bits }: IpPrefix): string {
  if (address.length === 4) return `${address.join('.')}/${bits}`;
  const words = Array.from({ length: 8 }, (_, word) =>
    ((address[2 * word]! << 8) | address[2 * word + 1]!).toString(16),
  );
  // The shortest form, as RFC 5952 has it.
  return `${new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)}/${bits}`;
}
