/**
 * The device-specific configuration as a driver reads it, and its version. @see virtio 1.4 §2.5
 *
 * The version changes with the first read after a change, not with the change: a generation of 8 bits cannot come back to
 * the same value between two of a driver's own reads then (virtio 1.4 §4.1.4.3.1).
 */
export class ConfigSpace {
  /** 32 bits; PCI shows the low 8. */
  generation = 0;
  private readonly live: Uint8Array;
  private changed = false;
  /** What a suspended device shows: nothing of it changes. virtio 1.4 §3.4.2 */
  private frozen: Uint8Array | undefined;
  private changedWhileFrozen = false;

  /** @param live the bytes as the device type changes them */
  constructor(live: Uint8Array) {
    this.live = live;
  }

  get length(): number {
    return this.live.length;
  }

  /** @param bytes 1 to 4. @returns them as a little-endian number, zeros past the end */
  read(at: number, bytes: number): number {
    if (this.changed) {
      this.changed = false;
      this.generation = (this.generation + 1) >>> 0;
    }
    const from = this.frozen ?? this.live;
    let value = 0;
    for (let byte = 0; byte < bytes; byte++) value |= (from[at + byte] ?? 0) << (8 * byte);
    return value >>> 0;
  }

  /** The live bytes changed. @returns false while the driver is not to be told */
  markChanged(): boolean {
    if (this.frozen === undefined) {
      this.changed = true;
      return true;
    }
    this.changedWhileFrozen = true;
    return false;
  }

  /** Show what there is now until {@link thaw}. */
  freeze(): void {
    this.frozen = this.live.slice();
    this.changedWhileFrozen = false;
  }

  /** Show the live bytes again. @returns whether the driver is to be told of a change */
  thaw(): boolean {
    const changed = this.frozen !== undefined && this.changedWhileFrozen;
    this.frozen = undefined;
    if (changed) this.changed = true;
    return changed;
  }
}
