import { VirtioError } from '@ringwire/virtio-spec';

/**
 * Memory can be shared between threads here. Browsers allow that to pages that are cross-origin isolated, and do not even
 * have the type elsewhere.
 * @throws VirtioError that says what a page is to be served with
 */
export function requireSharedMemory(where: string): void {
  if ((globalThis as { SharedArrayBuffer?: unknown }).SharedArrayBuffer !== undefined) return;
  const want =
    'true: serve the page with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  throw new VirtioError('crossOriginIsolated', 'false', want, where);
}
