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
export const decodeBase64: (base64: string) => string = (globalThis as unknown as { atob(base64: string): string })
  .atob;

/** Bytes in a page of WebAssembly memory. */
export const WASM_PAGE = 0x1_0000;
