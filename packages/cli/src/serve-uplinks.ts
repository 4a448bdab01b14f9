import type { HostMemory } from '@ringwire/guest-memory';
import { SystemError } from '@ringwire/linux';
import { TAP_BYTES, TapUplink, type Uplink } from '@ringwire/net-uplink';
import { UnusableInput } from './terminal.js';
import type { UplinkConfig } from './uplink-option.js';

/** Host memory that an uplink works in. */
export function uplinkBytes(_config: UplinkConfig): number {
  return TAP_BYTES;
}

/** @param at host offset of {@link uplinkBytes} bytes. @throws UnusableInput for one that cannot be */
export function openUplink(config: UplinkConfig, memory: HostMemory, at: number, mtu: number | undefined): Uplink {
  try {
    return new TapUplink({ memory, at, name: config.name, ...(mtu === undefined ? {} : { mtu }) });
  } catch (error) {
    if (error instanceof SystemError || error instanceof RangeError)
      throw new UnusableInput(`the uplink ${config.kind}:${config.name} cannot be had: ${error.message}`);
    throw error;
  }
}
