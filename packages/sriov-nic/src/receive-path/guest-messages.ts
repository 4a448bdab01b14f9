import type { InterruptSteering } from './interrupt-steering.js';
import type { ReceiveTrace } from './receive-trace.js';

/** Whose messages, and where to. */
export interface GuestMessagesOptions {
  readonly guest: string;
  /** Where the guest runs. */
  readonly core: number;
  readonly steering: InterruptSteering;
  readonly trace?: ReceiveTrace;
  /** The guest takes an interrupt. @param vector of the function that it was given */
  readonly interrupt: (routingId: number, vector: number) => void;
}

/**
 * Messages of functions that a guest was given, on their way to it. The host takes each and makes the guest take an interrupt,
 * unless the vector is posted: then it never sees it.
 */
export class GuestMessages {
  private readonly options: GuestMessagesOptions;

  constructor(options: GuestMessagesOptions) {
    this.options = options;
  }

  /** For `FunctionGuest.message`. */
  message(routingId: number, vector: number): void {
    const { guest, core, steering, trace, interrupt } = this.options;
    if (!steering.isPosted(routingId, vector)) trace?.virtualInterrupt(guest, core);
    interrupt(routingId, vector);
  }
}
