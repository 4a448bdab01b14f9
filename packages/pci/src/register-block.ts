import { VirtioError } from '@ringwire/virtio-spec';

/** Which bits of a register software can change: plainly, by writing 1 to clear, and which a function-level reset keeps. */
export interface BitAccess {
  readonly rw?: number;
  readonly rw1c?: number;
  readonly sticky?: number;
}

/** All ones of an access of 1 to 4 bytes: what a read gives that nothing answers. */
export const allOnes = (size: number): number => 2 ** (size * 8) - 1;

/**
 * Little-endian registers with the access rights of every bit: configuration space, or a capability before it is put
 * there. Bits without a right are read-only. The methods named by a width are the function's own and take no notice
 * of rights; `softwareRead` and `softwareWrite` are the host's.
 */
export class RegisterBlock {
  readonly bytes: Uint8Array;
  readonly size: number;
  private readonly view: DataView;
  private readonly initial: Uint8Array;
  private readonly rw: Uint8Array;
  private readonly rw1c: Uint8Array;
  private readonly sticky: Uint8Array;

  constructor(size: number) {
    this.size = size;
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.initial = new Uint8Array(size);
    this.rw = new Uint8Array(size);
    this.rw1c = new Uint8Array(size);
    this.sticky = new Uint8Array(size);
  }

  get8(at: number): number {
    return this.bytes[at]!;
  }

  get16(at: number): number {
    return this.view.getUint16(at, true);
  }

  get32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** The function changes a register; its value after a reset stays. */
  set8(at: number, value: number): void {
    this.bytes[at] = value;
  }

  set16(at: number, value: number): void {
    this.view.setUint16(at, value, true);
  }

  set32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  /** Say a register once: its value after a reset, and the access rights of its bits. @param size bytes, 1 to 4 */
  define(at: number, size: number, value: number, access: BitAccess = {}): void {
    const { rw = 0, rw1c = 0, sticky = 0 } = access;
    if (at + size > this.size)
      throw new VirtioError('register', at, `${size} bytes below ${this.size}`, 'PCIe 5.0 §7.2');
    for (let i = 0; i < size; i++) {
      const shift = i * 8;
      this.initial[at + i] = value >>> shift;
      this.bytes[at + i] = value >>> shift;
      this.rw[at + i] = rw >>> shift;
      this.rw1c[at + i] = rw1c >>> shift;
      this.sticky[at + i] = sticky >>> shift;
    }
  }

  /** Put a whole block into this one, from its byte `skip` on. */
  place(at: number, block: RegisterBlock, skip: number): void {
    this.bytes.set(block.initial.subarray(skip), at + skip);
    this.initial.set(block.initial.subarray(skip), at + skip);
    this.rw.set(block.rw.subarray(skip), at + skip);
    this.rw1c.set(block.rw1c.subarray(skip), at + skip);
    this.sticky.set(block.sticky.subarray(skip), at + skip);
  }

  /** @param size 1 to 4. Bytes outside the block read as 0xff: nothing is there to answer. */
  softwareRead(at: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.bytes[at + i] ?? 0xff);
    return value;
  }

  /** Bytes outside the block are not written, bits without a right stay. @param size 1 to 4 */
  softwareWrite(at: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) {
      const old = this.bytes[at + i];
      if (old === undefined) return;
      const byte = (value >>> (i * 8)) & 0xff;
      const rw = this.rw[at + i]!;
      this.bytes[at + i] = ((old & ~rw) | (byte & rw)) & ~(byte & this.rw1c[at + i]!);
    }
  }

  /** Every register to its value after a reset; a function-level reset keeps sticky bits (PCIe 5.0 §6.6.2). */
  reset(keepSticky: boolean): void {
    for (let i = 0; i < this.size; i++) {
      const kept = keepSticky ? this.sticky[i]! : 0;
      this.bytes[i] = (this.bytes[i]! & kept) | (this.initial[i]! & ~kept);
    }
  }
}
