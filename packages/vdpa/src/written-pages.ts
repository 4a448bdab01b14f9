import type { HostMemory } from '@ringwire/guest-memory';
import type { HostRange } from './vdpa-device.js';

const PAGE_SHIFT = 12;
const PAGE_BYTES = 4096;

/** Pages of host memory that were written: one bit for each. */
export class WrittenPages {
  private readonly words: Uint32Array;

  constructor(memory: HostMemory) {
    this.words = new Uint32Array(Math.ceil(memory.size / (32 * PAGE_BYTES)));
  }

  note(host: number, bytes: number): void {
    if (bytes === 0) return;
    const last = (host + bytes - 1) >>> PAGE_SHIFT;
    for (let page = host >>> PAGE_SHIFT; page <= last; page++) this.words[page >>> 5]! |= 1 << (page & 31);
  }

  /** Take the notes, pages that follow one another in one range. */
  take(): HostRange[] {
    const ranges: { host: number; bytes: number }[] = [];
    let end = -1;
    for (const [at, word] of this.words.entries()) {
      if (word === 0) continue;
      this.words[at] = 0;
      for (let bit = 0; bit < 32; bit++) {
        if (((word >>> bit) & 1) === 0) continue;
        const host = (at * 32 + bit) * PAGE_BYTES;
        if (host === end) ranges.at(-1)!.bytes += PAGE_BYTES;
        else ranges.push({ host, bytes: PAGE_BYTES });
        end = host + PAGE_BYTES;
      }
    }
    return ranges;
  }
}
