import type { EswitchPort } from '@ringwire/eswitch';
import type { HostMemory } from '@ringwire/guest-memory';
import { IXGBE_SCRATCH_BYTES, IxgbeCard, ixgbePhysical, ixgbeSriov, ixgbeVirtual } from '@ringwire/ixgbe';
import { VENDOR_B_ID } from '@ringwire/nic-spec/vendor-b';
import type { SriovOptions } from '@ringwire/pci';
import {
  type SriovNicOptions,
  VIRTIO_NET_VF_ID,
  virtioFunction,
  virtioPhysical,
  virtioVfBars,
} from '@ringwire/sriov-nic';
import { VendorBCard, vendorBVfBars } from '@ringwire/vendor-b';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';

/** What a function of the card is: virtio itself, an Intel 82599, or vendor B's. */
export type FunctionKind = 'virtio' | '82599' | 'vendor-b';

/** What a physical function and its virtual ones are made of; -1 is the physical one. */
export interface KindParts {
  readonly memory: HostMemory;
  readonly totalVfs: number;
  /** Of virtio functions. */
  readonly pairs: number;
  readonly portOf: (index: number) => EswitchPort;
  /** Host memory of {@link SCRATCH_BYTES} bytes of the function's own. */
  readonly scratchOf: (index: number) => number;
  readonly macOf: (index: number) => Uint8Array;
  /** In µs. */
  readonly now: () => number;
}

/** Host memory that a function of any kind works in. */
export const SCRATCH_BYTES: number = Math.max(NET_SCRATCH_BYTES, IXGBE_SCRATCH_BYTES);

const PHYSICAL = -1;

/** One physical function with its virtual ones, as its vendor makes them. */
export function kindOptions(
  kind: FunctionKind,
  parts: KindParts,
): Pick<SriovNicOptions, 'physical' | 'virtual' | keyof SriovOptions> {
  const { totalVfs } = parts;
  // Wherever it is put, its virtual functions are somewhere else: the machine says where.
  const routing = { first: 1, stride: 1 };
  if (kind === 'virtio') return { totalVfs, vfDeviceId: VIRTIO_NET_VF_ID, routing, ...virtioFunctions(parts) };
  if (kind === '82599') return { ...ixgbeSriov(totalVfs), ...ixgbeFunctions(parts) };
  return {
    totalVfs,
    vfDeviceId: VENDOR_B_ID.VF,
    routing,
    vfBars: vendorBVfBars(),
    ...vendorBFunctions(parts),
  };
}

type Functions = Pick<SriovNicOptions, 'physical' | 'virtual'>;

function virtioFunctions(parts: KindParts): Functions & Pick<SriovOptions, 'vfBars'> {
  const { memory, pairs, now } = parts;
  const optionsOf = (index: number) => ({
    memory,
    scratch: parts.scratchOf(index),
    port: parts.portOf(index),
    net: { holdWhenFull: false, pairs },
    pci: { now },
  });
  return {
    vfBars: virtioVfBars(pairs),
    physical: (place) => virtioPhysical(place, optionsOf(PHYSICAL)),
    virtual: (place) => virtioFunction(place, optionsOf(place.seat.index)),
  };
}

function ixgbeFunctions(parts: KindParts): Functions {
  const card = new IxgbeCard({ memory: parts.memory, mac: parts.macOf(PHYSICAL), now: parts.now });
  const optionsOf = (index: number) => ({ card, scratch: parts.scratchOf(index), port: parts.portOf(index) });
  return {
    physical: (place) => ixgbePhysical(place, optionsOf(PHYSICAL)),
    virtual: (place) => ixgbeVirtual(place, optionsOf(place.seat.index)),
  };
}

function vendorBFunctions({ memory, totalVfs, scratchOf, portOf, now }: KindParts): Functions {
  const card = new VendorBCard({
    totalVfs,
    functionOptions: (index) => ({ memory, scratch: scratchOf(index), port: portOf(index), now }),
  });
  return { physical: (place) => card.physical(place), virtual: (place) => card.virtual(place) };
}
