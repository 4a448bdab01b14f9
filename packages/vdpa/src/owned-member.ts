import type { QueueState } from '@ringwire/virtqueue';
import { memberParts, positionIn, typePartsIn, type VpMember } from './member-parts.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

const NO_PARTS = new Uint8Array(0);

/** A function that its owner stops, and gives the parts that registers do not have: positions, and what commands made. */
export class OwnedMember {
  isStopped = false;
  /** Parts of its type that it is to have once it starts. */
  typeParts: Uint8Array = NO_PARTS;
  /** Where queues are to go on once they start. */
  readonly positions: Map<number, QueueState> = new Map();
  private readonly member: VpMember;

  constructor(member: VpMember) {
    this.member = member;
  }

  /** Whether it is to start elsewhere than at the start. */
  get isStaged(): boolean {
    return this.positions.size > 0 || this.typeParts.length > 0;
  }

  stop(): VdpaOutcome {
    if (!this.member.stop()) return VDPA.BUSY;
    this.isStopped = true;
    return VDPA.OK;
  }

  resume(): VdpaOutcome {
    if (!this.member.resume()) return VDPA.BUSY;
    this.isStopped = false;
    return VDPA.OK;
  }

  /** Act on it while it touches nothing; then it is stopped, or goes on, as before. */
  whileStopped(act: () => VdpaOutcome): VdpaOutcome {
    const { member, isStopped } = this;
    if (!isStopped && !member.stop()) return VDPA.BUSY;
    const outcome = act();
    const isAsBefore = isStopped || member.resume();
    return outcome === VDPA.OK && !isAsBefore ? VDPA.INVALID : outcome;
  }

  /** While stopped: everything that was staged, and nothing is any more. @returns false for parts that are refused */
  giveAll(): boolean {
    const parts = memberParts(this.typeParts, this.positions);
    this.forget();
    return this.member.setParts(parts);
  }

  /** While stopped: one queue's position. @returns false for one that is refused, and stays staged */
  givePosition(index: number, position: QueueState): boolean {
    const isTaken = this.member.setParts(memberParts(NO_PARTS, new Map([[index, position]])));
    if (isTaken) this.positions.delete(index);
    return isTaken;
  }

  /** Nothing is staged. */
  forget(): void {
    this.positions.clear();
    this.typeParts = NO_PARTS;
  }

  /** While stopped: where it stands in a queue, by its parts. */
  positionOf(index: number, isPacked: boolean): QueueState | undefined {
    const parts = this.member.parts();
    return parts === undefined ? undefined : positionIn(parts, index, isPacked);
  }

  /** What commands made of it, by its parts. */
  typePartsNow(): Uint8Array | undefined {
    const parts = this.member.parts();
    return parts === undefined ? undefined : typePartsIn(parts);
  }
}
