/** One direction of a wire, as the medium sees it that it shares. */
export interface MediumLane {
  /** When its next frame could begin, as far as it is up to the lane: whole ns and parts; NEVER when it has none. */
  startNs: number;
  startPart: number;
  /** Work that out. @param ns,part not before then */
  findStart(ns: number, part: number): void;
  /** It begins. @returns millibits */
  begin(): number;
  /** What began has ended, at `endNs`, a time with its fraction. */
  end(endNs: number): void;
}

export const NEVER: number = Number.POSITIVE_INFINITY;

/**
 * What frames follow one another on: one direction of a wire with full duplex, both with half. Times are exact: whole ns,
 * and parts of one, of which there are as many as the rate has Mbit/s; so frames without a gap never drift.
 *
 * With half duplex nobody begins while somebody sends, and of two that wait the one goes that was not last: there are no
 * collisions.
 */
export class WireMedium {
  /** Mbit/s, a whole number from 1 on. */
  rate = 1;
  /** The last frame's end. */
  ns = 0;
  part = 0;
  private lanes: readonly MediumLane[] = [];
  private owner: MediumLane | undefined = undefined;
  private last: MediumLane | undefined = undefined;

  /** Whose frames it carries from now on. */
  carry(lanes: readonly MediumLane[]): void {
    this.lanes = lanes;
    this.owner = undefined;
    this.last = undefined;
  }

  /** What was on its way is lost; nothing begins before `now`, at the new rate. */
  restart(rate: number, now: number): void {
    this.rate = rate;
    this.owner = undefined;
    this.ns = now;
    this.part = 0;
  }

  /** All that ends up to now has ended, and what may begin has begun. */
  advance(now: number): void {
    for (;;) {
      const { owner } = this;
      if (owner !== undefined) {
        if (isAfter(this.ns, this.part, now)) return;
        this.owner = undefined;
        this.last = owner;
        owner.end(this.ns + this.part / this.rate);
      }
      const next = this.next();
      if (next === undefined || isAfter(next.startNs, next.startPart, now)) return;
      this.owner = next;
      this.ns = next.startNs;
      this.part = next.startPart;
      this.take(next.begin());
    }
  }

  /** When something is to be done next, in whole ns; behind {@link advance}. */
  deadline(): number {
    if (this.owner !== undefined) return ceil(this.ns, this.part);
    const next = this.next();
    return next === undefined ? NEVER : ceil(next.startNs, next.startPart);
  }

  /** When what a lane has begun ends, in whole ns; `now` when it has not. */
  endOf(lane: MediumLane, now: number): number {
    return this.owner === lane ? ceil(this.ns, this.part) : now;
  }

  private take(millibits: number): void {
    const { rate } = this;
    const total = this.part + millibits;
    const whole = Math.floor(total / rate);
    this.ns += whole;
    this.part = total - whole * rate;
  }

  private next(): MediumLane | undefined {
    let first: MediumLane | undefined;
    for (const lane of this.lanes) {
      lane.findStart(this.ns, this.part);
      if (lane.startNs === NEVER) continue;
      if (first === undefined || isEarlier(lane, first, this.last)) first = lane;
    }
    return first;
  }
}

function isAfter(ns: number, part: number, now: number): boolean {
  return ns > now || (ns === now && part > 0);
}

function isEarlier(one: MediumLane, other: MediumLane, last: MediumLane | undefined): boolean {
  if (one.startNs !== other.startNs) return one.startNs < other.startNs;
  if (one.startPart !== other.startPart) return one.startPart < other.startPart;
  return other === last;
}

const ceil = (ns: number, part: number): number => (part > 0 ? ns + 1 : ns);
