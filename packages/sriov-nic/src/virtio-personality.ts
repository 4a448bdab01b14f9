import type { EswitchPort } from '@ringwire/eswitch';
import type { HostMemory } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import type { VfBarOptions } from '@ringwire/pci';
import {
  NetDevice,
  type NetDeviceOptions,
  registersBarBytes,
  VirtioPci,
  type VirtioPciConfig,
} from '@ringwire/virtio-device';
import { VIRTIO_ID, VIRTIO_PCI_ID } from '@ringwire/virtio-spec';
import type { AdministeredFunctions } from './administered-functions.js';
import { followLink } from './link-follower.js';
import type { FunctionPlace, Personality, PhysicalPlace, VirtualPlace } from './personality.js';

/** VF Device ID of virtio network functions. */
export const VIRTIO_NET_VF_ID: number = VIRTIO_PCI_ID.DEVICE_ID_BASE + VIRTIO_ID.NET;

/** Where a network function's cable leads. */
export type FunctionCable =
  | {
      /** Its port of a switch that knows nothing of functions; detached when the function goes. */
      readonly backend: NetBackend;
      readonly mac: Uint8Array;
    }
  | {
      /**
       * Its port of the card's switch, whose settings hold for it: its address, which the host set before, its link, and
       * what its driver is granted.
       */
      readonly port: EswitchPort;
    };

/** One network function: what it has of its own. */
export type VirtioFunctionOptions = FunctionCable & {
  readonly memory: HostMemory;
  /** Host memory of the function's own: `NET_SCRATCH_BYTES` of it. */
  readonly scratch: number;
  /** The rest of the device: queue pairs, offloads, trace. */
  readonly net?: Partial<NetDeviceOptions>;
  /**
   * The functions that the physical one administers, by a queue of its own: one object, for it and for those that are among
   * them. virtio 1.4 §2.12, §2.13
   */
  readonly administered?: AdministeredFunctions;
  /** Features to offer, and a clock, as of `VirtioPciConfig`. */
  readonly pci?: Pick<VirtioPciConfig, 'offer' | 'now' | 'wake' | 'subsystemVendorId' | 'subsystemId'>;
};

/** The VF BAR that virtio functions need. @param pairs most queue pairs of each */
export function virtioVfBars(pairs = 1): VfBarOptions[] {
  return [{ index: 0, space: 'memory64', size: registersBarBytes(2 * pairs + 1) }];
}

/** A virtual function that is a virtio network device itself: full offload. */
export function virtioFunction(place: VirtualPlace, options: VirtioFunctionOptions): Personality {
  return personality(place, options, { virtual: place.seat });
}

/** The physical function as a virtio network device; it offers SR_IOV. */
export function virtioPhysical(place: PhysicalPlace, options: VirtioFunctionOptions): Personality {
  const { extended, virtualFunctions } = place;
  const { administered } = options;
  administered?.own(virtualFunctions);
  const admin = administered === undefined ? {} : { admin: { sriov: administered } };
  return personality(place, options, { extended, virtualFunctions, ...admin });
}

function personality(
  { space, host, wake }: FunctionPlace,
  options: VirtioFunctionOptions,
  kind: Pick<VirtioPciConfig, 'virtual' | 'extended' | 'virtualFunctions' | 'admin'>,
): Personality {
  const { memory, scratch, net } = options;
  const port = 'port' in options ? options.port : undefined;
  const cable = 'port' in options ? portCable(options.port) : { backend: options.backend, mac: options.mac };
  const model = new NetDevice({ holdWhenFull: true, ...cable, ...net, memory, scratch });
  const follow = port === undefined ? undefined : followLink(model, port);
  const told = options.pci?.wake;
  const woken = (): void => {
    wake?.();
    told?.();
  };
  const virtio = new VirtioPci({
    ...options.pci,
    ...kind,
    space,
    host,
    translated: true,
    wake: woken,
    model,
  });
  const { pci, device } = virtio;
  if (kind.virtual !== undefined) options.administered?.join(virtio);
  return {
    pci,
    // A port of the card's switch hands frames over when they come; any other backend may have to be asked for them.
    sleeps: port !== undefined,
    step: (budget) => device.step(budget),
    deadline: () => device.deadline(),
    close: () => {
      // Where the next function came before this one was closed, the port is that one's.
      if (port !== undefined && port.onLink !== follow) return;
      cable.backend.attach(undefined);
      if (port === undefined) return;
      port.onLink = undefined;
      port.forgetWishes();
    },
  };
}

/** What a device has of its port when it is made. */
function portCable(port: EswitchPort): Pick<NetDeviceOptions, 'backend' | 'mac' | 'policy'> {
  return {
    backend: port.backend,
    mac: port.settings.mac,
    policy: { request: (wishes) => port.request(wishes) === undefined, forget: () => port.forgetWishes() },
  };
}
