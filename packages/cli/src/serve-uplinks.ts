import type { HostMemory } from '@ringwire/guest-memory';
import { SystemError } from '@ringwire/linux';
import { type Pcap, PcapError, readPcap } from '@ringwire/net-backend';
import {
  PcapUplink,
  pcapUplinkBytes,
  TAP_BYTES,
  TapUplink,
  type Uplink,
  VXLAN_BYTES,
  VxlanUplink,
} from '@ringwire/net-uplink';
import { VirtioError } from '@ringwire/virtio-spec';
import { readBytes } from './input-file.js';
import { UnusableInput } from './terminal.js';
import type { UplinkConfig } from './uplink-option.js';

/** An uplink that is known to be wanted, and not open yet. */
export interface UplinkPlan {
  /** Host memory that it works in; a multiple of 8. */
  readonly bytes: number;
  /**
   * @param at host offset of that memory. @param mtu of the interface, if it is to be set
   * @param isAudience whether there is somebody to be played to
   * @throws UnusableInput for one that cannot be
   */
  open(memory: HostMemory, at: number, mtu: number | undefined, isAudience: () => boolean): Uplink;
}

/** What Linux means, by system call and code. */
const TAP_REFUSALS: Readonly<Record<string, string>> = {
  'TUNSETIFF: EINVAL': 'it is no tap device, or was made for one queue where several are wanted',
  'TUNSETIFF: EBUSY': 'another process has it',
};

/** @throws UnusableInput for a capture that cannot be read */
export function planUplink(config: UplinkConfig): UplinkPlan {
  switch (config.kind) {
    case 'tap': {
      const { name, queues } = config;
      const open: UplinkPlan['open'] = (memory, at, mtu) =>
        opened(`tap:${name}`, () => new TapUplink({ memory, at, name, ...given({ mtu, queues }) }), TAP_REFUSALS);
      return { bytes: TAP_BYTES, open };
    }
    case 'vxlan': {
      const { remote, local, vni, tagged } = config;
      const name = `vxlan:${remote.address},${vni}`;
      const ports = { remotePort: remote.port, local: local.address, localPort: local.port };
      const open: UplinkPlan['open'] = (memory, at) =>
        opened(name, () => new VxlanUplink({ memory, at, remote: remote.address, vni, tagged, ...given(ports) }));
      return { bytes: 8 * Math.ceil(VXLAN_BYTES / 8), open };
    }
    case 'pcap': {
      const play = config.play === undefined ? undefined : captureOf(config.play);
      const { write } = config;
      const open: UplinkPlan['open'] = (memory, at, _mtu, isAudience) =>
        opened(`pcap:${write ?? ''}`, () => new PcapUplink({ memory, at, isAudience, ...given({ write, play }) }));
      return { bytes: pcapUplinkBytes(play), open };
    }
    default:
      return config satisfies never;
  }
}

/** Without what is undefined. */
function given<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}

function captureOf(path: string): Pcap {
  const bytes = readBytes(path, path);
  try {
    return readPcap(bytes);
  } catch (error) {
    if (error instanceof PcapError) throw new UnusableInput(`${path} is no capture: ${error.message}`);
    throw error;
  }
}

function opened<T>(name: string, open: () => T, refusals: Readonly<Record<string, string>> = {}): T {
  try {
    return open();
  } catch (error) {
    const isMistake = error instanceof SystemError || error instanceof RangeError || error instanceof VirtioError;
    const code = (error as NodeJS.ErrnoException).code;
    if (!isMistake && code === undefined) throw error;
    const why = isMistake ? error.message : code!;
    const meaning = refusals[why];
    throw new UnusableInput(`the uplink ${name} cannot be had: ${why}${meaning === undefined ? '' : `: ${meaning}`}`);
  }
}
