import type { RateNodeSettings } from '@ringwire/eswitch';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import type { AuditLog } from './nic-audit.js';
import type { NicCard } from './nic-card.js';
import { portName, portNumber } from './nic-names.js';
import { UnusableInput } from './terminal.js';

/** The card's handle, as devlink has a bus and a device: ports have their numbers behind it, groups their names. */
const DEVICE = 'ringwire/nic';
/** devlink's rates are bytes a second, and a card's Mbit/s. */
const BYTES_PER_MBIT = 125_000;
const Rate = z.number().min(0);

const ofRate = {
  name: z.string().min(1),
  /** Bytes a second. */
  tx_share: Rate.optional(),
  tx_max: Rate.optional(),
  tx_priority: z.number().int().min(0).optional(),
  tx_weight: z.number().int().min(0).optional(),
  /** null: none. */
  parent: z.string().min(1).nullable().optional(),
};
/** What `devlink port function rate set | add | del` says. */
export const RateRequest = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('set'), ...ofRate }),
  z.strictObject({ do: z.literal('add'), ...ofRate }),
  z.strictObject({ do: z.literal('del'), name: z.string().min(1) }),
]);
type RateRequest = z.output<typeof RateRequest>;
type RateWords = Exclude<RateRequest, { do: 'del' }>;

/** As `devlink -j port function rate show` prints rates: bytes a second, and what is 0 is left out. */
export const RatesShow = z.object({
  rate: z.record(
    z.string(),
    z.object({
      type: z.enum(['leaf', 'node']),
      tx_share: z.number().optional(),
      tx_max: z.number().optional(),
      tx_priority: z.number().optional(),
      tx_weight: z.number().optional(),
      parent: z.string().optional(),
    }),
  ),
});
export type RatesShown = z.output<typeof RatesShow>;

/** @param name of one that is to be shown alone, as {@link changeRates} takes it. @throws InvalidArgumentError, UnusableInput for one that there is not */
export function ratesShown(card: NicCard, name?: string): RatesShown {
  const { arbiter, eswitch } = card;
  const ports = [eswitch.physical, ...eswitch.virtual].map(({ number }) => number);
  const all = name === undefined ? [...ports, ...arbiter.groups] : [nodeNamed(card, name)];
  return { rate: Object.fromEntries(all.map((node) => [`${DEVICE}/${node}`, rateShown(card, node)])) };
}

function rateShown({ arbiter }: NicCard, node: number | string): RatesShown['rate'][string] {
  const { settings, parent } = arbiter.nodeOf(node);
  const { share, maxRate, priority, weight } = settings;
  return {
    type: typeof node === 'number' ? 'leaf' : 'node',
    ...(share === 0 ? {} : { tx_share: share * BYTES_PER_MBIT }),
    ...(maxRate === 0 ? {} : { tx_max: maxRate * BYTES_PER_MBIT }),
    ...(priority === 0 ? {} : { tx_priority: priority }),
    ...(weight === 0 ? {} : { tx_weight: weight }),
    ...(parent === undefined ? {} : { parent }),
  };
}

/**
 * Set a port's or a group's rates, add a group, or take one away.
 * @throws VirtioError, UnusableInput, InvalidArgumentError for what cannot be: everything is as before then
 */
export function changeRates(card: NicCard, request: RateRequest, audit?: AuditLog): void {
  const { arbiter } = card;
  if (request.do === 'add') {
    const name = groupName(request.name);
    const { settings, parent } = changesOf(request);
    arbiter.addNode(name, settings, parent ?? undefined);
    audit?.note(`rate ${name}`, null, rateShown(card, name));
    return;
  }
  const node = nodeNamed(card, request.name);
  const before = rateShown(card, node);
  if (request.do === 'set') setNode(card, node, request);
  else {
    if (typeof node === 'number') throw new UnusableInput(`${request.name} is a port: want a group`);
    arbiter.removeNode(node);
  }
  const after = request.do === 'del' ? null : rateShown(card, node);
  const name = typeof node === 'number' ? portName(node) : node;
  if (JSON.stringify(before) !== JSON.stringify(after)) audit?.note(`rate ${name}`, before, after);
}

function setNode(card: NicCard, node: number | string, words: RateWords): void {
  const { arbiter, eswitch } = card;
  const before = arbiter.nodeOf(node);
  const { settings, parent } = changesOf(words);
  try {
    if (parent !== undefined) arbiter.setParent(node, parent ?? undefined);
    if (typeof node === 'string') arbiter.setNode(node, settings);
    else {
      // The rates of a port are its settings, which `ip link` shows as well; the others are known here alone.
      const { maxRate, share, ...others } = settings;
      arbiter.setPort(node, others);
      eswitch.ports[node]!.configure({
        ...(maxRate === undefined ? {} : { maxTxRate: maxRate }),
        ...(share === undefined ? {} : { minTxRate: share }),
      });
    }
  } catch (error) {
    arbiter.setParent(node, before.parent);
    if (typeof node === 'string') arbiter.setNode(node, before.settings);
    else arbiter.setPort(node, before.settings);
    throw error;
  }
}

