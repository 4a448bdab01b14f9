/** Queues that are to be seen to, each at most once, in the order they came: memory is bounded by queues, not by events. */
export class PendingQueues {
  private readonly order: Uint16Array;
  private readonly waiting: Uint8Array;
  private head = 0;
  private count = 0;

  constructor(queues: number) {
    this.order = new Uint16Array(Math.max(1, queues));
    this.waiting = new Uint8Array(this.order.length);
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  add(queue: number): void {
    if (this.waiting[queue] !== 0) return;
    this.waiting[queue] = 1;
    this.order[(this.head + this.count) % this.order.length] = queue;
    this.count++;
  }

  has(queue: number): boolean {
    return this.waiting[queue] === 1;
  }

  /** @returns the oldest queue, or -1 */
  take(): number {
    if (this.count === 0) return -1;
    const queue = this.order[this.head]!;
    this.head = (this.head + 1) % this.order.length;
    this.count--;
    this.waiting[queue] = 0;
    return queue;
  }

  clear(): void {
    while (this.take() >= 0);
  }
}
