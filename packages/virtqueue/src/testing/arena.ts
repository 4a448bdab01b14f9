import { formatChange, GuardedGuest, type GuestRange, type MemorySnapshot } from '@ringwire/guest-memory/testing';

const CELL = 32;
const HALF = 0x1000;
const GIB_4 = 2 ** 32;
/** Room for rings and tables, below and above 4 GiB. */
const RINGS = [0x1000, 7 * GIB_4] as const;
const RINGS_BYTES = 0x3000;
/** Room for buffers: two halves each that are neighbours for the guest and apart in host memory. */
const POOLS = [0x1_0000, 5 * GIB_4 + 0x1000] as const;

/** A run of guest bytes that belongs to one buffer. */
export interface Element {
  readonly address: number;
  readonly length: number;
}

/** Made once: WebAssembly memories are few. */
const guest: GuardedGuest = new GuardedGuest(
  [
    ...RINGS.map((gpa) => ({ gpa, size: RINGS_BYTES })),
    ...POOLS.flatMap((gpa) => [
      { gpa, size: HALF },
      { gpa: gpa + HALF, size: HALF },
    ]),
  ],
  { guard: 256 },
);

/**
 * Guest memory for random buffers, several regions of it and some above 4 GiB, with an image of what all of its bytes
 * have to be: whatever else changes them is found out.
 */
export class Arena {
  readonly guest: GuardedGuest = guest;
  /** First address of the rings. */
  readonly rings: number;
  private readonly images: readonly Uint8Array[] = POOLS.map(() => new Uint8Array(2 * HALF));
  private readonly taken: readonly Uint8Array[] = POOLS.map(() => new Uint8Array((2 * HALF) / CELL));
  private readonly start: MemorySnapshot;

  constructor(isHigh: boolean) {
    this.rings = RINGS[isHigh ? 1 : 0];
    for (const gpa of RINGS) guest.write(gpa, new Uint8Array(RINGS_BYTES));
    for (const gpa of POOLS) guest.write(gpa, new Uint8Array(2 * HALF));
    this.start = guest.snapshot();
  }

  /**
   * Find bytes that no other buffer has, near to where `seed` says; one in eight lies over the seam of two regions.
   * @returns undefined when there is no room
   */
  allocate(length: number, seed: number): Element | undefined {
    const pool = seed & 1;
    const taken = this.taken[pool]!;
    const cells = Math.ceil(length / CELL);
    const wanted = (seed & 0xe) === 0 && cells > 1 ? HALF / CELL - 1 : (seed >>> 4) % taken.length;
    for (let tried = 0; tried < taken.length; tried++) {
      const first = (wanted + tried) % taken.length;
      if (first + cells > taken.length || taken.subarray(first, first + cells).includes(1)) continue;
      taken.fill(1, first, first + cells);
      const slack = (seed >>> 3) % (cells * CELL - length + 1);
      return { address: POOLS[pool]! + first * CELL + slack, length };
    }
    return undefined;
  }

  release(elements: readonly Element[]): void {
    for (const { address, length } of elements) {
      const [pool, at] = this.place(address);
      const first = Math.floor(at / CELL);
      this.taken[pool]!.fill(0, first, first + Math.ceil(length / CELL));
    }
  }

  /** The driver's own writes: memory and image alike. */
  write({ address, length }: Element, bytes: Uint8Array): void {
    this.guest.write(address, bytes.subarray(0, length));
    this.expect({ address, length }, bytes);
  }

  /** Bytes that the device has to have written. */
  expect({ address, length }: Element, bytes: Uint8Array): void {
    const [pool, at] = this.place(address);
    this.images[pool]!.set(bytes.subarray(0, length), at);
  }

  read({ address, length }: Element): Uint8Array {
    return this.guest.read(address, length);
  }

  /** Everything that is not as it has to be; only the given ring parts may be anything. */
  damage(ringParts: readonly GuestRange[]): string[] {
    const pools = POOLS.map((gpa) => ({ gpa, length: 2 * HALF }));
    const stray = this.guest.changesOutside(this.start, [...ringParts, ...pools]).map(formatChange);
    POOLS.forEach((gpa, pool) => {
      const image = this.images[pool]!;
      const now = this.guest.read(gpa, 2 * HALF);
      const at = now.findIndex((byte, index) => byte !== image[index]);
      if (at >= 0) stray.push(`0x${(gpa + at).toString(16)}: ${image[at]} wanted, ${now[at]} there`);
    });
    return stray;
  }

  private place(address: number): [pool: number, at: number] {
    const pool = POOLS.findIndex((gpa) => address >= gpa && address < gpa + 2 * HALF);
    return [pool, address - POOLS[pool]!];
  }
}
