import type { RingLayouts } from '@ringwire/vhost-user';
import type { NicConfig } from './nic-config.js';
import { type FunctionVendor, VENDOR_FUNCTION } from './nic-functions.js';
import { defaultMac } from './nic-names.js';
import type { ListenAddress } from './option-values.js';
import { UnusableInput } from './terminal.js';
import type { UplinkConfig } from './uplink-option.js';

/** What a port may have of its own, and otherwise has as all ports do. */
interface PortSettings {
  /** Pairs of a receive and a transmit queue. */
  readonly queues?: number | undefined;
  readonly queueSize?: number | undefined;
  readonly mtu?: number | undefined;
  readonly rings?: RingLayouts | undefined;
  readonly hold?: boolean | undefined;
  /** The front-end listens at the socket, which is connected to rather than made. */
  readonly connect?: boolean | undefined;
}

/** Where drivers find a port's device: at a socket, or in this machine's kernel as the VDUSE device of a name. */
interface PortDoor {
  readonly socket?: string | undefined;
  readonly vduse?: string | undefined;
}

interface PortIdentity {
  readonly mac?: Uint8Array | undefined;
  /** Whose card the device is on; of this program's own unless given. */
  readonly vendor?: FunctionVendor | undefined;
}

/** What `ringwire serve` may be told, by options and by a file alike. */
export interface ServeSettings extends PortSettings {
  readonly ports?: readonly (PortDoor & PortIdentity & PortSettings)[] | undefined;
  readonly uplinks?: readonly UplinkConfig[] | undefined;
  /** MiB. */
  readonly memory?: number | undefined;
  /** Path of the pcapng file of all frames. */
  readonly trace?: string | undefined;
  readonly metrics?: ListenAddress | undefined;
  readonly json?: boolean | undefined;
  readonly nic?: NicConfig | undefined;
  readonly control?: string | undefined;
  readonly drops?: string | undefined;
  readonly audit?: string | undefined;
}

/** One port, with nothing left open. */
interface PortConfig {
  /** Names the port: the socket's path, or `vduse:NAME`. */
  readonly socket: string;
  readonly vduse: string | undefined;
  /** Whose card the device is on; undefined for one of this program's own. */
  readonly vendor: FunctionVendor | undefined;
  readonly mac: Uint8Array;
  readonly queues: number;
  readonly queueSize: number;
  readonly mtu: number;
  readonly rings: RingLayouts;
  readonly hold: boolean;
  readonly connect: boolean;
}

export interface ServeConfig {
  readonly ports: readonly PortConfig[];
  readonly uplinks: readonly UplinkConfig[];
  /** Of all ports, where it was asked for: for the interfaces that are made. */
  readonly mtu: number | undefined;
  readonly memoryMiB: number;
  readonly trace: string | undefined;
  readonly metrics: ListenAddress | undefined;
  readonly json: boolean;
  /** The card that the ports are the functions of: the virtual ones in their order, and the physical one if it is served. */
  readonly nic: NicConfig | undefined;
  /** Path of the socket at which the card is asked and told. */
  readonly control: string | undefined;
  /** Path of the pcapng file of frames that the card drops. */
  readonly drops: string | undefined;
  /** Path of the file of what is set for the card, and by whom. */
  readonly audit: string | undefined;
}

export const SERVE_DEFAULTS = {
  queues: 1,
  queueSize: 1024,
  mtu: 1500,
  rings: 'both',
  hold: false,
  connect: false,
  memory: 2048,
} as const;

/** Of two answers to one question the first one holds. */
export function overriding(first: ServeSettings, second: ServeSettings): ServeSettings {
  const given = Object.entries(first).filter(([, value]) => value !== undefined);
  return { ...second, ...Object.fromEntries(given) };
}

/** Fill in what was left open. @throws UnusableInput for what cannot be together */
export function serveConfig(settings: ServeSettings): ServeConfig {
  const { ports = [], uplinks = [], memory = SERVE_DEFAULTS.memory, json = false } = settings;
  const { mtu, trace, metrics, nic, control, drops, audit } = settings;
  if (ports.length === 0)
    throw new UnusableInput('no port: want --port SOCKET, --vduse NAME, or ports in the file of --config');
  for (const [option, value] of Object.entries({ control, drops, audit }))
    if (value !== undefined && nic === undefined) throw new UnusableInput(`--${option} is for a card: want --nic FILE`);
  if (new Set(ports.map(nameOf)).size < ports.length) throw new UnusableInput('two ports have the same socket or name');
  return {
    ports: ports.map((port, index) => ({
      socket: nameOf(port),
      vduse: port.vduse,
      vendor: port.vendor,
      mac: port.mac ?? defaultMac(index),
      // More pairs want a control queue, which the kernel lets no VDUSE device have.
      queues: port.vduse === undefined ? (port.queues ?? settings.queues ?? SERVE_DEFAULTS.queues) : 1,
      queueSize: port.queueSize ?? settings.queueSize ?? SERVE_DEFAULTS.queueSize,
      mtu: port.mtu ?? mtu ?? SERVE_DEFAULTS.mtu,
      rings: port.rings ?? settings.rings ?? SERVE_DEFAULTS.rings,
      hold: port.hold ?? settings.hold ?? SERVE_DEFAULTS.hold,
      connect: port.connect ?? settings.connect ?? SERVE_DEFAULTS.connect,
      ...(port.vendor === undefined ? {} : VENDOR_FUNCTION),
    })),
    uplinks,
    mtu,
    memoryMiB: memory,
    trace,
    metrics,
    json,
    nic,
    control,
    drops,
    audit,
  };
}

const nameOf = ({ socket, vduse }: PortDoor): string => (vduse === undefined ? socket! : `vduse:${vduse}`);
