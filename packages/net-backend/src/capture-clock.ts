/**
 * The time for a capture's timestamps, in µs; fractions count. It may start anywhere: what it shows at the beginning is
 * added to the capture's start time.
 */
export type CaptureClock = () => number;

/** One time as both capture formats want it; reused. */
export class Timestamp {
  /** Whole seconds since 1970. */
  seconds = 0;
  /** 0 … 999,999,999 */
  nanoseconds = 0;
  /** ns since 1970, as two words. */
  high = 0;
  low = 0;

  /**
   * @param startSeconds whole seconds since 1970 at the clock's 0
   * @param micros       what the clock shows
   */
  set(startSeconds: number, micros: number): void {
    const whole = Math.floor(micros / 1e6);
    const nanoseconds = Math.min(Math.floor((micros - whole * 1e6) * 1000), 999_999_999);
    this.seconds = startSeconds + whole;
    this.nanoseconds = nanoseconds;
    // seconds * 10^9 needs 61 bits: in two halves, each exact.
    const upper = Math.floor(this.seconds / 0x1_0000) * 1e9;
    const rest = (upper % 0x1_0000) * 0x1_0000 + (this.seconds % 0x1_0000) * 1e9 + nanoseconds;
    this.low = rest % 0x1_0000_0000;
    this.high = Math.floor(upper / 0x1_0000) + Math.floor(rest / 0x1_0000_0000);
  }
}
