import { VirtioError } from '@ringwire/virtio-spec';
import type { FlowMatch, FlowRule, IpPrefix, MacMatch, Mirror } from './flow-rule.js';
import { isMac } from './mac-address.js';

const HERE = 'Eswitch.setRules';
/** Most rules of a switch. */
export const RULES_MAX = 1024;

/** @param ports of the switch @throws VirtioError for a rule that cannot be, naming it */
export function checkRules(rules: readonly FlowRule[], ports: number): void {
  if (rules.length > RULES_MAX) throw new VirtioError('rules', rules.length, `at most ${RULES_MAX}`, HERE);
  for (const [index, { match, action }] of rules.entries()) {
    const at = `rules[${index}]`;
    checkMatch(match, at, ports);
    switch (action.kind) {
      case 'redirect':
      case 'mirror':
        integer(`${at}.action.port`, action.port, 0, ports - 1, HERE);
        if (match.ports?.includes(action.port) === true)
          throw new VirtioError(
            `${at}.action.port`,
            action.port,
            'another port than those that the frames come from',
            HERE,
          );
        break;
      case 'setVlan':
        integer(`${at}.action.id`, action.id, 1, 4094, HERE);
        integer(`${at}.action.priority`, action.priority, 0, 7, HERE);
        break;
      case 'allow':
      case 'drop':
      case 'count':
        break;
      default:
        throw new VirtioError(`${at}.action.kind`, String((action as { kind: unknown }).kind), 'an action', HERE);
    }
  }
}

/** @throws VirtioError for a mirror that cannot be: one of a port to itself, or one of two for the same */
export function checkMirrors(mirrors: readonly Mirror[], ports: number): void {
  const here = 'Eswitch.setMirrors';
  for (const [index, { port, to, direction }] of mirrors.entries()) {
    const at = `mirrors[${index}]`;
    integer(`${at}.port`, port, 0, ports - 1, here);
    integer(`${at}.to`, to, 0, ports - 1, here);
    if (port === to) throw new VirtioError(`${at}.to`, to, 'another port than the one that is mirrored', here);
    if (direction !== 'in' && direction !== 'out' && direction !== 'both')
      throw new VirtioError(`${at}.direction`, String(direction), "'in', 'out' or 'both'", here);
  }
}

function checkMatch(match: FlowMatch, at: string, ports: number): void {
  for (const port of match.ports ?? []) integer(`${at}.match.ports`, port, 0, ports - 1, HERE);
  checkMac(match.to, `${at}.match.to`);
  checkMac(match.from, `${at}.match.from`);
  if (match.vlan !== undefined) integer(`${at}.match.vlan`, match.vlan, 0, 4094, HERE);
  if (match.etherType !== undefined) integer(`${at}.match.etherType`, match.etherType, 0, 0xffff, HERE);
  if (match.protocol !== undefined) integer(`${at}.match.protocol`, match.protocol, 0, 255, HERE);
  checkPrefix(match.source, `${at}.match.source`);
  checkPrefix(match.destination, `${at}.match.destination`);
  for (const field of ['sourcePort', 'destinationPort'] as const) {
    const range = match[field];
    if (range === undefined) continue;
    integer(`${at}.match.${field}`, range[0], 0, 0xffff, HERE);
    integer(`${at}.match.${field}`, range[1], range[0], 0xffff, HERE);
  }
}

function checkMac(match: MacMatch | undefined, field: string): void {
  if (match === undefined || (isMac(match.mac) && (match.mask === undefined || isMac(match.mask)))) return;
  throw new VirtioError(field, String(match.mac), 'an address and a mask of 6 bytes', HERE);
}

function checkPrefix(prefix: IpPrefix | undefined, field: string): void {
  if (prefix === undefined) return;
  const { address, bits } = prefix;
  if (!(address instanceof Uint8Array) || (address.length !== 4 && address.length !== 16))
    throw new VirtioError(field, String(address), 'an address of 4 or 16 bytes', HERE);
  integer(`${field}.bits`, bits, 0, 8 * address.length, HERE);
}

function integer(field: string, value: number, min: number, max: number, here: string): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new VirtioError(field, value, `an integer from ${min} to ${max}`, here);
}
