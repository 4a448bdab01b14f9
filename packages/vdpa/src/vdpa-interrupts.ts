import type { VdpaDevice } from './vdpa-device.js';

/** Which vector tells of what. */
export interface VdpaVectorPlan {
  readonly config: number;
  readonly queues: readonly { readonly index: number; readonly vector: number }[];
}

/** What an interrupt was about, in the bits that the ISR status has. virtio 1.4 §4.1.4.5 */
const CAUSE = { QUEUE: 1, CONFIG: 2 } as const;

/** A device's callbacks as a driver's interrupts: one vector each, or one line for all. */
export class VdpaInterrupts {
  private readonly device: VdpaDevice;
  private readonly interrupt: (vector?: number) => void;
  private plan: VdpaVectorPlan | undefined = undefined;
  /** By queue, as the plan has them. */
  private readonly vectors: (number | undefined)[] = [];
  /** On the line: what was not asked for yet. */
  private cause = 0;
  private isGone = false;

  constructor(device: VdpaDevice, interrupt: (vector?: number) => void) {
    this.device = device;
    this.interrupt = interrupt;
  }

  /** Nobody is interrupted any more. */
  remove(): void {
    this.isGone = true;
  }

  /** The same for another device, which takes this one's place. */
  on(device: VdpaDevice): VdpaInterrupts {
    const next = new VdpaInterrupts(device, this.interrupt);
    next.cause = this.cause;
    if (this.plan !== undefined) next.map(this.plan);
    return next;
  }

  /** A buffer of a queue was used, or is to be looked for. */
  used(index: number): void {
    this.raise(CAUSE.QUEUE, this.vectors[index]);
  }

  /** The device was reset, and its callbacks with it. */
  forget(): void {
    this.plan = undefined;
    this.cause = 0;
  }

  /** @returns false for a plan with a queue or vector that there is not */
  map(plan: VdpaVectorPlan): boolean {
    const { queueCount } = this.device;
    const isThere = plan.queues.every(({ index, vector }) => index < queueCount && vector <= queueCount);
    if (!isThere || plan.config > queueCount) return false;
    this.plan = plan;
    this.vectors.length = 0;
    this.claimConfig();
    for (const { index, vector } of plan.queues) {
      this.vectors[index] ??= vector;
      this.claim(index);
    }
    return true;
  }

  unmap(): void {
    this.plan = undefined;
  }

  /** Hear of a queue, and of the configuration. */
  claim(index: number): void {
    this.device.setQueueCallback(index, () => this.used(index));
    this.claimConfig();
  }

  takeCause(): number {
    const { cause } = this;
    this.cause = 0;
    return cause;
  }

  private claimConfig(): void {
    this.device.setConfigCallback(() => this.raise(CAUSE.CONFIG, this.plan?.config));
  }

  private raise(cause: number, vector: number | undefined): void {
    if (this.isGone) return;
    if (this.plan !== undefined) {
      if (vector !== undefined) this.interrupt(vector);
      return;
    }
    this.cause |= cause;
    this.interrupt();
  }
}
