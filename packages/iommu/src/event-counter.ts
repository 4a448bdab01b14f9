/** Numbers the events of a run in order: what came before what, and how many events ago, without a clock. */
export class EventCounter {
  /** Number of the latest event; 0 before the first. */
  now = 0;

  /** Count one more event. @returns its number */
  next(): number {
    return ++this.now;
  }
}
