import { isIP } from 'node:net';
import { InvalidArgumentError } from 'commander';

/** Where frames leave the process, or come from. */
export type UplinkConfig =
  | { readonly kind: 'tap'; readonly name: string; readonly queues?: number }
  | {
      readonly kind: 'vxlan';
      readonly remote: Endpoint;
      readonly vni: number;
      readonly local: Partial<Endpoint>;
      readonly tagged: boolean;
    }
  | { readonly kind: 'pcap'; readonly write: string | undefined; readonly play: string | undefined };

interface Endpoint {
  readonly address: string;
  readonly port: number | undefined;
}

export const UPLINKS =
  'tap:NAME[,queues=N], vxlan:REMOTE[:PORT],VNI[,local=ADDRESS[:PORT]][,tagged], pcap:FILE[,play=FILE], pcap:play=FILE or none';

/**
 * An uplink in the one way that options and files write it; `none` is none.
 * @throws InvalidArgumentError with what is wanted instead
 */
export function uplink(text: string): UplinkConfig | undefined {
  if (text === 'none') return undefined;
  const [, kind, rest] = /^([a-z]+):(.+)$/.exec(text) ?? [];
  if (kind === 'tap' && !rest!.startsWith(',')) return tap(rest!);
  if (kind === 'vxlan') return vxlan(rest!);
  if (kind === 'pcap') return pcap(rest!);
  throw new InvalidArgumentError(`Want ${UPLINKS}.`);
}

/** Queues of a tap device that can be asked for; Linux has no more. */
const TAP_QUEUES_MAX = 256;

function tap(text: string): UplinkConfig {
  const [name, ...words] = text.split(',');
  const one: UplinkConfig = { kind: 'tap', name: name! };
  if (words.length === 0) return one;
  const queues = Number(/^queues=([0-9]+)$/.exec(words.join())?.[1]);
  if (queues >= 1 && queues <= TAP_QUEUES_MAX) return { ...one, queues };
  throw new InvalidArgumentError(`Want 1 to ${TAP_QUEUES_MAX} queues, as in tap:${name},queues=2.`);
}

function vxlan(text: string): UplinkConfig {
  const [remote, vni, ...words] = text.split(',');
  if (vni === undefined || !/^[0-9]+$/.test(vni) || Number(vni) > 0xff_ffff)
    throw new InvalidArgumentError('Want a VNI from 0 to 16777215, as in vxlan:192.0.2.1,7.');
  let local: Partial<Endpoint> = {};
  let tagged = false;
  for (const word of words) {
    if (word === 'tagged') tagged = true;
    else if (word.startsWith('local=')) local = endpoint(word.slice('local='.length));
    else
      throw new InvalidArgumentError(`No setting of a tunnel is called ${word}. Want local=ADDRESS[:PORT] or tagged.`);
  }
  return { kind: 'vxlan', remote: endpoint(remote!), vni: Number(vni), local, tagged };
}

/** `192.0.2.1`, `192.0.2.1:4789`, `2001:db8::1` or `[2001:db8::1]:4789`. */
function endpoint(text: string): Endpoint {
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*))(?::([0-9]+))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  const number = port === undefined ? undefined : Number(port);
  if (isIP(address) === 0 || isGroup(address))
    throw new InvalidArgumentError(`Want the address of a machine, not ${text}.`);
  if (number !== undefined && (number < 1 || number > 0xffff))
    throw new InvalidArgumentError(`Want a port from 1 to 65535, not ${port}.`);
  return { address, port: number };
}

/** Multicast, or all of them. */
const isGroup = (address: string): boolean =>
  address.includes(':') ? /^ff/i.test(address) : Number.parseInt(address, 10) >= 224;

function pcap(text: string): UplinkConfig {
  const [, write, play] = /^(?:(?!play=)(.+?))??(?:(?:^|,)play=(.+))?$/.exec(text) ?? [];
  return { kind: 'pcap', write, play };
}
