import type { Mapping } from './domain.js';
import type { Pin } from './pin-map.js';

/** One mapping as it was asked for, and what holds its memory. */
export interface PinnedMapping extends Mapping {
  readonly pin: Pin;
}

/** Mappings by address, none of which overlaps another. */
export class MappingList {
  private readonly sorted: PinnedMapping[] = [];

  get all(): readonly PinnedMapping[] {
    return this.sorted;
  }

  /** Whether any byte of the range is in a mapping. */
  overlaps(iova: number, bytes: number): boolean {
    const next = this.sorted[this.indexOf(iova)];
    return next !== undefined && next.iova < iova + bytes;
  }

  /** Whether the range begins or ends inside a mapping. */
  splits(iova: number, bytes: number): boolean {
    const first = this.sorted[this.indexOf(iova)];
    if (first !== undefined && first.iova < iova) return true;
    const last = this.sorted[this.indexOf(iova + bytes)];
    return last !== undefined && last.iova < iova + bytes;
  }

  /** The mappings of a range that splits none. */
  within(iova: number, bytes: number): readonly PinnedMapping[] {
    return this.sorted.slice(this.indexOf(iova), this.indexOf(iova + bytes));
  }

  insert(mapping: PinnedMapping): void {
    this.sorted.splice(this.indexOf(mapping.iova), 0, mapping);
  }

  /** Take the mappings of a range that splits none out. */
  take(iova: number, bytes: number): PinnedMapping[] {
    const first = this.indexOf(iova);
    return this.sorted.splice(first, this.indexOf(iova + bytes) - first);
  }

  takeAll(): PinnedMapping[] {
    return this.sorted.splice(0);
  }

  /** Index of the first mapping that ends behind an address. */
  private indexOf(address: number): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { iova, bytes } = this.sorted[middle]!;
      if (iova + bytes <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
