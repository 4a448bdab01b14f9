type Handler = (first: unknown, second: unknown) => void;

/**
 * Stands between a driver and its user's event handlers: one that throws stops nothing midway. The driver finishes what it
 * is at, rings and buffers included, and lets out what was thrown when its own state is whole.
 */
export class EventGuard<Events extends object> {
  /** The handlers to be called in place of the user's. */
  readonly events: Events;
  private mistake: { readonly thrown: unknown } | undefined = undefined;

  /**
   * @param events of the user, taken as they are now; each has two arguments at most
   * @param names  of all that there may be
   */
  constructor(events: Events, names: Readonly<Record<keyof Events, true>>) {
    const guarded: Record<string, Handler> = {};
    for (const name of Object.keys(names)) {
      const handler: unknown = events[name as keyof Events];
      if (typeof handler !== 'function') continue;
      guarded[name] = (first, second) => {
        try {
          handler.call(events, first, second);
        } catch (thrown) {
          this.mistake ??= { thrown };
        }
      };
    }
    this.events = guarded as Events;
  }

  /** Do something that is not to stop what comes behind it. */
  attempt(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.mistake ??= { thrown };
    }
  }

  /** Let out what was thrown first since this was last called, if anything was. */
  rethrow(): void {
    const { mistake } = this;
    this.mistake = undefined;
    if (mistake !== undefined) throw mistake.thrown;
  }
}