interface Changes {
  readonly settings: Partial<RateNodeSettings>;
  /** null: none; undefined: as it is. */
  readonly parent: string | null | undefined;
}

function changesOf({ tx_share, tx_max, tx_priority, tx_weight, parent }: RateWords): Changes {
  return {
    settings: {
      ...(tx_share === undefined ? {} : { share: mbits('tx_share', tx_share) }),
      ...(tx_max === undefined ? {} : { maxRate: mbits('tx_max', tx_max) }),
      ...(tx_priority === undefined ? {} : { priority: tx_priority }),
      ...(tx_weight === undefined ? {} : { weight: tx_weight }),
    },
    parent,
  };
}

function mbits(field: string, bytes: number): number {
  if (bytes % BYTES_PER_MBIT !== 0)
    throw new UnusableInput(`${field} is ${bytes * 8} bit/s, want a multiple of 1 Mbit/s`);
  return bytes / BYTES_PER_MBIT;
}

/** `vf0`, `pf`, the number of a port, or a group's name, with the card's handle in front of it or without. */
function nodeNamed({ eswitch, arbiter }: NicCard, text: string): number | string {
  const name = text.startsWith(`${DEVICE}/`) ? text.slice(DEVICE.length + 1) : text;
  if (arbiter.groups.includes(name)) return name;
  const known = /^\d{1,4}$/.test(name) ? portName(Number(name)) : name;
  if (!isPortName(known)) throw new UnusableInput(`No group is called ${name}. Want ${named(arbiter.groups)}.`);
  if (known === 'wire') throw new UnusableInput('The wire has a speed: want pf, or vf0');
  return portNumber(known, eswitch.virtual.length);
}

const named = (groups: readonly string[]): string => ['pf', 'vf0', ...groups].join(', ');

/** Of a new group. */
function groupName(text: string): string {
  const name = text.startsWith(`${DEVICE}/`) ? text.slice(DEVICE.length + 1) : text;
  if (/^[\w.-]{1,64}$/.test(name) && !/^\d+$/.test(name) && !isPortName(name)) return name;
  throw new InvalidArgumentError(`Want letters, digits, _, . and - as a group's name, and no port's, not ${name}.`);
}

const isPortName = (name: string): boolean => /^(wire|pf|vf\d+)$/.test(name);

const UNITS = ['', 'K', 'M', 'G', 'T'] as const;

/** As devlink prints rates for people. */
export function ratesText({ rate }: RatesShown): string {
  const lines = Object.entries(rate).map(([handle, { type, tx_share, tx_max, tx_priority, tx_weight, parent }]) =>
    [
      `${handle}: type ${type}`,
      ...(tx_share === undefined ? [] : [`tx_share ${bitsText(tx_share)}`]),
      ...(tx_max === undefined ? [] : [`tx_max ${bitsText(tx_max)}`]),
      ...(tx_priority === undefined ? [] : [`tx_priority ${tx_priority}`]),
      ...(tx_weight === undefined ? [] : [`tx_weight ${tx_weight}`]),
      ...(parent === undefined ? [] : [`parent ${parent}`]),
    ].join(' '),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** The largest unit that it is a whole number of. */
function bitsText(bytes: number): string {
  let bits = bytes * 8;
  let unit = 0;
  while (unit < UNITS.length - 1 && bits >= 1000 && bits % 1000 === 0) {
    bits /= 1000;
    unit++;
  }
  return `${bits}${UNITS[unit]}bit`;
}

/** devlink-rate(8): what a unit is in bits a second; `bps` are bytes. In lower case. */
const UNIT_BITS: Readonly<Record<string, number>> = Object.fromEntries(
  ['', 'k', 'm', 'g', 't'].flatMap((prefix, power) => [
    [`${prefix}bit`, 1000 ** power],
    [`${prefix}bps`, 8 * 1000 ** power],
    ...(prefix === ''
      ? []
      : [
          [`${prefix}ibit`, 1024 ** power],
          [`${prefix}ibps`, 8 * 1024 ** power],
        ]),
  ]),
);

/** `1gbit`, `12.5MBps`, or bits a second alone. @returns bytes a second. @throws InvalidArgumentError */
export function rateBytes(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text) ?? [];
  const bits = UNIT_BITS[unit === '' ? 'bit' : unit.toLowerCase()];
  if (number === undefined || bits === undefined)
    throw new InvalidArgumentError(`Want a rate such as 100mbit, 1gbit or 12.5MBps, not ${text}.`);
  return Math.floor((Number(number) * bits) / 8);
}
