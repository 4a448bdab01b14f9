/** What an emulator's interrupt controller is told. */
export interface InterruptHost {
  /** The level of the function's interrupt pin changed. */
  setIrq(level: boolean): void;
  /** An MSI-X message: a write of 4 bytes to wherever the guest said. Left out: the function has no MSI-X. */
  msi?(address: number, data: number): void;
}

const TWO_32 = 0x1_0000_0000;

/**
 * Interrupts on their way to the host: handed on at once, or kept until the host says that it can take them. Of what is kept
 * the last level counts, and of each vector one message: whoever takes it looks at all that happened. A pin that falls is
 * never kept: its driver has just read why, and would be interrupted for nothing until it did.
 */
export class InterruptGate {
  private readonly host: InterruptHost;
  private readonly defers: boolean;
  private level = false;
  private told = false;
  /** Vectors with a message that waits, and where it goes: low and high word of the address, and the data. */
  private readonly waiting: Uint8Array;
  private readonly messages: Uint32Array;
  private count = 0;

  constructor(host: InterruptHost, vectors: number, defers: boolean) {
    this.host = host;
    this.defers = defers;
    this.waiting = new Uint8Array(vectors);
    this.messages = new Uint32Array(3 * vectors);
  }

  /** Whether the host has yet to be told something. */
  get isWaiting(): boolean {
    return this.count > 0 || this.level !== this.told;
  }

  setLevel(level: boolean): void {
    this.level = level;
    if (!this.defers || (!level && this.told)) this.tellLevel();
  }

  send(low: number, high: number, data: number, vector: number): void {
    if (!this.defers) {
      this.host.msi?.((high >>> 0) * TWO_32 + (low >>> 0), data >>> 0);
      return;
    }
    const { waiting, messages } = this;
    if (waiting[vector] === 0) this.count++;
    waiting[vector] = 1;
    messages[3 * vector] = low;
    messages[3 * vector + 1] = high;
    messages[3 * vector + 2] = data;
  }

  flush(): void {
    if (this.level !== this.told) this.tellLevel();
    const { waiting, messages } = this;
    for (let vector = 0; this.count > 0 && vector < waiting.length; vector++) {
      if (waiting[vector] === 0) continue;
      waiting[vector] = 0;
      this.count--;
      this.host.msi?.(messages[3 * vector + 1]! * TWO_32 + messages[3 * vector]!, messages[3 * vector + 2]!);
    }
  }

  /** The host's own state was replaced, and the function's with it: what waited was of another life. */
  forget(): void {
    this.waiting.fill(0);
    this.count = 0;
  }

  /** Tell the host the level, whatever it was told before. */
  repeatLevel(): void {
    this.tellLevel();
  }

  private tellLevel(): void {
    this.told = this.level;
    this.host.setIrq(this.level);
  }
}
