import { type AddressSpace, GuestMemory, type HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { InvalidationBus, IommuSpace, Iotlb, VTD_REG, VtdUnit } from '@ringwire/iommu';
import type { SpaceConfig } from './thread-config.js';

/** VT-d 4.0 §11.4.4.1 Global Command: set the root table pointer, then enable translation. */
const SRTP = 0x4000_0000;
const TE = 0x8000_0000;

/** The only way to memory that a thread's device has, and how it is given up. */
export interface ThreadSpace {
  readonly space: AddressSpace;
  readonly translated: boolean;
  close(): void;
}

/**
 * @param busOwner this thread's number on the invalidation bus
 * @throws VirtioError for a space that cannot be
 */
export function buildSpace(config: SpaceConfig, memory: HostMemory, busOwner: number): ThreadSpace {
  const plain = { translated: false, close: () => {} };
  switch (config.type) {
    case 'identity':
      return { ...plain, space: new IdentitySpace(memory) };
    case 'regions':
      return { ...plain, space: new GuestMemory(memory, config.regions) };
    case 'vtd': {
      const { rootTable, sourceId, pasid, bus: words, cached = 2048 } = config;
      const physical = new IdentitySpace(memory);
      const bus = new InvalidationBus(words, busOwner);
      // A unit of this thread's own over the same tables: what they say is the same.
      const unit = new VtdUnit({ memory: physical, sink: bus });
      unit.write(VTD_REG.RTADDR.at, 8, BigInt(rootTable));
      unit.write(VTD_REG.GCMD.at, 4, SRTP);
      unit.write(VTD_REG.GCMD.at, 4, TE);
      const place = { unit, sourceId, physical, iotlb: new Iotlb(cached), bus };
      const space = new IommuSpace(pasid === undefined ? place : { ...place, pasid });
      return { space, translated: true, close: () => space.close() };
    }
    default:
      return config satisfies never;
  }
}
