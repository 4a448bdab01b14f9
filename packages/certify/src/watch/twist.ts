import { DEVICE_STATUS, FEATURE_WORDS } from '@ringwire/virtio-spec';

/**
 * What a driver is shown in place of what its device says: everything here is something that a device may do, and that
 * few devices do often.
 */
export class Twist {
  /** Feature words that are not offered, whatever the device offers. */
  readonly withheld: Uint32Array = new Uint32Array(FEATURE_WORDS);
  /** Feature words that are offered besides. */
  readonly added: Uint32Array = new Uint32Array(FEATURE_WORDS);
  /** FEATURES_OK does not stick. */
  refusesFeatures = false;
  /** DEVICE_NEEDS_RESET is set, until the driver resets the device. */
  needsReset = false;
  /** Reads of the status after a reset that do not show 0 yet. */
  slowReset = 0;
  /** Bytes of the configuration, by offset. */
  readonly config: Map<number, number> = new Map();
  /** Is told before bytes of the configuration are read. */
  onConfigRead: ((at: number, bytes: number) => void) | undefined = undefined;
  /** Interrupts on the line are also about the configuration, until they were acknowledged. */
  configCause = false;
  private generations = 0;
  private readsUntilReset = 0;
  private before = 0;

  /** The configuration changed: another generation. */
  changeConfig(at: number, bytes: readonly number[]): void {
    for (const [offset, byte] of bytes.entries()) this.config.set(at + offset, byte);
    this.generations++;
  }

  /** The driver resets the device. @param status what it showed last */
  reset(status: number): void {
    this.before = status;
    this.readsUntilReset = status === 0 ? 0 : this.slowReset;
    this.needsReset = false;
    this.configCause = false;
  }

  /** The driver begins anew, whether the reset was seen to end or not. */
  begin(): void {
    this.readsUntilReset = 0;
  }

  status(actual: number): number {
    if (this.readsUntilReset > 0) {
      this.readsUntilReset--;
      return this.before;
    }
    const shown = this.refusesFeatures ? actual & ~DEVICE_STATUS.FEATURES_OK : actual;
    return this.needsReset && actual !== 0 ? shown | DEVICE_STATUS.DEVICE_NEEDS_RESET : shown;
  }

  offered(word: number, actual: number): number {
    if (word >= FEATURE_WORDS) return actual;
    return ((actual & ~this.withheld[word]!) | this.added[word]!) >>> 0;
  }

  generation(actual: number): number {
    return (actual + this.generations) & 0xff;
  }

  configBytes(at: number, bytes: number, actual: number): number {
    this.onConfigRead?.(at, bytes);
    let shown = 0;
    for (let i = bytes - 1; i >= 0; i--) shown = shown * 256 + (this.config.get(at + i) ?? (actual >>> (8 * i)) & 0xff);
    return shown;
  }
}
