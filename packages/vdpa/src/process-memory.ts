import { ACCESS, type AddressSpace, type PageAllocator, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA, vdpaOutcomeName } from './vdpa-outcome.js';

/**
 * Memory of a process, such as a container's, that its driver shows to a vDPA device page by page: the `DmaMapping` of
 * `@ringwire/guest-drivers`. The device reaches what is mapped, and nothing else of the process.
 */
export class ProcessMemory {
  private readonly device: VdpaDevice;
  private readonly asid: number;
  private readonly space: AddressSpace;
  private readonly iovas: PageAllocator;
  private isClosed = false;

  /**
   * @param space the process's addresses
   * @param iovas the device's, to be handed out
   */
  constructor(device: VdpaDevice, asid: number, space: AddressSpace, iovas: PageAllocator) {
    this.device = device;
    this.asid = asid;
    this.space = space;
    this.iovas = iovas;
  }

  /** The device is somebody else's: nothing is mapped any more, and nothing of it is touched. */
  close(): void {
    this.isClosed = true;
  }

  /** @throws VirtioError for what is no memory of the process, or finds no room */
  map(address: number, bytes: number): number {
    const ranges = new RangeList();
    if (this.isClosed) throw new VirtioError('address', address, 'a device that is still there', 'ProcessMemory');
    if (!this.space.resolveRanges(address, bytes, ACCESS.READ | ACCESS.WRITE, ranges))
      throw new VirtioError('address', address, `${bytes} bytes of the process`, 'ProcessMemory');
    const iova = this.iovas.allocate(bytes);
    let at = iova;
    for (let range = 0; range < ranges.count; range++) {
      const length = ranges.length[range]!;
      const mapping = { iova: at, bytes: length, host: ranges.offset[range]!, access: ACCESS.READ | ACCESS.WRITE };
      const outcome = this.device.map(this.asid, mapping);
      if (outcome !== VDPA.OK) {
        if (at > iova) this.device.unmap(this.asid, iova, at - iova);
        this.iovas.free(iova);
        throw new VirtioError('address', address, `room in the device: ${vdpaOutcomeName(outcome)}`, 'ProcessMemory');
      }
      at += length;
    }
    return iova;
  }

  /** When it returns, the device does not reach the pages any more. @throws VirtioError within a burst of the device */
  unmap(iova: number, bytes: number): void {
    const outcome = this.isClosed ? VDPA.OK : this.device.unmap(this.asid, iova, bytes);
    if (outcome !== VDPA.OK)
      throw new VirtioError('iova', iova, `unmapped: ${vdpaOutcomeName(outcome)}`, 'ProcessMemory');
    this.iovas.free(iova);
  }
}
