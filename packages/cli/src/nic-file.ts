import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { checkedInput } from './input-file.js';
import { NIC_DEFAULTS, type NicConfig, type VfSettings } from './nic-config.js';
import { FUNCTION_VENDORS, VENDOR_FUNCTION } from './nic-functions.js';
import { macAddress } from './nic-names.js';
import { MirrorFile, mirrorOf, RuleFile, ruleOf } from './nic-rules.js';
import { WireFile, wireConfig } from './nic-wire.js';
import { parsed } from './parsed-field.js';
import type { ServeSettings } from './serve-config.js';
import { contentOf, ofPort, ofServe, textOf } from './serve-file.js';
import { UnusableInput } from './terminal.js';

const Vid = z.number().int().min(1).max(4094);
const Rate = z.number().int().min(0);

const ofVf = {
  mac: parsed(macAddress).optional(),
  /** 0 takes it away. */
  vlan: z.number().int().min(0).max(4094).optional(),
  qos: z.number().int().min(0).max(7).optional(),
  protocol: z.enum(['802.1Q', '802.1ad']).optional(),
  trunk: z.array(Vid).optional(),
  spoofchk: z.boolean().optional(),
  trust: z.boolean().optional(),
  promiscuous: z.boolean().optional(),
  maxTxRate: Rate.optional(),
  minTxRate: Rate.optional(),
  link: z.enum(['auto', 'enable', 'disable']).optional(),
};
/** A virtual function in the words of `ip link set … vf`, without its socket. */
export const VfFile = z.strictObject(ofVf);
type VfWords = z.output<typeof VfFile>;

/** YAML has a number where a name is made of digits. */
const Vendor = z.coerce.string().pipe(z.enum(FUNCTION_VENDORS));

const NicFile = z.strictObject({
  ...ofServe,
  drops: z.string().min(1).optional(),
  audit: z.string().min(1).optional(),
  wire: WireFile.optional(),
  pf: z
    .strictObject({
      socket: z.string().min(1).optional(),
      mac: parsed(macAddress).optional(),
      promiscuous: z.boolean().optional(),
      ...ofPort,
    })
    .default({}),
  mode: z.enum(['veb', 'vepa']).optional(),
  floating: z.boolean().optional(),
  learning: z.boolean().optional(),
  vfs: z
    .array(z.strictObject({ socket: z.string().min(1), vendor: Vendor.optional(), ...ofVf, ...ofPort }))
    .min(1)
    .max(1024),
  rules: z.array(RuleFile).default([]),
  mirrors: z.array(MirrorFile).default([]),
});

type NicWords = z.output<typeof NicFile>;

/** A card, and how it is served: each of its virtual functions at a socket, and the physical one behind them if it has one. */
export interface NicFileContent {
  readonly settings: ServeSettings;
  readonly nic: NicConfig;
}

/**
 * What a file says of a card for `ringwire serve --nic`: JSON where its name says so, and YAML otherwise.
 * @throws UnusableInput naming the file and the field or line in it
 */
export function readNicFile(path: string): NicFileContent {
  const content = checkedInput(path, contentOf(path, textOf(path)), NicFile);
  const { wire, mode, floating, learning, pf, vfs, rules, mirrors, uplinks, ...rest } = content;
  for (const [at, vf] of vfs.entries())
    for (const [field, value] of Object.entries(VENDOR_FUNCTION) as [keyof typeof VENDOR_FUNCTION, number][])
      if (vf.vendor !== undefined && (vf[field] ?? value) !== value)
        throw new UnusableInput(
          `${path}: vfs[${at}].${field}: is ${vf[field]}, want ${value} on a card of ${vf.vendor}`,
        );
  const named = <T>(field: string, make: () => T): T => {
    try {
      return make();
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw new UnusableInput(`${path}: ${field}: ${error.message}`);
      throw error;
    }
  };
  return {
    settings: {
      ...rest,
      uplinks: uplinks?.filter((found) => found !== undefined),
      ports: [...vfs, pf].filter(({ socket }) => socket !== undefined).map(portOf),
    },
    nic: {
      wire: wireConfig(wire),
      mode: mode ?? NIC_DEFAULTS.mode,
      floating: floating ?? NIC_DEFAULTS.floating,
      learning: learning ?? NIC_DEFAULTS.learning,
      pf: { mac: pf.mac, promiscuous: pf.promiscuous, isServed: pf.socket !== undefined },
      vfs: vfs.map(vfSettings),
      rules: rules.map((rule, at) => named(`rules[${at}]`, () => ruleOf(rule, vfs.length))),
      mirrors: mirrors.map((mirror, at) => named(`mirrors[${at}]`, () => mirrorOf(mirror, vfs.length))),
    },
  };
}

function portOf(function_: NicWords['vfs'][number] | NicWords['pf']): NonNullable<ServeSettings['ports']>[number] {
  const { socket, mac, queues, queueSize, mtu, rings, hold, connect } = function_;
  const vendor = 'vendor' in function_ ? function_.vendor : undefined;
  return { socket, vendor, mac, queues, queueSize, mtu, rings, hold, connect };
}

/** The words of `ip link set … vf` as settings; `vlan` 0 takes a port VLAN away. */
export function vfSettings({ vlan, qos, protocol, ...rest }: VfWords): VfSettings {
  if (vlan === undefined) return rest;
  if (vlan === 0) return { ...rest, vlan: undefined };
  return { ...rest, vlan: { id: vlan, priority: qos ?? 0, protocol: protocol === '802.1ad' ? 0x88a8 : 0x8100 } };
}
