import { HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import type { VdpaHost } from '../vdpa-parent.js';

/** Host memory: the add-on's own, then a process's. */
const HOST_BYTES = 0x200_0000;
const PROCESS_BYTES = 0x100_0000;

export const STATION: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);

/** A machine for one test: memory of the host and of one process. */
export class VdpaStage {
  readonly memory: HostMemory = HostMemory.create(HOST_BYTES + PROCESS_BYTES);
  time = 0;
  readonly host: VdpaHost;
  /** All of memory; a process's addresses are host offsets here. */
  readonly space: IdentitySpace;
  readonly processPages: PageAllocator = new PageAllocator(HOST_BYTES, PROCESS_BYTES);
  readonly iovas: PageAllocator = new PageAllocator(0x40_0000_0000, 0x1_0000_0000);

  constructor() {
    this.space = new IdentitySpace(this.memory);
    this.host = { memory: this.memory, pages: new PageAllocator(0, HOST_BYTES), now: () => this.time };
  }
}

/** A frame to the station, of bytes that depend on `seed`. */
export function frameOf(length: number, seed: number): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, at) => (at * 7 + seed * 13 + (at >> 3)) & 0xff);
  frame.set(STATION);
  frame.set([2, 0, 0, 0, 0, 2], 6);
  frame.set([0x08, 0x00], 12);
  return frame;
}
