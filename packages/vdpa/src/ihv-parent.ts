import type { NetDeviceOptions } from '@ringwire/virtio-device';
import { type IhvPlugin, PluginBackend } from './ihv-plugin.js';
import { NetParent } from './net-parent.js';
import { TableSpace } from './table-space.js';
import type { VdpaHost } from './vdpa-parent.js';

const SPACES = 2;

/** What the management device of a vendor's plug-ins is; what is not given is as in {@link NetParentConfig}. */
export interface IhvParentOptions {
  readonly name: string;
  readonly vendorId?: number;
  readonly devices?: number;
  readonly device?: Partial<NetDeviceOptions>;
}

/** A management device over a vendor's plug-ins, one for each device: the rest of the device is ours. */
export function ihvParent(
  host: VdpaHost,
  options: IhvParentOptions,
  open: (place: number) => IhvPlugin | undefined,
): NetParent {
  return new NetParent({
    ...options,
    host,
    seat(place) {
      const plugin = open(place);
      if (plugin === undefined) return undefined;
      const backend = new PluginBackend(plugin);
      return {
        backend,
        spaces: Array.from({ length: SPACES }, () => new TableSpace(host.memory)),
        opened: (device) => plugin.interrupt(() => device.wake()),
        suspended: (isSuspended) => backend.suspended(isSuspended),
        close: () => plugin.interrupt(undefined),
      };
    },
  });
}
