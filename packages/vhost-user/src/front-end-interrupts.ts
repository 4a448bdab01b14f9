import { CAUSE, type VectorPlan } from '@ringwire/guest-drivers';

/** Interrupts on their way to the driver: vectors where they were mapped, one line otherwise. */
export class FrontEndInterrupts {
  /** Undefined for the line. */
  plan: VectorPlan | undefined = undefined;
  /** The configuration changed. */
  hasConfig = false;
  /** Queues with used buffers. */
  readonly queues: Set<number> = new Set();
  private cause = 0;

  get isDue(): boolean {
    return this.hasConfig || this.queues.size > 0;
  }

  /** What the line was about, once. */
  takeCause(): number {
    const { cause } = this;
    this.cause = 0;
    return cause;
  }

  clear(): void {
    this.hasConfig = false;
    this.queues.clear();
    this.cause = 0;
  }

  /** Hand on what is due, each vector once. */
  deliver(to: (vector: number) => void): void {
    if (!this.isDue) return;
    const { plan, hasConfig } = this;
    const queues = new Set(this.queues);
    this.queues.clear();
    this.hasConfig = false;
    if (plan === undefined) {
      this.cause |= (queues.size > 0 ? CAUSE.QUEUE : 0) | (hasConfig ? CAUSE.CONFIG : 0);
      to(0);
      return;
    }
    const vectors = new Set(plan.queues.flatMap(({ index, vector }) => (queues.has(index) ? [vector] : [])));
    if (hasConfig) vectors.add(plan.config);
    for (const vector of vectors) to(vector);
  }
}
