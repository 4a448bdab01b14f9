import { abilityObstacles } from './move-obstacles.js';

type FunctionIds = Pick<PlainFunction, 'vendorId' | 'deviceId'>;

/** A PCI function that a guest has to itself, with registers and rings of its vendor's. */
export interface PlainFunction {
  readonly vendorId: number;
  readonly deviceId: number;
  /** The host knows what it writes to memory, as an IOMMU with dirty flags tells it. */
  readonly tracksDirty: boolean;
}

/**
 * Why a running guest cannot leave a vendor's function, each reason by name: what is known of such a function is its ids. The
 * guest goes with a stand-by of virtio's (`NetTeam` of guest-drivers), or where the same card is a vDPA device.
 * @param target what the guest would find at its target; undefined where that is one of the same ids
 */
export function functionObstacles(source: PlainFunction, target?: FunctionIds): string[] {
  const abilities = { suspend: false, resume: false, dirty: source.tracksDirty };
  const obstacles = [
    `what function ${idsOf(source)} knows of its rings is in registers whose meaning is its vendor’s: the host cannot save it`,
    ...abilityObstacles(abilities, true),
  ];
  if (target !== undefined && idsOf(target) !== idsOf(source))
    obstacles.push(
      `the guest’s driver is one for ${idsOf(source)}, and what it would find is ${idsOf(target)}, which has another driver`,
    );
  return obstacles;
}

const idsOf = ({ vendorId, deviceId }: FunctionIds): string => `${hex4(vendorId)}:${hex4(deviceId)}`;
const hex4 = (id: number): string => id.toString(16).padStart(4, '0');
