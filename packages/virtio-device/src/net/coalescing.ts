/**
 * virtio 1.4 §5.1.9.5.10 Notifications Coalescing, of one queue: a used buffer notification that the driver wants waits
 * until enough packets were used or the first of them is old enough. Used buffers themselves are visible at once.
 */
export class Coalescing {
  maxPackets = 0;
  maxUsecs = 0;
  /** Packets since the last notification, the first one's time in µs, and whether the driver wanted to know of any. */
  private packets = 0;
  private since = 0;
  private owed = false;

  /** Whether notifications wait at all. */
  get active(): boolean {
    return this.maxPackets !== 0 && this.maxUsecs !== 0;
  }

  set(maxPackets: number, maxUsecs: number): void {
    this.maxPackets = maxPackets;
    this.maxUsecs = maxUsecs;
  }

  /** The queue starts anew: nothing is owed for what it was before. */
  restart(): void {
    this.packets = 0;
    this.owed = false;
  }

  /**
   * Packets became used.
   * @param wanted what `publishUsed` said
   * @returns whether to notify now
   */
  used(packets: number, wanted: boolean, now: number): boolean {
    if (this.packets === 0) this.since = now;
    this.packets += packets;
    if (wanted) this.owed = true;
    return this.due(now);
  }

  /** Whether to notify now, also because time passed or the parameters changed; true once. */
  due(now: number): boolean {
    if (this.packets === 0) return false;
    if (this.active && this.packets < this.maxPackets && now - this.since < this.maxUsecs) return false;
    const owed = this.owed;
    this.restart();
    return owed;
  }

  /** When {@link due} will be true at the latest, Infinity when nothing is owed. */
  deadline(): number {
    return this.owed ? this.since + this.maxUsecs : Number.POSITIVE_INFINITY;
  }
}
