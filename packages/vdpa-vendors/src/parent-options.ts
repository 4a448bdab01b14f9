import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import type { NetDeviceOptions } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import type { SpaceWrap } from './card-slot.js';

const FUNCTIONS_MAX = 8;

/** A card of a vendor's, and what its functions are plugged into. */
export interface VendorParentOptions {
  readonly name: string;
  /** Virtual functions, 1 to 8; 4 unless given. */
  readonly functions?: number;
  /** What a function is plugged into; -1 is the physical one. Unless given, a port of one switch for all. */
  readonly backend?: (place: number) => NetBackend;
  /** The rest of the virtio network device. */
  readonly net?: Partial<NetDeviceOptions>;
  /** Put around each virtual function's way to memory. */
  readonly wrap?: SpaceWrap;
}

/** The same, with what was left out. @throws VirtioError for a number of functions that the slot does not take */
export function wholeOptions({
  name,
  functions = 4,
  net = {},
  backend,
  wrap = (space) => space,
}: VendorParentOptions): Required<VendorParentOptions> {
  if (!Number.isInteger(functions) || functions < 1 || functions > FUNCTIONS_MAX)
    throw new VirtioError('functions', functions, `1 to ${FUNCTIONS_MAX}`, name);
  return { name, functions, net, backend: backend ?? switchFor(functions), wrap };
}

/** A port for each function, the physical one first. */
function switchFor(functions: number): (place: number) => NetBackend {
  const { ports } = new LearningSwitch(functions + 1);
  return (place) => ports[place + 1]!;
}
