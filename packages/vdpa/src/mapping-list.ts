import type { VdpaMapping } from './vdpa-device.js';

/** Disjoint mappings in order of address. */
export class MappingList {
  private list: VdpaMapping[] = [];

  get all(): readonly VdpaMapping[] {
    return this.list;
  }

  /** Whether a byte of the range is mapped. */
  overlaps(iova: number, bytes: number): boolean {
    const at = this.firstFrom(iova);
    return at < this.list.length && this.list[at]!.iova < iova + bytes;
  }

  /** Add one that {@link overlaps} nothing. */
  add(mapping: VdpaMapping): void {
    this.list.splice(this.firstFrom(mapping.iova), 0, { ...mapping });
  }

  /** Take a range out. @returns what of it was mapped, in order */
  cut(iova: number, bytes: number): VdpaMapping[] {
    const end = iova + bytes;
    const from = this.firstFrom(iova);
    let to = from;
    while (to < this.list.length && this.list[to]!.iova < end) to++;
    const hit = this.list.slice(from, to);
    const rest = hit.flatMap((mapping) => [
      ...part(mapping, mapping.iova, iova),
      ...part(mapping, end, mapping.iova + mapping.bytes),
    ]);
    this.list.splice(from, to - from, ...rest);
    return hit.flatMap((mapping) =>
      part(mapping, Math.max(iova, mapping.iova), Math.min(end, mapping.iova + mapping.bytes)),
    );
  }

  clear(): VdpaMapping[] {
    const all = this.list;
    this.list = [];
    return all;
  }

  /** Index of the first mapping that ends behind an address. */
  private firstFrom(iova: number): number {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { iova: start, bytes } = this.list[middle]!;
      if (start + bytes > iova) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** What a mapping has of `start` ≤ address < `end`; nothing when that is empty. */
function part({ iova, host, access }: VdpaMapping, start: number, end: number): VdpaMapping[] {
  return start < end ? [{ iova: start, bytes: end - start, host: host + start - iova, access }] : [];
}
