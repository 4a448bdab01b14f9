import { VirtioError } from '@ringwire/virtio-spec';
import { firstByteOfOne, requireLittleEndian } from './byte-order.js';
import type { CopyEngine } from './copy-engine.js';
import { JsCopyEngine } from './js-copy-engine.js';
import { markPrivate, PRIVATE_AREA, publicBytes } from './private-area.js';
import { requireSharedMemory } from './shared-memory.js';
import { WasmCopyEngine } from './wasm-copy-engine.js';
import { WASM_PAGE, type WasmMemory, webAssembly } from './web-assembly.js';

// Once, when the package loads: from here on every typed array may be read as little-endian.
requireLittleEndian(firstByteOfOne());

/** Host offsets are below 2^32. */
const MAX_BYTES = 0x1_0000_0000;
/** Views of every width start on a multiple of this. */
const ALIGNMENT = 8;

/**
 * The bytes that everything else lies in: guests' RAM, rings, page tables and registers are ranges of it, found by
 * host offset (0 … 2^32-1). Their elements are in host byte order, which is little-endian. Views are made once, those of
 * wrapped memory anew by {@link rewrap}: whoever keeps one of those finds it again behind `AddressSpace.enter`.
 */
export class HostMemory {
  /** Bytes. */
  readonly size: number;
  u8!: Uint8Array;
  u16!: Uint16Array;
  u32!: Uint32Array;
  i32!: Int32Array;
  /** For fields at any alignment; pass `true` for little-endian. */
  view!: DataView;
  /** What to post to another thread, which adopts it; undefined for wrapped memory. */
  readonly wasm: WasmMemory | undefined;
  /** Each thread has its own engine over the same bytes. */
  engine!: CopyEngine;

  private constructor(
    buffer: ArrayBuffer | SharedArrayBuffer,
    byteOffset: number,
    byteLength: number,
    wasm: WasmMemory | undefined,
  ) {
    this.size = byteLength;
    this.wasm = wasm;
    this.look(buffer, byteOffset);
  }

  /**
   * New shared memory of a fixed size, all zeros. The operating system backs a page when it is first touched.
   * @param bytes 1 … 2^32, rounded up to whole WebAssembly pages of 64 KiB
   */
  static create(bytes: number): HostMemory {
    if (!Number.isInteger(bytes) || bytes < 1 || bytes > MAX_BYTES) {
      throw new VirtioError('bytes', bytes, 'an integer from 1 to 2^32', 'HostMemory.create');
    }
    requireSharedMemory('HostMemory.create');
    const size = Math.ceil(bytes / WASM_PAGE) * WASM_PAGE;
    const all = size + PRIVATE_AREA.BYTES;
    const pages = (all > MAX_BYTES ? size : all) / WASM_PAGE;
    const memory = new webAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    if (all <= MAX_BYTES) markPrivate(memory.buffer as SharedArrayBuffer, size);
    return HostMemory.adopt(memory);
  }

  /**
   * Another thread's memory, as its structured clone arrives: its end says what of it {@link create} made private. A memory made elsewhere is taken at its present size, without any, and growing it later adds nothing here; it
   * has to be shared, because growing one that isn't detaches every view.
   */
  static adopt(memory: WasmMemory): HostMemory {
    requireSharedMemory('HostMemory.adopt');
    const { buffer } = memory;
    if (!(memory instanceof webAssembly.Memory) || !(buffer instanceof SharedArrayBuffer)) {
      throw new VirtioError('memory', String(memory), 'a shared WebAssembly.Memory', 'HostMemory.adopt');
    }
    return new HostMemory(buffer, 0, publicBytes(buffer), memory);
  }

  /**
   * Memory of another owner, copied by JavaScript. It has to keep its size: when its owner detaches or shrinks the
   * buffer (as growing an unshared WebAssembly memory does), no view of it is of use until {@link rewrap}.
   * @param byteOffset a multiple of 8
   * @param byteLength bytes from there on, 1 … 2^32; all that follow when left out
   */
  static wrap(
    buffer: ArrayBuffer | SharedArrayBuffer,
    byteOffset = 0,
    byteLength: number = buffer.byteLength - byteOffset,
  ): HostMemory {
    const rest = checkedRest(buffer, byteOffset);
    const most = Math.min(rest, MAX_BYTES);
    if (!Number.isInteger(byteLength) || byteLength < 1 || byteLength > most) {
      throw new VirtioError('byteLength', byteLength, `an integer from 1 to ${most}`, 'HostMemory.wrap');
    }
    return new HostMemory(buffer, byteOffset, byteLength, undefined);
  }

  /**
   * The owner of wrapped memory has it in another buffer now, or elsewhere in it: the same bytes, as many as before.
   * @throws VirtioError for memory that is not wrapped, and where the buffer has not as many bytes
   */
  rewrap(buffer: ArrayBuffer | SharedArrayBuffer, byteOffset = 0): void {
    if (this.wasm !== undefined)
      throw new VirtioError('memory', 'a WebAssembly.Memory', 'one that was wrapped', 'HostMemory.rewrap');
    const rest = checkedRest(buffer, byteOffset);
    if (rest < this.size)
      throw new VirtioError('buffer', rest, `${this.size} bytes from ${byteOffset} on`, 'HostMemory.rewrap');
    this.look(buffer, byteOffset);
  }

  private look(buffer: ArrayBuffer | SharedArrayBuffer, byteOffset: number): void {
    const { size, wasm } = this;
    this.u8 = new Uint8Array(buffer, byteOffset, size);
    this.u16 = new Uint16Array(buffer, byteOffset, Math.floor(size / 2));
    this.u32 = new Uint32Array(buffer, byteOffset, Math.floor(size / 4));
    this.i32 = new Int32Array(buffer, byteOffset, Math.floor(size / 4));
    this.view = new DataView(buffer, byteOffset, size);
    this.engine = wasm === undefined ? new JsCopyEngine(this.u8, this.view) : new WasmCopyEngine(wasm, size);
  }
}

/** @returns bytes of a buffer from an offset on */
function checkedRest(buffer: ArrayBuffer | SharedArrayBuffer, byteOffset: number): number {
  const rest = buffer.byteLength - byteOffset;
  if (Number.isInteger(byteOffset) && byteOffset >= 0 && byteOffset % ALIGNMENT === 0 && rest >= 1) return rest;
  const want = `a multiple of ${ALIGNMENT} below the buffer's ${buffer.byteLength} bytes`;
  throw new VirtioError('byteOffset', byteOffset, want, 'HostMemory.wrap');
}
