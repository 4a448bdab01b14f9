import type { QueueSetup } from '@ringwire/guest-drivers';
import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { type PollSet, takeEvent } from '@ringwire/linux';
import { VIRTQ_USED } from '@ringwire/virtio-spec';
import { InflightArea } from './front-end-inflight.js';
import type { BackEndLink } from './front-end-link.js';
import { FrontEndRing } from './front-end-ring.js';

/** A packed ring at its start: position 0 and wrap counter 1, for available and for used descriptors. */
const PACKED_START = 0x8000_8000;

/** The data queues of one driver, from one reset to the next, through all connections that they see. */
export class FrontEndRings {
  private readonly space: AddressSpace;
  private readonly rings: Map<number, FrontEndRing> = new Map();
  private readonly inflight: InflightArea = new InflightArea();
  /** Positions of rings that were taken back in order. */
  private readonly bases: Map<number, number> = new Map();

  /** @param space the driver's memory */
  constructor(space: AddressSpace) {
    this.space = space;
  }

  get indexes(): readonly number[] {
    return [...this.rings.keys()];
  }

  has(index: number): boolean {
    return this.rings.has(index);
  }

  /** Tell the back-end of one more ring. @returns why it does not take it */
  add(link: BackEndLink, index: number, setup: QueueSetup, isPacked: boolean): string | undefined {
    const ring = new FrontEndRing(index, setup);
    const why = ring.place(link, isPacked ? PACKED_START : 0);
    if (why === undefined) this.rings.set(index, ring);
    else ring.close();
    return why;
  }

  /** Start all of them, and switch the first pair on: others are when the driver says so. @see virtio 1.4 §5.1.9.5.6.1 */
  start(link: BackEndLink): string | undefined {
    const rings = [...this.rings.values()];
    const largest = Math.max(0, ...rings.map(({ setup }) => setup.size));
    let why = link.has('INFLIGHT_SHMFD') ? this.inflight.make(link, rings.length, largest) : undefined;
    for (const ring of rings) why ??= ring.start(link);
    return why ?? this.setPairs(link, 1);
  }

  /** Switch the rings of so many pairs on and the others off. Without a back-end it is done when there is one. */
  setPairs(link: BackEndLink | undefined, pairs: number): string | undefined {
    let why: string | undefined;
    for (const ring of this.rings.values()) {
      const isWanted = ring.index < 2 * pairs;
      if (ring.isEnabled !== isWanted) why ??= ring.enable(link, isWanted);
    }
    return why;
  }

  notify(index: number): void {
    this.rings.get(index)?.notify();
  }

  /** Take all of them back. @param keeps keep their positions, for {@link restore} */
  stop(link: BackEndLink, keeps: boolean): void {
    for (const ring of this.rings.values()) {
      const base = ring.stop(link);
      if (keeps && typeof base === 'number') this.bases.set(ring.index, base);
    }
  }

  /** Whether another back-end can go on with all of them. */
  get canRestore(): boolean {
    return [...this.rings.values()].every((ring) => this.positionOf(ring) >= 0);
  }

  /** Give another back-end what the one before had. */
  restore(link: BackEndLink): string | undefined {
    let why: string | undefined;
    const rings = [...this.rings.values()];
    for (const ring of rings) {
      const position = this.positionOf(ring);
      why ??= position < 0 ? `ring ${ring.index} is not as its driver made it` : ring.place(link, position);
    }
    why ??= this.inflight.give(link);
    for (const ring of rings) why ??= ring.start(link);
    for (const ring of rings) if (ring.isEnabled) why ??= ring.enable(link, true);
    this.bases.clear();
    // What was made available meanwhile was notified of to nobody.
    for (const ring of rings) ring.notify();
    return why;
  }

  /** Let go of all of them. */
  clear(): void {
    for (const ring of this.rings.values()) ring.close();
    this.rings.clear();
    this.bases.clear();
    this.inflight.forget();
  }

  watch(set: PollSet): void {
    for (const { call, err } of this.rings.values()) {
      set.add(call);
      set.add(err);
    }
  }

  /** Take call events. @param due gets the queues that there were some for @returns the queue that is in error, or -1 */
  takeCalls(due: Set<number>): number {
    let inError = -1;
    for (const { index, call, err } of this.rings.values()) {
      if (takeEvent(call)) due.add(index);
      if (takeEvent(err)) inError = index;
    }
    return inError;
  }

  /** Where a ring stands, for SET_VRING_BASE; -1 where nobody can go on with it. */
  private positionOf(ring: FrontEndRing): number {
    return this.bases.get(ring.index) ?? (ring.setup.progress === undefined ? this.usedIndex(ring) : this.packed(ring));
  }

  /** Where a split ring that was not taken back in order stands: what is used is over, the rest is done again. */
  private usedIndex({ setup }: FrontEndRing): number {
    const at = this.space.resolve(setup.device + VIRTQ_USED.idx, 2, ACCESS.READ);
    return at < 0 ? 0 : this.space.memory.view.getUint16(at, true);
  }

  /** The same of a packed ring. What used descriptors were written over only the area of what is in flight has. */
  private packed({ index, setup }: FrontEndRing): number {
    const { position, isWhole } = setup.progress!();
    if (position < 0 || !(isWhole || this.inflight.goesWith(index, position))) return -1;
    return position * 0x1_0001;
  }
}
