/** An event between two sides of one thread, as an eventfd is between processes: one signals, one listens. */
export class EventNotifier {
  /** Signals that nobody has taken. */
  pending = 0;
  private listener: (() => void) | undefined = undefined;

  signal(): void {
    this.pending++;
    this.listener?.();
  }

  /** @returns whether anything was signalled since the last time */
  take(): boolean {
    const was = this.pending > 0;
    this.pending = 0;
    return was;
  }

  /** @param listener called at each signal; undefined takes it away. It is called at once for what was signalled before */
  listen(listener: (() => void) | undefined): void {
    this.listener = listener;
    if (this.pending > 0) listener?.();
  }
}
