import { FrameQueue, LoopbackBackend, type NetBackend } from '@ringwire/net-backend';
import type { NetDeviceOptions } from '@ringwire/virtio-device';
import { NetParent } from './net-parent.js';
import { TableSpace } from './table-space.js';
import type { VdpaHost } from './vdpa-parent.js';

const CABLE_FRAMES = 64;
const CABLE_BYTES = 0x2_0000;

/** What the simulator's devices are; what is not given is as in {@link NetParentConfig}. */
export interface SimParentOptions {
  /** `vdpasim_net` unless given. */
  readonly name?: string;
  readonly vendorId?: number;
  readonly pairs?: number;
  readonly devices?: number;
  /** Address spaces of a device; 2 unless given: data queues and control queue can be kept apart. */
  readonly spaces?: number;
  /** What the place-th device is plugged into; unless given, what it sends comes back to it. */
  readonly backend?: (place: number) => NetBackend;
  readonly device?: Partial<NetDeviceOptions>;
}

/** The software simulator: network devices without any hardware, which translate addresses in tables of their own. */
export function simParent(host: VdpaHost, options: SimParentOptions = {}): NetParent {
  const { name = 'vdpasim_net', spaces = 2, backend, ...rest } = options;
  return new NetParent({
    name,
    host,
    ...rest,
    seat(place) {
      const own = backend === undefined ? loopback(host) : undefined;
      const end = own?.backend ?? backend?.(place);
      if (end === undefined) return undefined;
      return {
        backend: end,
        spaces: Array.from({ length: spaces }, () => new TableSpace(host.memory)),
        close: () => own?.close(),
      };
    },
  });
}

/** A cable that comes back to where it began. @returns undefined when there is no memory for frames under way */
function loopback({ memory, pages }: VdpaHost): { backend: NetBackend; close: () => void } | undefined {
  if (pages.available < CABLE_BYTES) return undefined;
  const frames = pages.allocate(CABLE_BYTES);
  const backend = new LoopbackBackend(new FrameQueue(memory, frames, CABLE_BYTES, CABLE_FRAMES));
  return { backend, close: () => pages.free(frames) };
}
