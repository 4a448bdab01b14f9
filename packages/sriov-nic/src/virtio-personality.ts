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
import type { Personality, PhysicalPlace, VirtualPlace } from './personality.js';

/** VF Device ID of virtio network functions. */
export const VIRTIO_NET_VF_ID: number = VIRTIO_PCI_ID.DEVICE_ID_BASE + VIRTIO_ID.NET;

/** One network function: what it has of its own. */
export interface VirtioFunctionOptions {
  readonly memory: HostMemory;
  /** Host memory of the function's own: `NET_SCRATCH_BYTES` of it. */
  readonly scratch: number;
  /** Its port of the switch; detached when the function goes. */
  readonly backend: NetBackend;
  readonly mac: Uint8Array;
  /** The rest of the device: queue pairs, offloads, trace. */
  readonly net?: Partial<NetDeviceOptions>;
  /** Features to offer, and a clock, as of `VirtioPciConfig`. */
  readonly pci?: Pick<VirtioPciConfig, 'offer' | 'now' | 'wake' | 'subsystemVendorId' | 'subsystemId'>;
}

/** The VF BAR that virtio functions need. @param pairs most queue pairs of each */
export function virtioVfBars(pairs = 1): VfBarOptions[] {
  return [{ index: 0, space: 'memory64', size: registersBarBytes(2 * pairs + 1) }];
}

/** A virtual function that is a virtio network device itself: full offload. */
export function virtioFunction({ seat, space, host }: VirtualPlace, options: VirtioFunctionOptions): Personality {
  return personality(options, { ...options.pci, space, host, translated: true, virtual: seat });
}

/** The physical function as a virtio network device; it offers SR_IOV. */
export function virtioPhysical(place: PhysicalPlace, options: VirtioFunctionOptions): Personality {
  const { space, host, extended, virtualFunctions } = place;
  return personality(options, { ...options.pci, space, host, translated: true, extended, virtualFunctions });
}

function personality(options: VirtioFunctionOptions, config: Omit<VirtioPciConfig, 'model'>): Personality {
  const { memory, scratch, backend, mac, net } = options;
  const model = new NetDevice({ holdWhenFull: true, ...net, memory, scratch, backend, mac });
  const { pci, device } = new VirtioPci({ ...config, model });
  return {
    pci,
    step: (budget) => device.step(budget),
    deadline: () => device.deadline(),
    close: () => backend.attach(undefined),
  };
}
