import { ACCESS, type AddressSpace, type HostMemory, type PageAllocator, type RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';

/** Memory that a driver shares with its device. Its addresses are those that the device uses. */
export interface DmaMemory {
  /** Where the driver itself finds the bytes of such an address. */
  readonly space: AddressSpace;
  /** Whole pages, contiguous for the device. @throws VirtioError when there is no room */
  allocate(bytes: number): number;
  free(address: number): void;
}

/** What an IOMMU's owner gives a driver: addresses of its device for guest-physical pages. */
export interface DmaMapping {
  /** Make pages reachable for reading and writing. @returns the first address for the device, a multiple of 4096 */
  map(gpa: number, bytes: number): number;
  /** Take it back; when this returns, the device does not reach the pages any more. */
  unmap(address: number, bytes: number): void;
}

/**
 * Pages of a guest's RAM as memory for a driver.
 * @param mapping left out where the device uses guest-physical addresses
 */
export function guestDma(space: AddressSpace, pages: PageAllocator, mapping?: DmaMapping): DmaMemory {
  if (mapping !== undefined) return new MappedDma(space, pages, mapping);
  return { space, allocate: (bytes) => pages.allocate(bytes), free: (address) => pages.free(address) };
}

/** @returns the host offset of memory that the driver writes and reads. @throws VirtioError when it is in several pieces */
export function hostOffset(dma: DmaMemory, address: number, bytes: number): number {
  const offset = dma.space.resolve(address, bytes, ACCESS.READ | ACCESS.WRITE);
  if (offset >= 0) return offset;
  throw new VirtioError('address', address, `${bytes} bytes in one piece of host memory`, 'DmaMemory');
}

interface Mapped {
  readonly address: number;
  readonly bytes: number;
  readonly gpa: number;
}

const PAGE = 4096;

/** Device addresses are IOVAs here; the driver finds its bytes by the list of what it mapped. */
class MappedDma implements DmaMemory, AddressSpace {
  readonly space: AddressSpace = this;
  readonly memory: HostMemory;
  private readonly guest: AddressSpace;
  private readonly pages: PageAllocator;
  private readonly mapping: DmaMapping;
  private readonly mapped: Map<number, Mapped> = new Map();

  constructor(guest: AddressSpace, pages: PageAllocator, mapping: DmaMapping) {
    this.guest = guest;
    this.memory = guest.memory;
    this.pages = pages;
    this.mapping = mapping;
  }

  allocate(bytes: number): number {
    const gpa = this.pages.allocate(bytes);
    const whole = Math.ceil(bytes / PAGE) * PAGE;
    const address = this.mapping.map(gpa, whole);
    this.mapped.set(address, { address, bytes: whole, gpa });
    return address;
  }

  free(address: number): void {
    const known = this.mapped.get(address);
    if (known === undefined) throw new VirtioError('address', address, 'the address of an allocation', 'DmaMemory');
    this.mapping.unmap(address, known.bytes);
    this.mapped.delete(address);
    this.pages.free(known.gpa);
  }

  enter(): number {
    return this.guest.enter();
  }

  leave(): void {
    this.guest.leave();
  }

  resolve(address: number, length: number, access: number): number {
    return this.guest.resolve(this.gpaOf(address, length), length, access);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    return this.guest.resolveRanges(this.gpaOf(address, length), length, access, ranges);
  }

  /** @returns -1, which no space resolves, unless all bytes are of one allocation */
  private gpaOf(address: number, length: number): number {
    for (const run of this.mapped.values()) {
      const at = address - run.address;
      if (at >= 0 && at + length <= run.bytes) return run.gpa + at;
    }
    return -1;
  }
}
