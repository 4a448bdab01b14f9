import { VirtioError } from '@ringwire/virtio-spec';

/**
 * The little of the platform that is used here, said structurally: the packages' library is plain ES2023, and a
 * platform's own `WebAssembly.Memory` fits.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
}

interface WebAssemblyNamespace {
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Record<string, Record<string, WasmMemory>>,
  ) => { readonly exports: Record<string, unknown> };
}

/** The platform's WebAssembly; every target (Node, browsers, their workers) has it. */
export const webAssembly: WebAssemblyNamespace = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace })
  .WebAssembly;

/** The platform's `atob`: base64 to a string of bytes. */
const decodeBase64: (base64: string) => string = (globalThis as unknown as { atob(base64: string): string }).atob;

/**
 * A WebAssembly module that works on a memory which it imports as `host.memory`. It is compiled once in a thread, at its
 * first use, and instantiated once for each memory: small enough for a browser's main thread, which limits what may be
 * compiled synchronously.
 */
export class MemoryModule<Exports> {
  private readonly base64: string;
  private compiled: object | undefined;
  private readonly instances = new WeakMap<WasmMemory, Exports>();

  /** @param base64 its bytes */
  constructor(base64: string) {
    this.base64 = base64;
  }

  /**
   * @throws VirtioError for a memory that is not shared, or has other addresses than 32-bit ones, and where the module does not
   *         compile: V8 has no vectors on an x86 without SSE 4.1, as which emulators may show themselves
   */
  on(memory: WasmMemory): Exports {
    let instance = this.instances.get(memory);
    if (instance === undefined) {
      instance = this.instantiate(memory);
      this.instances.set(memory, instance);
    }
    return instance;
  }

  private instantiate(memory: WasmMemory): Exports {
    this.compiled ??= this.compile();
    try {
      return new webAssembly.Instance(this.compiled, { host: { memory } }).exports as Exports;
    } catch (cause) {
      throw new VirtioError('memory', String(cause), 'a shared WebAssembly.Memory with 32-bit addresses', 'HostMemory');
    }
  }

  private compile(): object {
    const bytes = Uint8Array.from(decodeBase64(this.base64), (character) => character.charCodeAt(0));
    try {
      return new webAssembly.Module(bytes);
    } catch (cause) {
      const want = 'WebAssembly with vectors (SIMD): on x86 a processor with SSE 4.1';
      throw new VirtioError('this platform', String(cause), want, 'HostMemory');
    }
  }
}

/** Bytes in a page of WebAssembly memory. */
export const WASM_PAGE = 0x1_0000;
