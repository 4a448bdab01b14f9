import { GuestMemory } from '@ringwire/guest-memory';
import { close, newMemoryFile, SystemError, sealSize } from '@ringwire/linux';
import type { Mapping, PeerMemory } from '@ringwire/peer-memory';
import { VirtioError } from '@ringwire/virtio-spec';

/** One stretch of RAM. */
export interface RamRegion {
  /** First guest-physical address, a multiple of the page size. */
  readonly gpa: number;
  /** Bytes, a multiple of the page size. */
  readonly size: number;
}

/** A stretch of RAM, and the file that it is. */
export interface SharedRegion extends RamRegion {
  readonly fd: number;
  readonly mapping: Mapping;
}

/**
 * A guest's RAM that a back-end can be given: a file in memory for each region, laid over the host memory. Guest-physical
 * addresses are also what the back-end knows the regions by: it learns nothing of this process's own.
 */
export class SharedRam {
  readonly space: GuestMemory;
  readonly regions: readonly SharedRegion[];
  private readonly peer: PeerMemory;

  /**
   * @param peer stretch of host memory that is free
   * @param huge of huge pages of the default size: regions are multiples of it then
   * @throws VirtioError for regions that there is no room for or no pages; nothing is left of them then
   */
  constructor(peer: PeerMemory, regions: readonly RamRegion[], huge = false) {
    this.peer = peer;
    const made: SharedRegion[] = [];
    this.regions = made;
    try {
      for (const { gpa, size } of regions) made.push({ gpa, size, ...share(peer, size, huge) });
      this.space = new GuestMemory(
        peer.memory,
        made.map(({ gpa, size, mapping }) => ({ gpa, size, host: mapping.host })),
      );
    } catch (mistake) {
      this.close();
      throw mistake;
    }
  }

  /** Let go of all of it; a back-end may have it mapped still. */
  close(): void {
    for (const { fd, mapping } of this.regions) {
      this.peer.unmap(mapping);
      close(fd);
    }
  }
}

function share(peer: PeerMemory, size: number, huge: boolean): { fd: number; mapping: Mapping } {
  const refuse = (why: string): VirtioError =>
    new VirtioError('size', size, `memory that can be shared: ${why}`, 'SharedRam');
  let fd: number;
  try {
    fd = newMemoryFile('ringwire-ram', size, huge);
    // Whoever gets it could else cut it short, and every access behind its end would end this process.
    sealSize(fd);
  } catch (error) {
    if (error instanceof SystemError) throw refuse(error.message);
    throw error;
  }
  const mapping = peer.map(fd, 0, size);
  if (typeof mapping !== 'string') return { fd, mapping };
  close(fd);
  throw refuse(mapping);
}
