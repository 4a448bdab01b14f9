/**
 * The little of WebAssembly that is used here, said structurally: the packages' library is plain ES2023, and a
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

/** Bytes in a page of WebAssembly memory. */
export const WASM_PAGE = 0x1_0000;
